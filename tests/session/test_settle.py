"""The final count of a session that the witness has closed: what it settles, and what it proves nothing about."""

import asyncio
import base64
from typing import Any

import pytest
from connection.paper import Cut, PaperDriver
from protocol.playbook import JULIET, NS
from witness.test_announcer import WITNESS, check, until_written

from xmppsh.errors import Unconfirmed
from xmppsh.outbox.queue import Entry, Fate
from xmppsh.protocol.sm import MODULUS, Resumption, StreamManagement
from xmppsh.session.outbound import Outbound
from xmppsh.session.reconcile import Reconciler
from xmppsh.session.settle import PROVES, Answer, Server, Step, by_final_count, server_of
from xmppsh.witness import announcer as announce
from xmppsh.xmlio.build import Xml


@pytest.fixture
async def session() -> Any:
    session = Cut()
    yield session
    await session.close(wait_s=0)


async def answered(driver: PaperDriver, content: str, kind: str = "result") -> None:
    """The witness answers the question how the session ended."""
    text = await until_written(driver, "<closed")
    stanza_id = text.partition("<closed")[0].rpartition(' id="')[2].partition('"')[0]
    driver.hear(f"<iq type='{kind}' id='{stanza_id}' from='{WITNESS}' to='{JULIET}'>{content}</iq>")
    for _ in range(5):
        await asyncio.sleep(0)


NOBODY = f"<error type='cancel'><service-unavailable xmlns='{NS['stanzas']}'/></error>"


def closed(h: object) -> str:
    return f"<closed xmlns='xmppsh:witness:0' sm-id='sm1' h='{h}'/>"


async def test_the_count_of_the_witness_settles_what_it_covers_and_the_rest_goes_out_again(session: Cut) -> None:
    session.bound()
    for name in ("m1", "m2", "m3"):
        session.message(name)
    await asyncio.sleep(0)
    session.cut()
    driver = session.bound()
    await answered(driver, closed(2))
    assert session.acked_count == 2
    text = driver.written.decode()
    assert "id='m3'" in text
    assert "id='m2'" not in text
    assert "urn:xmpp:mam:2" not in text, "nothing is left to ask the archive"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("", "error"),
        (closed(4), "result"),
        (closed("many"), "result"),
        ("<closed xmlns='xmppsh:witness:0'/>", "result"),
    ],
    ids=["unknown", "too many", "no number", "without a count"],
)
async def test_what_the_witness_cannot_prove_is_left_to_the_archive(session: Cut, content: str, kind: str) -> None:
    session.bound()
    for name in ("m1", "m2", "m3"):
        session.message(name)
    await asyncio.sleep(0)
    session.cut()
    driver = session.bound()
    await answered(driver, content, kind)
    await until_written(driver, "urn:xmpp:mam:2")
    assert session.fates() == dict.fromkeys(("m1", "m2", "m3"), "uncertain")


async def test_a_witness_that_stepped_aside_is_asked_until_it_is_back(
    session: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announce, "ASK_AGAIN_S", 0.01)
    session.bound().hear(check())  # so there is a witness
    for name in ("m1", "m2", "m3"):
        session.message(name)
    await asyncio.sleep(0)
    session.cut()
    driver = session.bound()
    for _ in range(3):
        await answered(driver, NOBODY, "error")
        assert session.acked_count == 0
    await answered(driver, closed(4))  # the answer to the check, and three messages
    assert session.acked_count == 3


async def test_a_witness_that_never_was_is_asked_once(session: Cut) -> None:
    session.bound()
    session.message("m1")
    await asyncio.sleep(0)
    session.cut()
    driver = session.bound()
    await answered(driver, NOBODY, "error")
    await until_written(driver, "urn:xmpp:mam:2")


def entries(*names: str) -> list[Entry]:
    return [Entry(n, Xml("<message/>"), "message", name, "", Fate.UNCERTAIN) for n, name in enumerate(names, 1)]


@pytest.mark.parametrize("acked", [0, 7, MODULUS - 1])
@pytest.mark.parametrize("handled", [0, 1, 3])
def test_a_final_count_proves_every_stanza(acked: int, handled: int) -> None:
    sm = StreamManagement.restored(Resumption("sm1"), acked=acked, sent=(acked + 3) % MODULUS, handled=0)
    fates = by_final_count(entries("a", "b", "c"), sm, (acked + handled) % MODULUS)
    assert fates == [Fate.ACKED] * handled + [Fate.QUEUED] * (3 - handled)


@pytest.mark.parametrize("handled", [0, 1, 3])
def test_a_count_that_is_a_snapshot_proves_what_it_covers_and_nothing_of_the_rest(handled: int) -> None:
    of_ejabberd = Resumption(base64.b64encode(b"\x83term").decode())
    sm = StreamManagement.restored(of_ejabberd, acked=7, sent=10, handled=0)
    assert by_final_count(entries("a", "b", "c"), sm, 7 + handled) == [Fate.ACKED] * handled + [None] * (3 - handled)


@pytest.mark.parametrize("h", [None, 6, 11, MODULUS - 1])
def test_what_is_no_count_of_the_session_proves_nothing(h: int | None) -> None:
    sm = StreamManagement.restored(Resumption("sm1"), acked=7, sent=10, handled=0)
    assert by_final_count(entries("a", "b", "c"), sm, h) == [None] * 3
    assert by_final_count(entries("a"), None, 7) == [None]


class Counts:
    """Knows how former sessions ended."""

    def __init__(self, counts: dict[str, int]) -> None:
        self.counts, self.questions = counts, 0

    async def final_count(self, sm_id: str) -> int | None:
        self.questions += 1
        return self.counts.get(sm_id)


async def settled(lost: list[tuple[StreamManagement, int, int]], uncertain: list[Entry], counts: Counts) -> list[Any]:
    """The fates that the counts prove. lost: the sessions, how many were uncertain before, how many it left."""
    outbound: Any = Outbound(None, None)  # type: ignore[arg-type]
    numbers = [entry.number for entry in uncertain]
    outbound.queue.restore(uncertain)
    for entry, number in zip(uncertain, numbers, strict=True):
        entry.number = number
    reconciler = Reconciler(outbound, counts, None, lambda *_: None)  # type: ignore[arg-type]
    for one in lost:
        reconciler.lost.add(*one)
    return await reconciler.by_counts()


def lost_session(sm_id: str, count: int) -> StreamManagement:
    return StreamManagement.restored(Resumption(sm_id), acked=0, sent=count, handled=0)


async def test_each_lost_session_is_settled_by_its_own_count() -> None:
    uncertain = entries("a1", "a2", "b1", "b2", "b3")
    uncertain[2].number = 0  # of the session's own
    lost = [(lost_session("a", 2), 0, 2), (lost_session("b", 3), 2, 3)]
    assert await settled(lost, uncertain, Counts({"b": 2})) == [None, None, Fate.FAILED, Fate.ACKED, Fate.QUEUED]


async def test_stanzas_of_sessions_that_nobody_knows_are_not_taken_for_others() -> None:
    # One more is uncertain before the second session: nobody can tell whose they are.
    lost = [(lost_session("a", 2), 0, 2), (lost_session("b", 1), 3, 1)]
    fates = await settled(lost, entries("x", "y", "z", "b1"), Counts({"a": 2, "b": 1}))
    assert fates == [None, None, None, Fate.ACKED]


async def test_nobody_is_asked_when_nothing_of_the_user_is_open() -> None:
    own, counts = entries("own"), Counts({"a": 1})
    own[0].number = 0
    assert await settled([(lost_session("a", 1), 0, 1)], own, counts) == [None]
    assert counts.questions == 0


# ── What a resumption proves ────────────────────────────────────────────────────────────────────────────────────────


def test_every_answer_of_every_server_has_its_step() -> None:
    assert set(PROVES) == {(answer, server) for answer in Answer for server in Server}


def test_nothing_is_sent_again_at_once_where_the_former_stream_may_still_be_at_work() -> None:
    assert [answer for answer in Answer if PROVES[answer, Server.SNAPSHOT] is Step.SEND_AGAIN] == []


@pytest.mark.parametrize(
    ("sm_id", "server"),
    [
        ("g2gCbQAAAAVwaG9uZWgDYgAABpFiAAjhcWIADEqn", Server.SNAPSHOT),  # ejabberd 23.01
        ("NCMfsvxPSHHE", Server.EXACT),  # Prosody 0.12
        ("3f2a0c9e-1d0b-4d21-9e57-6a3b", Server.EXACT),
        ("", Server.EXACT),
        ("g", Server.EXACT),
        ("not base64!", Server.EXACT),
        ("\u00e9\u00e9\u00e9\u00e9", Server.EXACT),
    ],
)
def test_an_ejabberd_is_known_by_the_id_that_it_gives(sm_id: str, server: Server) -> None:
    assert server_of(sm_id) is server


async def test_a_message_that_is_lost_for_good_fails_none_that_is_sent_after_it(session: Cut) -> None:
    session.bound()
    lost = session.message("m1")
    await asyncio.sleep(0)
    session.cut()
    later = session.message("m2")
    driver = session.bound()
    await answered(driver, NOBODY, "error")
    for _ in range(2):  # what it keeps, and what it has
        asked = (await until_written(driver, "urn:xmpp:mam:2")).rpartition("<iq")[2]
        stanza_id = asked.partition(' id="')[2].partition('"')[0]
        driver.hear(f"<iq type='error' id='{stanza_id}'>{NOBODY}</iq>")
    await until_written(driver, "id='m2'")
    assert driver.stream.sm is not None
    driver.hear(f"<a xmlns='{NS['sm']}' h='{driver.stream.sm.sent}'/>")
    await session.acked(later, since=lost)
    with pytest.raises(Unconfirmed):
        await session.acked(later)
    await session.acked(later, unproven=lambda: 0)  # whoever has lost nothing of its own
    session.told_up_to = lost
    await session.acked(later)
