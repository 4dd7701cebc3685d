"""What a service that was asked may answer, however odd: it is read, or refused in a sentence, and never a crash."""

import ssl
from pathlib import Path
from typing import Any, cast

import pytest

from xmppsh.errors import XmppshError
from xmppsh.model import Element, Jid
from xmppsh.net.put import put
from xmppsh.session.session_port import SessionPort
from xmppsh.xep import disco, pubsub
from xmppsh.xmlio.reader import read_element

SERVICE = Jid.parse("evil.example")


class Service:
    """Answers every request with the same page."""

    def __init__(self, answer: str) -> None:
        self.answer, self.asked = read_element(answer), 0

    async def request(self, *_: Any) -> Element:
        self.asked += 1
        return self.answer


COUNTS = ["9" * 5000, "-1", "²", "٣", "1e3", ""]
SET = "<set xmlns='http://jabber.org/protocol/rsm'><last>z</last><count>{}</count></set>"


@pytest.mark.parametrize("count", COUNTS, ids=ascii)
async def test_a_count_that_is_none_is_not_believed(count: str) -> None:
    rooms = Service(
        "<iq type='result'><query xmlns='http://jabber.org/protocol/disco#items'>"
        f"<item jid='a@evil.example'/>{SET.format(count)}</query></iq>"
    )
    assert len(await disco.items(cast("SessionPort", rooms), SERVICE)) == 1
    node = Service(
        "<iq type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='n'><item id='1'/></items>"
        f"{SET.format(count)}</pubsub></iq>"
    )
    assert len(await pubsub.items(cast("SessionPort", node), SERVICE, "n")) == 1
    assert (rooms.asked, node.asked) == (2, 2)  # the same page again, which is no other one


@pytest.mark.parametrize(
    "url",
    ["https://[bad/", "https://x:y/", "https://x:99999/", "https://ä..b/f", "https://127.0.0.1:1/ü", "file:///etc", ""],
)
def test_a_slot_that_leads_nowhere_is_the_fault_of_its_server(url: str, tmp_path: Path) -> None:
    (file := tmp_path / "f").write_bytes(b"x")
    with pytest.raises(XmppshError) as caught:
        put(url, {}, file, 1, ssl.create_default_context, 1.0, lambda _: None)
    assert caught.value.exit_code in (69, 76)
