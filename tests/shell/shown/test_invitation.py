"""An invitation to a room, as the shell tells of it."""

import pytest

from xmppsh import ns
from xmppsh.output.records import MessageRecord
from xmppsh.shell.shown.invitation import DIRECT, OF_ROOM, Invitation, invitation

ROOM = "tea@rooms.example.net"
TOLD = {
    "<invite from='romeo@example.net'><reason>tea</reason></invite>": Invitation(
        "[invitation]", "romeo@example.net: tea", f"/join {ROOM}"
    ),
    "<invite from='romeo@example.net/x'/><password>two words</password>": Invitation(
        "[invitation]", "romeo@example.net/x", f"/join {ROOM} --room-password 'two words'"
    ),
    "<invite><reason>&#x9b;&#x202e;</reason></invite>": Invitation(
        "[invitation]", ": \\x9b\\u202e", f"/join {ROOM}"
    ),
    "<decline from='romeo@example.net'/>": Invitation("[declined]", "romeo@example.net", ""),
    "<status code='104'/>": None,
    "<item affiliation='none'/>": None,
}  # fmt: skip


def record(xml: str, payload: str, carbon: str | None = None) -> MessageRecord:
    return MessageRecord(
        from_=ROOM, to=None, type="normal", id=None, body=None, subject=None, thread=None, lang=None,
        stamp="2026-03-01T11:59:00.000Z", delayed=False, carbon=carbon, room=False, encrypted=False, oob=(),
        payloads=(payload,), xml=f"<message xmlns='{ns.CLIENT}'>{xml}</message>",
    )  # fmt: skip


@pytest.mark.parametrize(("below", "told"), TOLD.items())
def test_what_a_room_passes_on_names_who_invites_and_what_accepts_it(below: str, told: Invitation | None) -> None:
    assert invitation(record(f"<x xmlns='{ns.MUC_USER}'>{below}</x>", OF_ROOM)) == told


def test_who_invites_directly_says_why_himself() -> None:
    xml = f"<x xmlns='{ns.CONFERENCE}' jid='{ROOM}' reason='tea' password='p'/>"
    assert invitation(record(xml, DIRECT)) == Invitation("[invitation]", "tea", f"/join {ROOM} --room-password p")
    assert invitation(record(xml, DIRECT, carbon="sent")) is None
    assert invitation(record(f"<x xmlns='{ns.CONFERENCE}'/>", DIRECT)) is None
