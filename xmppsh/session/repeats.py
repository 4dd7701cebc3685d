"""Recognises a message that the server delivers again, by the stanza-id that it gave it (XEP-0359).

What was read and whose acknowledgement never reached the server comes again from the offline store, on the next
session. That stanza-id alone counts whose `by` is one's own bare JID: every other one may be somebody's invention,
while a server removes foreign ones that claim to be its own (XEP-0359 §6). A server without an archive gives none.
"""

from __future__ import annotations

from collections import deque
from itertools import chain, islice
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.protocol.sm import ACK_EVERY
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Element

MAX_READ = 5_000  # stanzas that are remembered; ejabberd keeps as many unacknowledged
MAX_UNHEARD = 2 * ACK_EVERY  # an ack may be under way
MAX_LOOK = ACK_EVERY  # back for the newest one with a stanza-id: for each h at most
MAX_READ_CHARACTERS = 2 * 1024 * 1024
COPIES, IN_COPY = ("received", "sent"), f"{{{ns.FORWARD}}}forwarded/{{{ns.CLIENT}}}message"


class Repeats:
    """What one reader has read lately. Nothing is parsed before a second session begins: the first repeats nothing.

    account: the own bare JID.
    """

    def __init__(self, account: str) -> None:
        self._account = account
        self._read: deque[Sequence[str]] = deque()  # XML, in the pieces that were noted
        self._count = self._characters = self._unstored = 0
        self._ids: set[str] = set()

    def stanza_id(self, xml: str) -> str:
        """The one that a stanza has of one's own server, empty where there is none."""
        return own_stanza_id(xml, self._account)

    @property
    def read(self) -> list[str]:
        """What was read lately, in order."""
        return [*chain.from_iterable(self._read)]

    @property
    def newest_id(self) -> str:
        """The stanza-id of what was read last, of those that have one; empty where lately none had."""
        newest = islice(chain.from_iterable(map(reversed, reversed(self._read))), MAX_LOOK)
        return next(filter(None, (self.stanza_id(xml) for xml in newest if ns.SID in xml)), "")

    @property
    def ids(self) -> set[str]:
        """What may come again on this session."""
        return self._ids

    def note_read(self, stanzas: Sequence[str]) -> None:
        """These were read; they may be delivered again as long as the server has not heard of that."""
        self._read.append(stanzas)
        self._unstored += len(stanzas)
        self._count += len(stanzas)
        self._characters += sum(map(len, stanzas))
        while self._count > MAX_READ or self._characters > MAX_READ_CHARACTERS:
            oldest = self._read.popleft()
            self._count -= len(oldest)
            self._characters -= sum(map(len, oldest))

    def may_be_among(self, stanzas: Iterable[str]) -> bool:
        """May one of these have been read already?"""
        return bool(self._ids) and any(ns.SID in xml for xml in stanzas)

    def to_store(self) -> list[str]:
        """What was read since this was asked for last, and of which the server may not have heard yet."""
        count, self._unstored = min(self._unstored, MAX_UNHEARD), 0
        return self.read[-count:] if count else []

    def expect(self, stanza_ids: Iterable[str] = ()) -> None:
        """Another session begins: what was read lately may come again, and what has these ids."""
        self._ids.update(filter(None, (*map(self.stanza_id, self.read), *stanza_ids)))

    def is_repeat(self, stanza: Element) -> bool:
        """Was it read on an earlier session?"""
        return bool(self._ids) and self.stanza_id(stanza.xml) in self._ids


def stanza_id(xml: str, by: str) -> str:
    """The id that a stanza has of the archive `by`, empty where there is none."""
    return _id_in(tree(xml), by) if ns.SID in xml else ""


def own_stanza_id(xml: str, account: str) -> str:
    """The id that a stanza has of the own account's archive; a copy (XEP-0280) has that of the message in it."""
    if ns.SID not in xml:
        return ""
    root = tree(xml)
    if ns.CARBONS not in xml or root.get("from", account) != account:  # nobody else makes copies for us (§11)
        return _id_in(root, account)
    copies = (one for kind in COPIES for one in root.iterfind(f"{{{ns.CARBONS}}}{kind}/{IN_COPY}"))
    return next(filter(None, (_id_in(one, account) for one in (root, *copies))), "")


def _id_in(message: Tree, by: str) -> str:
    found = message.iterfind(f"{{{ns.SID}}}stanza-id")
    return next((child.get("id", "") for child in found if child.get("by") == by), "")
