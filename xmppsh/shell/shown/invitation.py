"""Invitations to rooms, from the room (XEP-0045 §7.8.2) or from who invites (XEP-0249), and refusals of ours. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

from xmppsh import ns
from xmppsh.output import safe
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.output.records import MessageRecord

OF_ROOM = f"{{{ns.MUC_USER}}}x"
DIRECT = f"{{{ns.CONFERENCE}}}x"


class Invitation(NamedTuple):
    """mark: what it is. text: who and why, where the message says nothing itself; line: what accepts it, or nothing."""

    mark: str
    text: str
    line: str


def invitation(record: MessageRecord) -> Invitation | None:
    """The invitation that a message is, or the answer to one of ours."""
    if record.carbon == "sent" or not {OF_ROOM, DIRECT}.intersection(record.payloads):
        return None
    message = tree(record.xml)
    of_room, direct = message.find(OF_ROOM), message.find(DIRECT)
    if of_room is not None:
        room = (record.from_ or "").partition("/")[0]
        if (invite := of_room.find(f"{{{ns.MUC_USER}}}invite")) is not None:
            return Invitation("[invitation]", _who(invite), _line(room, _text(of_room, "password")))
        if (decline := of_room.find(f"{{{ns.MUC_USER}}}decline")) is not None:
            return Invitation("[declined]", _who(decline), "")
    if direct is not None and direct.get("jid"):
        reason = safe.line(direct.get("reason", ""))
        return Invitation("[invitation]", reason, _line(direct.get("jid", ""), direct.get("password")))
    return None


def _who(element: Tree) -> str:
    reason = _text(element, "reason")
    return safe.line(element.get("from", "") + (f": {reason}" if reason else ""))


def _line(room: str, password: str | None) -> str:
    words = ["/join", room, *(["--room-password", password] if password else [])]
    return safe.line(shlex.join(words))


def _text(parent: Tree, name: str) -> str:
    return (parent.findtext(f"{{{ns.MUC_USER}}}{name}") or "").strip()
