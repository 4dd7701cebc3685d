"""What others ask of us: one table answers, and contacts alone are told how a person lives."""

import asyncio
from typing import Any, cast

import pytest

from xmppsh.model import Element, Jid
from xmppsh.session import caps
from xmppsh.session.responder import FEATURES, HASH, TABLE, Responder, bounce_of, response_to, with_caps
from xmppsh.xmlio.build import Xml
from xmppsh.xmlio.reader import read_element, tree

FRIEND, STRANGER = "friend@other.example/x", "stranger@other.example/x"
ROSTER = (
    "<iq type='result'><query xmlns='jabber:iq:roster'><item jid='friend@other.example' subscription='from'/>"
    "<item jid='stranger@other.example' subscription='to'/></query></iq>"
)


def asked(payload: str, sender: str = STRANGER) -> Element:
    return read_element(f"<iq type='get' id='1' from='{sender}'>{payload}</iq>")


LAST, TIME = "<query xmlns='jabber:iq:last'/>", "<time xmlns='urn:xmpp:time'/>"


class Roster:
    """The account's requests: they know its roster, and count how often it is asked for."""

    jid = Jid.parse("me@here.example/shell")

    def __init__(self) -> None:
        self.count = 0

    async def ask_own(self, iq_type: str, payload: Xml) -> Element:
        self.count += 1
        return read_element(ROSTER)


def told(payload: str, sender: str = STRANGER) -> Any:
    return tree(read_element(response_to(asked(payload, sender))))


@pytest.mark.parametrize("sign", ["x", "&quot;", "&lt;"])
async def test_an_id_that_makes_the_answer_too_long_gets_none(sign: str) -> None:
    # The server would end our stream with policy-violation for it: anybody could end any session.
    answers: list[Xml] = []
    responder = Responder(cast("Any", Roster()), answers.append)
    for count, is_answered in ((10, True), (10_000, False), (40_000, False)):
        for payload in ("<ping xmlns='urn:xmpp:ping'/>", "<x xmlns='unknown'/>"):
            answers.clear()
            request = f"<iq type='get' id='{sign * count}' from='{STRANGER}'>{payload}</iq>"
            responder.respond(read_element(request))
            assert bool(answers) is is_answered
        message = read_element(f"<message id='{sign * count}' from='{STRANGER}'><body>b</body></message>")
        assert (bounce_of(message) is not None) is is_answered


def test_version_tells_the_program_and_not_the_system() -> None:
    (query,) = told("<query xmlns='jabber:iq:version'/>")
    assert {child.tag.partition("}")[2] for child in query} == {"name", "version"}
    assert query.findtext("{jabber:iq:version}name") == "xmppsh"


def test_disco_tells_what_the_hash_in_our_presence_promises() -> None:
    presence = tree(read_element(with_caps(Xml("<presence/>"))))
    ours = presence[0]
    node = f"{ours.get('node')}#{ours.get('ver')}"
    (query,) = told(f"<query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/>")
    features = [one.get("var") for one in query if one.tag.endswith("feature")]
    assert query.get("node") == node
    assert caps.verification([caps.OWN], features) == ours.get("ver")
    assert {name[1:].partition("}")[0] for name in TABLE} <= set(features)
    refused = told("<query xmlns='http://jabber.org/protocol/disco#info' node='other'/>")
    assert refused.get("type") == "error"
    assert refused[0][0].tag.endswith("item-not-found")


def test_the_hash_is_that_of_the_example_in_the_specification() -> None:
    features = [f"http://jabber.org/protocol/{name}" for name in ("disco#info", "disco#items", "muc", "caps")]
    assert caps.verification([caps.Identity("client", "pc", "", "Exodus 0.9.1")], features) == (
        "QgayPKawpkPSDYmwT/WM94uAlu0="
    )
    form = {"FORM_TYPE": ["urn:xmpp:dataforms:softwareinfo"], "ip_version": ["ipv4", "ipv6"], "os": ["Mac"],
            "os_version": ["10.5.1"], "software": ["Psi"], "software_version": ["0.11"]}  # fmt: skip
    psi = [caps.Identity("client", "pc", "en", "Psi 0.11"), caps.Identity("client", "pc", "el", "Ψ 0.11")]
    assert caps.verification(psi, features, [form]) == "q07IKJEyjvHSyhy//CH0CxmKi8w="
    assert caps.verification([caps.OWN], [*FEATURES, FEATURES[0]]) is None
    assert HASH is not None


@pytest.mark.parametrize("payload", [LAST, TIME], ids=["last", "time"])
async def test_contacts_alone_are_told_how_long_we_are_idle_and_where_we_live(payload: str) -> None:
    answers: list[Xml] = []
    roster = Roster()
    responder = Responder(roster, answers.append)  # type: ignore[arg-type]
    for sender in (STRANGER, FRIEND, "me@here.example/phone", "room@rooms.example/nick"):
        responder.respond(asked(payload, sender))
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
    types = {tree(read_element(one)).get("to"): tree(read_element(one)).get("type") for one in answers}
    assert types == {
        STRANGER: "error", FRIEND: "result", "me@here.example/phone": "result", "room@rooms.example/nick": "error",
    }  # fmt: skip
    assert roster.count == 1


def test_a_stranger_s_answer_is_that_of_somebody_who_is_not_there() -> None:
    unknown = told("<query xmlns='urn:unknown'/>")
    refused = told(LAST)
    assert (refused.get("type"), refused[0][0].tag) == (unknown.get("type"), unknown[0][0].tag)


@pytest.mark.parametrize(
    "payload",
    ["<query xmlns='jabber:iq:roster'/>", "<block xmlns='urn:xmpp:blocking'/>", "<unblock xmlns='urn:xmpp:blocking'/>"],
)
def test_what_our_account_tells_its_clients_is_confirmed_and_from_nobody_else(payload: str) -> None:
    answers: list[Xml] = []
    responder = Responder(cast("Any", Roster()), answers.append)
    for sender in ("", "from='me@here.example'", "from='me@here.example/phone'", f"from='{STRANGER}'"):
        responder.respond(read_element(f"<iq type='set' id='1' {sender}>{payload}</iq>"))
    assert [tree(read_element(one)).get("type") for one in answers] == ["result", "result", "error", "error"]
