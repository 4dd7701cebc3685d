"""Messages as people see them: names, marks, folding, unread counts."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from xmppsh.output.records import MessageRecord
from xmppsh.shell.shown.conversation import KEPT_MESSAGES, Conversation
from xmppsh.shell.shown.look import Palette, folded, wants_color, width
from xmppsh.shell.shown.people import People
from xmppsh.xep.roster import Contact

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ROMEO = "romeo@example.net"


def conversation(columns: int = 60, *, colors: bool = False) -> Conversation:
    return Conversation(Palette(colors=colors), People(), lambda: columns, lambda: NOW)


def message(body: str | None, **changes: Any) -> MessageRecord:
    plain: dict[str, Any] = {
        "from_": f"{ROMEO}/x", "to": None, "type": "chat", "id": None, "body": body, "subject": None, "thread": None,
        "lang": None, "stamp": "2026-03-01T11:59:00.000Z", "delayed": False, "carbon": None, "room": False,
        "encrypted": False, "oob": (), "payloads": (), "xml": "<message/>",
    }  # fmt: skip
    return MessageRecord(**plain | changes)


def rows(text: str) -> list[str]:
    return text.splitlines()


def test_a_line_names_the_partner_and_the_day_once() -> None:
    talk = conversation()
    first, second = (rows(talk.incoming(message(body), current=ROMEO)) for body in ("one", "two"))
    assert first[0].startswith(f"── {ROMEO} ──")
    assert first[0].endswith(" today ──")
    assert width(first[0]) <= 60
    assert first[1].endswith(" romeo    one")
    assert len(second) == 1
    assert rows(talk.own(ROMEO, "2026-02-27T10:00:00Z", "then", "acked", "a"))[0].endswith(" Fri 27 Feb ──")


def test_a_long_text_is_folded_at_words_and_indented_under_its_beginning() -> None:
    text = conversation(40).incoming(message("incoming while typing, folded at its words"), current=ROMEO)
    _, one, two = rows(text)
    assert one.endswith("romeo    incoming while typing,")
    assert two == " " * one.index("incoming") + "folded at its words"


@pytest.mark.parametrize(
    ("payloads", "told"),
    [
        (("{urn:xmpp:jingle-message:0}propose", "{urn:xmpp:sid:0}stanza-id"), "calls; a call cannot be taken here"),
        (("{urn:xmpp:attention:0}attention",), "asks for your attention"),
    ],
)
def test_what_is_meant_for_people_without_a_text_is_told_in_words(payloads: tuple[str, ...], told: str) -> None:
    shown = conversation().incoming(message(None, payloads=payloads), current=ROMEO)
    assert rows(shown)[1].endswith(f" * romeo  {told}")


def test_how_a_call_goes_on_is_silent() -> None:
    for name in ("proceed", "finish", "{urn:xmpp:receipts}received"):
        payload = name if name.startswith("{") else f"{{urn:xmpp:jingle-message:0}}{name}"
        assert conversation().incoming(message(None, payloads=(payload,)), current=ROMEO) == ""
    ours = message(None, payloads=("{urn:xmpp:jingle-message:0}propose",), carbon="sent", to=ROMEO)
    assert conversation().incoming(ours, current=ROMEO) == ""


def test_what_an_occupant_says_to_us_alone_is_told_as_that() -> None:
    people = People()
    people.rooms["tea@rooms.example"] = "me"
    talk = Conversation(Palette(colors=False), people, lambda: 60, lambda: NOW)
    said = talk.incoming(message("psst", from_="tea@rooms.example/host"), current=None)
    assert rows(said)[1].endswith(" host     [to you alone] psst")
    said = talk.incoming(message("tea?", from_="tea@rooms.example/host", type="groupchat", room=True), current=None)
    assert rows(said)[0].endswith(" host     tea?")


def test_who_says_me_acts() -> None:
    talk = conversation()
    assert rows(talk.incoming(message("/me waves"), current=ROMEO))[1].endswith(" * romeo  waves")
    assert rows(talk.incoming(message("/mean"), current=ROMEO))[0].endswith(" romeo    /mean")


@pytest.mark.parametrize("columns", [10, 20, 25, 33, 80])
def test_no_row_is_wider_than_the_window(columns: int) -> None:
    body = "日本語のテキスト " * 5 + "x" * 90 + " 👨\u200d👩\u200d👧" * 12
    text = conversation(columns).incoming(message(body), current=ROMEO)
    assert max(map(width, rows(text))) <= max(columns, 20)
    letters = "".join(text.split())
    assert "".join(body.split()) in letters.replace("romeo", "") or letters.count("x") == 90


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"oob": ["https://example.net/a.png"]}, "\n               https://example.net/a.png"),
        ({"encrypted": True}, "[encrypted: it cannot be read here] text"),
        ({"payloads": ["{urn:xmpp:message-correct:0}replace"]}, "[corrected] text"),
        ({"type": "headline"}, "[headline] text"),
        ({"subject": "news"}, "[news] text"),
        ({"body": None, "payloads": ["{x}geo"]}, "(no text; geo)"),
    ],
)
def test_what_is_more_than_its_text_is_marked(changes: dict[str, Any], shown: str) -> None:
    assert shown in conversation().incoming(message(**{"body": "text"} | changes), current=ROMEO)


def test_who_writes_just_now_is_known_and_printed_nowhere() -> None:
    talk = conversation()
    state = "{http://jabber.org/protocol/chatstates}"
    assert talk.incoming(message(None, payloads=[f"{state}composing"]), current=None) == ""
    assert talk.typing == {ROMEO: "romeo"}
    assert talk.unread == {}
    talk.incoming(message("done", payloads=[f"{state}active"]), current=None)
    assert talk.typing == {}


def test_who_has_gone_writes_nothing_though_a_message_is_read_late_that_says_so() -> None:
    talk, writes = conversation(), message(None, payloads=["{http://jabber.org/protocol/chatstates}composing"])
    talk.presence(ROMEO, is_online=False)
    talk.incoming(writes, current=None)
    assert talk.typing == {}
    talk.presence(ROMEO, is_online=True)
    talk.incoming(writes, current=None)
    assert talk.typing == {ROMEO: "romeo"}


def test_who_begins_to_write_and_goes_between_two_looks_is_a_change() -> None:
    talk, writes = conversation(), message(None, payloads=["{http://jabber.org/protocol/chatstates}composing"])
    looked = talk.typing_changes
    talk.incoming(writes, current=None)
    talk.presence(ROMEO, is_online=False)
    assert talk.typing == {}
    assert talk.typing_changes > looked
    looked = talk.typing_changes
    talk.presence(ROMEO, is_online=False)
    assert talk.typing_changes == looked


def test_others_messages_are_unread_until_they_are_written_to() -> None:
    talk = conversation()
    for current in (ROMEO, None, "nurse@example.net"):
        talk.incoming(message("x"), current=current)
    assert talk.unread == {ROMEO: 2}
    talk.read(ROMEO)
    assert talk.unread == {}


def about(name: str, content: str, stanza_id: str = "m1", **changes: Any) -> MessageRecord:
    namespace, _, local = name.partition(" ")
    xml = f"<message><{local} xmlns='{namespace}' id='{stanza_id}'>{content}</{local}></message>"
    plain = {"body": None, "payloads": (f"{{{namespace}}}{local}", "{urn:xmpp:fallback:0}fallback"), "xml": xml}
    return message(**plain | changes)


REACT, RETRACT = "urn:xmpp:reactions:0 reactions", "urn:xmpp:message-retract:1 retract"


def test_a_reaction_names_what_it_is_about() -> None:
    talk = conversation()
    talk.incoming(message("Good morning", id="m1"), current=ROMEO)
    (shown,) = rows(talk.incoming(about(REACT, "<reaction>👍</reaction><reaction>❤</reaction>"), current=ROMEO))
    assert shown.endswith("* romeo  reacted with 👍 ❤ to “Good morning”")
    (gone,) = rows(talk.incoming(about(REACT, ""), current=ROMEO))
    assert gone.endswith("* romeo  took the reaction back from “Good morning”")
    (other,) = rows(talk.incoming(about(REACT, "<reaction>!</reaction>", "m9"), current=ROMEO))
    assert other.endswith("to an earlier message")


def test_what_its_author_retracts_is_not_shown_again_and_a_note_for_others_is_no_text() -> None:
    talk = conversation()
    talk.own(ROMEO, "2026-03-01T11:58:00Z", "mine", "acked", "m0")
    talk.incoming(message("wrong window", id="m1"), current=ROMEO)
    (shown,) = rows(talk.incoming(about(RETRACT, "", body="/me retracted something"), current=ROMEO))
    assert shown.endswith("* romeo  retracted “wrong window”")
    talk.incoming(about(RETRACT, "", "m0"), current=ROMEO)
    _, mine, theirs, *_ = rows(talk.last(ROMEO, 4))
    assert (mine[-4:], theirs[-11:]) == ("mine", "(retracted)")
    assert talk.last(ROMEO, 0) == ""


def test_a_long_text_is_cut_for_last_and_its_colour_ends_there() -> None:
    talk = conversation(colors=True)
    talk.incoming(message("x" * 5000, encrypted=True), current=ROMEO)
    assert talk.last(ROMEO, 1).endswith("x\x1b[0m…\n")


def test_the_last_messages_are_shown_again() -> None:
    talk = conversation()
    for number in range(KEPT_MESSAGES + 5):
        talk.incoming(message(f"n{number}"), current=ROMEO)
    assert [row.split()[-1] for row in rows(talk.last(ROMEO, 2))[1:]] == ["n203", "n204"]
    assert len(rows(talk.last(ROMEO, 10_000))) == KEPT_MESSAGES + 1


def test_a_sender_cannot_pass_for_a_line_of_ours() -> None:
    text = conversation().incoming(message("a\n12:00 you ✓    b\x1b[2J", **{"from_": "x\u202e@e/y"}), current=None)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert all(row.startswith(("──", "11:", "12:", "   ")) for row in rows(text))
    assert rows(text)[2].startswith("     ")


def test_a_person_has_one_colour_everywhere_and_without_colours_there_is_none() -> None:
    one, two = (conversation(colors=True).incoming(message("x"), current=None) for _ in range(2))
    assert one == two
    assert "\x1b[38;5;" in one
    assert "\x1b" not in conversation().incoming(message("x"), current=None)


@pytest.mark.parametrize(
    ("color", "env", "expected"),
    [
        ("auto", {"TERM": "xterm"}, True),
        ("auto", {"TERM": "dumb"}, False),
        ("auto", {}, False),
        ("auto", {"TERM": "xterm", "NO_COLOR": "1"}, False),
        ("always", {"TERM": "dumb", "NO_COLOR": "1"}, True),
        ("never", {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_there_where_they_are_wanted(color: Any, env: dict[str, str], expected: bool) -> None:
    assert wants_color(color, env) is expected


def test_the_shortest_name_stands_for_one_person_only() -> None:
    people = People()
    people.set_contacts([Contact(ROMEO), Contact("nurse@example.net")])
    assert people.short(f"{ROMEO}/phone") == "romeo/phone"
    people.note("romeo@evil.example")
    assert people.short(ROMEO) == ROMEO
    assert people.short("example.net") == "example.net"


def test_white_space_inside_a_text_stays() -> None:
    assert folded("a  b\n\n  c", 4, 40) == ["a  b", "", "  c"]


def test_a_url_is_never_cut() -> None:
    url = "https://example.org/" + "long/" * 10
    assert folded(f"see {url} there", 10, 40) == ["see ".rstrip(), url, "there"]
    assert folded("   " * 20, 4, 20) == []


def test_what_was_said_from_another_client_stands_under_its_partner_and_reads_what_came_before() -> None:
    talk = conversation()
    talk.incoming(message("knock"), current=None)
    text = talk.incoming(message("yes?", carbon="sent", from_="me@x/y", to=f"{ROMEO}/z"), current=None)
    assert "you      [sent elsewhere] yes?" in text
    assert talk.unread == {}


def test_the_empty_subject_of_a_room_is_not_shown() -> None:
    assert conversation().incoming(message(None, subject="", type="groupchat", room=True), current=None) == ""
    assert "[tea]" in conversation().incoming(message(None, subject="tea", type="groupchat", room=True), current=None)


def test_a_message_of_ours_is_kept_once_with_the_mark_it_has_now() -> None:
    talk = conversation()
    for mark in ("waits", "acked"):
        talk.own(ROMEO, "2026-03-01T11:59:00.000Z", "hello", mark, "a")
    assert [row[6:] for row in rows(talk.last(ROMEO, 10))[1:]] == ["you ✓    hello"]
    assert talk.mark(ROMEO, {"a"}, "delivered")
    assert [row[6:] for row in rows(talk.last(ROMEO, 10))[1:]] == ["you ✓✓   hello"]
    assert not talk.mark(ROMEO, {"b"}, "read")


@pytest.mark.parametrize("piece", ["A", "a-", "日本", "word ", "x://", "e\u0301"])
def test_a_long_text_is_folded_at_once_and_whole(piece: str) -> None:
    text, began = piece * (100_000 // len(piece)), time.process_time()
    rows = folded(text, 20, 90)
    assert time.process_time() - began < 10  # all at once it takes the square of that
    assert "".join(rows).replace(" ", "") == text.replace(" ", "")
