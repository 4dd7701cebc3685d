"""A guard closes a session when the witness has gone, and not when its session has begun to end."""

from types import SimpleNamespace

import pytest

from xmppsh.ghosts import dead_session
from xmppsh.ghosts.dead_session import ASIDE_S, send_aside
from xmppsh.model import Jid
from xmppsh.session.requests import Requests
from xmppsh.xmlio.build import Xml
from xmppsh.xmlio.reader import read_element

OWN, WITNESS = Jid.parse("juliet@example.org/laptop"), Jid.parse("juliet@example.org/xmppsh-witness")

ANSWER_TOOK_S = 0.25


class Server:
    """Answers each question with the next of these types, at once; the last one again and again.

    now: by the clock, which goes on with each answer.
    """

    jid, timeout_s = OWN, 5.0

    def __init__(self, *answers: str) -> None:
        self._answers, self.asked, self.now = answers, 0, 0.0
        self.requests = Requests(self)

    def send_iq(self, stanza: Xml) -> None:
        kind = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        self.now += ANSWER_TOOK_S
        stanza_id = read_element(stanza).id
        self.requests.answer(read_element(f"<iq type='{kind}' id='{stanza_id}' from='{WITNESS}'/>"))

    def send_ahead(self, stanza: Xml) -> None:
        self.send_iq(stanza)


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        (("error",), 2),  # nobody is there
        (("result", "error"), 3),
        (("result", "result", "error"), 4),
        (("result", "error", "result", "error"), 5),  # another one has come
    ],
)
async def test_the_witness_has_gone_when_what_is_asked_after_an_error_is_an_error_too(
    answers: tuple[str, ...], asked: int
) -> None:
    server = Server(*answers)
    await send_aside(server.requests, WITNESS)
    assert server.asked == asked


async def test_a_witness_that_does_not_go_is_asked_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server("result")
    monkeypatch.setattr(dead_session, "time", SimpleNamespace(monotonic=lambda: server.now))
    await send_aside(server.requests, WITNESS)
    assert server.asked == ASIDE_S / ANSWER_TOOK_S
