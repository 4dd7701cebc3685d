"""What peers forge: it is shown as who sent it, or not at all, and never crashes what reads it."""

import time
from datetime import UTC, datetime

import pytest

from xmppsh.model import Element, Jid
from xmppsh.output.printer import Printer
from xmppsh.output.records import MessageRecord, StanzaRecord, record
from xmppsh.output.together import records
from xmppsh.session.requests import is_answer
from xmppsh.session.responder import bounce_of, response_to
from xmppsh.shell.shown.conversation import Conversation
from xmppsh.shell.shown.look import Palette
from xmppsh.shell.shown.people import People
from xmppsh.shell.shown.printer import unwrapped
from xmppsh.xep.carbons import copied
from xmppsh.xep.history import _archived, as_sent
from xmppsh.xep.pubsub import events_in
from xmppsh.xep.roster import pushed
from xmppsh.xmlio.reader import read_element

OWN = Jid.parse("juliet@example.org/balcony")
NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
MALLORY = "mallory@evil.example/x"
ROOM = "room@muc.evil.example"
INNER = (
    "<message xmlns='jabber:client' from='romeo@example.net/o' to='juliet@example.org'><body>forged</body></message>"
)
COPY = (
    "<message xmlns='jabber:client'{sender}><{what} xmlns='urn:xmpp:carbons:2'>"
    "<forwarded xmlns='urn:xmpp:forward:0'>{inner}</forwarded></{what}></message>"
)
ILL_FORMED = [
    "",
    "@",
    "/",
    "a@",
    "@b",
    "a@@b",
    "a@b@c",
    " a@b",
    "a b@c",
    "a@b/",
    "a@.",
    "a@b..c",
    "\u200b@b",
    "a@\U0001f4a9",
    "x" * 4000,
    "a@b/" + "y" * 2000,
]


@pytest.mark.parametrize("what", ["sent", "received"])
@pytest.mark.parametrize(
    ("sender", "is_believed"),
    [
        ("juliet@example.org", True), ("", True), (MALLORY, False), ("example.org", False),
        ("nurse@example.org", False),
        ("juliet@example.org/balcony", False), ("juliet@example.org.evil.example", False), ("JULIET@example.org", True),
        *((one, False) for one in ILL_FORMED[1:]),
    ],
)  # fmt: skip
def test_a_copy_is_believed_from_our_own_account_alone(what: str, sender: str, is_believed: bool) -> None:
    said = f" from='{sender}'" if sender else ""
    carbon = copied(read_element(COPY.format(what=what, sender=said, inner=INNER)), OWN)
    assert (carbon is not None) is is_believed


@pytest.mark.parametrize(
    "inner",
    ["", "<iq/>", "<x/>", "text", "<message xmlns='jabber:server'/>", COPY.format(what="sent", sender="", inner=INNER)],
)
def test_a_copy_of_something_else_does_no_harm(inner: str) -> None:
    carbon = copied(read_element(COPY.format(what="received", sender="", inner=inner)), OWN)
    assert carbon is None or record(carbon.message, lambda: NOW).from_ != "romeo@example.net/o"


@pytest.mark.parametrize(
    ("sender", "to", "is_believed"),
    [
        ("romeo@example.net/o", "romeo@example.net/o", True), (MALLORY, "romeo@example.net/o", False),
        ("romeo@example.net", "romeo@example.net/o", False), ("", "romeo@example.net/o", False),
        ("", None, True), ("juliet@example.org", None, True), ("example.org", None, True), (MALLORY, None, False),
        ("juliet@example.org/other", None, False), *((one, "romeo@example.net/o", False) for one in ILL_FORMED),
    ],
)  # fmt: skip
def test_an_answer_is_believed_from_whom_we_asked_alone(sender: str, to: str | None, is_believed: bool) -> None:
    said = f" from='{sender}'" if sender else ""
    stanza = read_element(f"<iq xmlns='jabber:client' type='result' id='q1'{said}/>")
    assert is_answer(stanza, "q1", None if to is None else Jid.parse(to), OWN) is is_believed


@pytest.mark.parametrize(
    ("sender", "is_believed"),
    [
        ("", True), ("juliet@example.org", True), (MALLORY, False), ("example.org", False),
        ("juliet@example.org/other", False), ("nurse@example.org", False), *((one, False) for one in ILL_FORMED[1:]),
    ],
)  # fmt: skip
def test_a_change_of_the_roster_is_believed_from_our_own_account_alone(sender: str, is_believed: bool) -> None:
    said = f" from='{sender}'" if sender else ""
    item = "<query xmlns='jabber:iq:roster'><item jid='mallory@evil.example' name='Romeo' subscription='both'/></query>"
    push = read_element(f"<iq xmlns='jabber:client' type='set' id='p1'{said}>{item}</iq>")
    assert [one.jid for one in pushed(push, OWN)] == (["mallory@evil.example"] if is_believed else [])


@pytest.mark.parametrize(
    ("sender", "is_believed"),
    [
        ("juliet@example.org", True), ("JULIET@example.org", True), ("", False), (MALLORY, False),
        ("example.org", False), ("juliet@example.org/balcony", False), *((one, False) for one in ILL_FORMED),
    ],
)  # fmt: skip
def test_an_event_of_a_node_is_believed_from_its_service_alone(sender: str, is_believed: bool) -> None:
    said = f" from='{sender}'" if sender else ""
    item = "<items node='urn:xmpp:bookmarks:1'><item id='room@muc.evil.example'><x xmlns='urn:x'/></item></items>"
    event = f"<event xmlns='http://jabber.org/protocol/pubsub#event'>{item}</event>"
    message = read_element(f"<message xmlns='jabber:client' type='headline'{said}>{event}</message>")
    found = [one.item_id for one in events_in(message, OWN.bare, "urn:xmpp:bookmarks:1")]
    assert found == (["room@muc.evil.example"] if is_believed else [])


STAMPS = {
    "our server": ("romeo@example.net/o", "from='example.org'", True),
    "our account": ("romeo@example.net/o", "from='juliet@example.org'", True),
    "the sender": ("romeo@example.net/o", "from='romeo@example.net/o'", True),
    "the sender's server": ("romeo@example.net/o", "from='example.net'", True),
    "the room": ("room@muc.example.net/romeo", "from='room@muc.example.net'", True),
    "nobody in particular": ("romeo@example.net/o", "", True),
    "a stranger": ("romeo@example.net/o", "from='evil.example'", False),
    "another account of our server": ("romeo@example.net/o", "from='nurse@example.org'", False),
    "an ill-formed address": ("romeo@example.net/o", "from='@@'", False),
}


@pytest.mark.parametrize(("sender", "by", "is_believed"), STAMPS.values(), ids=STAMPS)
@pytest.mark.parametrize("kind", ["message", "presence"])
def test_a_delay_stamp_is_believed_of_either_side_alone(kind: str, sender: str, by: str, is_believed: bool) -> None:
    stamp = f"<delay xmlns='urn:xmpp:delay' stamp='2020-01-02T03:04:05Z' {by}/>"
    for to in (f"to='{OWN}'", ""):
        stanza = read_element(f"<{kind} xmlns='jabber:client' from='{sender}' {to}>{stamp}</{kind}>")
        found = record(stanza, lambda: NOW, str(OWN.bare)).data()
        assert found["stamp"] == ("2020-01-02T03:04:05.000Z" if is_believed else "2026-11-22T16:30:00.000Z")
        assert found.get("delayed", is_believed) is is_believed


def test_the_stamp_of_our_server_counts_before_one_that_the_sender_put_first() -> None:
    first = "<delay xmlns='urn:xmpp:delay' stamp='1999-01-01T00:00:00Z'/>"
    ours = "<delay xmlns='urn:xmpp:delay' stamp='2026-11-22T10:00:00Z' from='example.org'/>"
    stanza = read_element(f"<message xmlns='jabber:client' from='{MALLORY}' to='{OWN}'>{first}{ours}</message>")
    assert record(stanza, lambda: NOW).data()["stamp"] == "2026-11-22T10:00:00.000Z"


@pytest.mark.parametrize("address", ILL_FORMED, ids=lambda text: ascii(text[:12]))
@pytest.mark.parametrize("kind", ["message", "presence", "iq"])
def test_an_ill_formed_sender_is_shown_as_it_is_and_answered_without_a_crash(kind: str, address: str) -> None:
    stanza = read_element(
        f"<{kind} xmlns='jabber:client' type='get' id='1' from='{address}' to='{address}'><x/></{kind}>"
    )
    shown = record(stanza, lambda: NOW)
    assert shown.data()["from"] == address
    assert "\u200b" not in shown.text()
    assert response_to(stanza)
    bounce_of(stanza)
    people = People()
    people.presence(address, "available", "")
    people.note(address.partition("/")[0])
    assert isinstance(people.short(address), str)


FORWARDED = f"<forwarded xmlns='urn:xmpp:forward:0'>{INNER}</forwarded>"
# What somebody may put into a message to look like romeo, or to change what romeo said.
FORGED = {
    "a correction": "<replace xmlns='urn:xmpp:message-correct:0' id='of-romeo'/><body>I said no</body>",
    "a retraction": "<retract xmlns='urn:xmpp:message-retract:1' id='of-romeo'/><body>taken back</body>",
    "a retraction without a text": "<retract xmlns='urn:xmpp:message-retract:1' id='of-romeo'/>",
    "reactions": "<reactions xmlns='urn:xmpp:reactions:0' id='of-romeo'><reaction>👎</reaction></reactions>",
    "an event of romeo's nodes": "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:xmpp:avatar:"
    "metadata'><item publisher='romeo@example.net/o'/></items></event>",
    "a forwarded message": FORWARDED,
    "a forwarded message, twice": f"<forwarded xmlns='urn:xmpp:forward:0'>{FORWARDED}</forwarded>",
    "a copy": f"<received xmlns='urn:xmpp:carbons:2'>{FORWARDED}</received>",
    "a copy of what we said": f"<sent xmlns='urn:xmpp:carbons:2'>{FORWARDED}</sent>",
    "a result of the archive": f"<result xmlns='urn:xmpp:mam:2' queryid='q' id='1'>{FORWARDED}</result>",
    "the year 1": "<body>x</body><delay xmlns='urn:xmpp:delay' stamp='0001-01-01T00:00:00Z'/>",
    "the year 9999": "<body>x</body><delay xmlns='urn:xmpp:delay' stamp='9999-12-31T23:59:59Z'/>",
    "a time that is none": "<body>x</body><delay xmlns='urn:xmpp:delay' stamp='yesterday'/>",
    "an old stamp that is none": "<body>x</body><x xmlns='jabber:x:delay' stamp='\ufeff20260231T99:99:99'/>",
    "addresses": "<addresses xmlns='http://jabber.org/protocol/address'>"
    "<address type='ofrom' jid='romeo@example.net/o'/></addresses><body>x</body>",
    "a nickname": "<nick xmlns='http://jabber.org/protocol/nick'>romeo@example.net</nick><body>x</body>",
    "a body that begins a line of its own": "<body>\n12:00:00 romeo@example.net/o: x\n12:00 you ✓    x</body>",
}  # fmt: skip
SHOWN = {
    "text": lambda stanza, app: Printer("text", None, for_all=False).line(app.record(stanza), for_terminal=True),
    "json": lambda stanza, app: Printer("json", None, for_all=False).line(app.record(stanza), for_terminal=False),
    "xml": lambda stanza, app: Printer("xml", None, for_all=False).line(app.record(stanza), for_terminal=True),
    "a template": lambda stanza, app: Printer("text", "%f %I", for_all=True).line(
        app.record(stanza), for_terminal=True
    ),
    "shell": lambda stanza, app: Conversation(Palette(colors=False), People(), lambda: 200, lambda: NOW).incoming(
        unwrapped(app, app, stanza), current=None
    ),
    "together": lambda stanza, app: records([stanza.xml], [None], lambda: NOW, str(OWN.bare))[0].text(),
}


class Reader:
    """What of an App and a session the printers ask: our address, and a record for a stanza."""

    jid = OWN

    def record(self, stanza: Element) -> StanzaRecord:
        return record(stanza, lambda: NOW, str(OWN.bare))


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("form", SHOWN)
def test_what_is_forged_is_shown_as_its_senders_in_every_form(
    form: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for what, payload in FORGED.items():
            for to in ("juliet@example.org/balcony", "nurse@example.org", "@@"):
                xml = f"<message xmlns='jabber:client' from='{MALLORY}' to='{to}'>{payload}</message>"
                first, *rest = SHOWN[form](read_element(xml), Reader()).split("\n")
                assert MALLORY.partition("/")[0] in first, what
                assert "romeo" not in first.partition("mallory")[0], what
                # The text of an XML document may have line ends: its lines are no records.
                assert form == "xml" or not [line for line in rest if line.startswith(("12:00", "── romeo"))], what
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("what", ["sent", "received"])
@pytest.mark.parametrize("form", ["text", "json", "xml", "a template", "shell"])
def test_what_is_forged_inside_a_true_copy_is_shown_as_its_senders(form: str, what: str) -> None:
    for name, payload in FORGED.items():
        inner = f"<message xmlns='jabber:client' from='{MALLORY}' to='{OWN}'>{payload}</message>"
        stanza = read_element(COPY.format(what=what, sender=f" from='{OWN.bare}'", inner=inner))
        shown = unwrapped(Reader(), Reader(), stanza)  # type: ignore[arg-type]
        assert isinstance(shown, MessageRecord)
        assert (shown.from_, shown.carbon) == (MALLORY, what), name
        copy = stanza if form == "shell" else read_element(shown.xml)
        first = SHOWN[form](copy, Reader()).split("\n")[0]
        assert "romeo" not in first.partition("mallory")[0], name
        assert form == "shell" or MALLORY.partition("/")[0] in first, name


@pytest.mark.parametrize(("archive", "sender"), [(OWN.bare, MALLORY), (Jid.parse(ROOM), f"{ROOM}/mallory")])
def test_what_is_forged_inside_a_true_result_of_an_archive_is_shown_as_its_senders(archive: Jid, sender: str) -> None:
    result = (
        f"<message xmlns='jabber:client' from='{archive}' to='{OWN}'><result xmlns='urn:xmpp:mam:2' queryid='q' id='7'>"
        "<forwarded xmlns='urn:xmpp:forward:0'>{}</forwarded></result></message>"
    )
    for name, payload in FORGED.items():
        inner = f"<message xmlns='jabber:client' from='{sender}' to='{OWN}'>{payload}</message>"
        (found,) = _archived([read_element(result.format(inner))], archive, OWN.bare, "q")
        delivered = as_sent(found, archive)
        assert delivered is not None
        assert copied(delivered, OWN) is None, name
        shown = unwrapped(Reader(), Reader(), delivered)  # type: ignore[arg-type]
        assert isinstance(shown, MessageRecord)
        assert (shown.from_, shown.carbon) == (sender, None), name
        assert shown.body != "forged", name


# A room's archive may not tell of others, least of all of our own account, whose copies are believed.
WRAPPED = COPY.format(what="received", sender=f" from='{OWN.bare}'", inner=INNER)


@pytest.mark.parametrize("inner", [INNER, WRAPPED, INNER.replace("romeo@example.net/o", str(OWN.bare))])
def test_a_room_cannot_invent_messages_of_others_in_its_archive(inner: str) -> None:
    result = (
        f"<message xmlns='jabber:client' from='{ROOM}' to='{OWN}'><result xmlns='urn:xmpp:mam:2' queryid='q' id='7'>"
        f"<forwarded xmlns='urn:xmpp:forward:0'>{inner}</forwarded></result></message>"
    )
    assert _archived([read_element(result)], Jid.parse(ROOM), OWN.bare, "q") == []


@pytest.mark.parametrize("nick", ["you", "YOU ✓", "you ✓✓", "you\u00a0✓", "* you", " you", "your"])
@pytest.mark.parametrize("body", ["I agree", "/me agrees"])
def test_who_is_called_as_we_are_in_the_conversation_is_written_out(nick: str, body: str) -> None:
    talk = Conversation(Palette(colors=False), People(), lambda: 200, lambda: NOW)
    for sender, kind in ((f"room@muc.example.net/{nick}", "groupchat"), (f"{nick}@example.net/x", "chat")):
        text = f"<message xmlns='jabber:client' from='{sender}' type='{kind}'><body>{body}</body></message>"
        row = talk.incoming(Reader().record(read_element(text)), current=None).splitlines()[1]
        assert ("example.net" in row) is (nick != "your")
