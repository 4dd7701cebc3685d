"""What became of the stanzas of a lost session: counters and proofs in, fates out. Pure: it asks nobody.

What is uncertain in the queue belongs to the lost sessions, in their order. Proof is, first to last: the h of
`<failed/>` (XEP-0198 §5), the server's final count that a witness kept, the archive of our own account (XEP-0313).
No proof, no second sending.

An origin-id (XEP-0359) proves arrival only when we made it, for this one stanza. An id that came with the input may be
on a copy that a former run sent, and no stamp tells them apart: a stanza leaves milliseconds after it is stored, and
servers stamp in whole seconds of a clock of their own. Such a message has not arrived when it is missing from the
archive; else it is uncertain.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from xmppsh.outbox.queue import Entry, Fate
from xmppsh.plain import dataclass
from xmppsh.protocol.resuming import is_erlang
from xmppsh.protocol.sm import MODULUS
from xmppsh.xmlio.reader import read_element, tree
from xmppsh.xmlio.stanzas import ORIGIN_ID, origin_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from xmppsh.protocol.sm import StreamManagement


# ── What a resumption proves ────────────────────────────────────────────────────────────────────────────────────────


class Answer(StrEnum):
    """How the server answered the request to resume the session."""

    RESUMED = "<resumed h/>"
    COUNTED = "<failed h/>"
    FAILED = "<failed/>, in time"
    RIVAL = "<failed/>, in time, while an older request of ours had no answer"
    LATE = "<failed/>, late"
    NOT_ASKED = "another session was bound without asking"


class Server(StrEnum):
    """What the h of `<resumed/>` is."""

    EXACT = "everything that the former stream will ever handle"
    SNAPSHOT = "what it had handled so far: it may go on with what it had read"


class Step(StrEnum):
    """What to do about the stanzas in flight after that."""

    SEND_AGAIN = "they never arrived: send them again, first and in order"
    ASK_AGAIN = "close the session and ask for it once more: <failed/> proves that the former stream has ended"
    COUNT = "h says which ones arrived"
    ONE_LOOK = "the former stream has ended: the archive has everything that arrived"
    SEVERAL_LOOKS = "the former stream may still be at work: several looks over some seconds have to agree"
    NO_PROOF = "what the archive has arrived, of the others nobody can tell"


# Measured on ejabberd 23.01 and 26.07: the process of the former stream answers `<resume/>` with a snapshot and goes on
# routing what it had parsed. `<failed/>` comes when it has unregistered, which is after its last stanza; or when it did
# not answer within 15 s, which proves nothing.
PROVES: dict[tuple[Answer, Server], Step] = {
    (Answer.RESUMED, Server.EXACT): Step.SEND_AGAIN,
    (Answer.RESUMED, Server.SNAPSHOT): Step.ASK_AGAIN,
    (Answer.COUNTED, Server.EXACT): Step.COUNT,
    (Answer.COUNTED, Server.SNAPSHOT): Step.COUNT,
    (Answer.FAILED, Server.EXACT): Step.ONE_LOOK,
    (Answer.FAILED, Server.SNAPSHOT): Step.ONE_LOOK,
    (Answer.RIVAL, Server.EXACT): Step.SEVERAL_LOOKS,
    (Answer.RIVAL, Server.SNAPSHOT): Step.SEVERAL_LOOKS,
    (Answer.LATE, Server.EXACT): Step.SEVERAL_LOOKS,
    (Answer.LATE, Server.SNAPSHOT): Step.NO_PROOF,
    (Answer.NOT_ASKED, Server.EXACT): Step.SEVERAL_LOOKS,
    (Answer.NOT_ASKED, Server.SNAPSHOT): Step.NO_PROOF,
}


def server_of(sm_id: str) -> Server:
    """What kind of server gave this id."""
    return Server.SNAPSHOT if is_erlang(sm_id) else Server.EXACT


# ── Counters ────────────────────────────────────────────────────────────────────────────────────────────────────────


def by_handled(entries: Sequence[Entry], released: int) -> list[Fate]:
    """XEP-0198 §5: the server had handled the `released` oldest; the others never arrived."""
    return [_own(entry) or (Fate.ACKED if index < released else Fate.QUEUED) for index, entry in enumerate(entries)]


def _own(entry: Entry) -> Fate | None:
    """The session's own stanzas ended with it."""
    return None if entry.number else Fate.FAILED


def by_final_count(entries: Sequence[Entry], sm: StreamManagement | None, h: int | None) -> Sequence[Fate | None]:
    """The fates that the server's final count proves; None for each when it is no count of this session.

    sm: our counters of the lost session; h: how many stanzas the server had handled when it was closed. Where that is
    a snapshot it proves what it covers, and nothing of the rest.
    """
    released = None if sm is None or h is None else (h - sm.acked) % MODULUS
    if sm is None or released is None or released > sm.unacked:
        return [None] * len(entries)
    fates = by_handled(entries, released)
    if sm.resumption is not None and server_of(sm.resumption.sm_id) is Server.SNAPSHOT:
        return [None if fate is Fate.QUEUED else fate for fate in fates]
    return fates


@dataclass(frozen=True, slots=True)
class LostSession:
    """A session that was lost with `count` stanzas in flight. sm: its counters; None when nobody can know its end."""

    sm: StreamManagement | None
    count: int


class LostSessions:
    """The lost sessions whose stanzas are still uncertain, the oldest first."""

    def __init__(self) -> None:
        self._lost: list[LostSession] = []

    def add(self, sm: StreamManagement | None, older: int, count: int) -> None:
        """A session was lost, with `count` stanzas in flight; `older` ones were uncertain before."""
        if older != sum(lost.count for lost in self._lost):
            self._lost = [LostSession(None, older)]  # of former processes, or the witness was asked already
        self._lost.append(LostSession(sm, count))

    def split(self, uncertain: Sequence[Entry]) -> list[tuple[StreamManagement | None, Sequence[Entry]]]:
        """The uncertain stanzas of each lost session; last those that belong to none."""
        parts: list[tuple[StreamManagement | None, Sequence[Entry]]] = []
        start = 0
        for lost in self._lost:
            parts.append((lost.sm, uncertain[start : start + lost.count]))
            start += lost.count
        return [*parts, (None, uncertain[start:])]


# ── The archive ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Name:
    """What the archive knows a message by: the value of its origin-id element, otherwise that of its id attribute.

    is_origin: which of the two it is, so that the one is never taken for the other.
    """

    value: str
    is_origin: bool


def name_of(entry: Entry) -> Name | None:
    """The name to look for; None for what no archive keeps: IQ, presence, and the session's own stanzas."""
    if not entry.number or entry.kind != "message":
        return None
    if _is_ours(entry):
        return Name(entry.stanza_id, True)
    message = tree(read_element(entry.xml))
    origin = message.find(ORIGIN_ID)
    return Name(message.get("id", ""), False) if origin is None else Name(origin.get("id", ""), True)


def _is_ours(entry: Entry) -> bool:
    """Did we make its origin-id, so that no other stanza has it?"""
    return origin_id(entry.stanza_id) in entry.xml


def by_findings(entry: Entry, name: Name | None, found: AbstractSet[Name], *, complete: bool) -> Fate:
    """The fate that the archive proves. complete: it keeps every message, and was read back far enough."""
    if name is None:
        return Fate.FAILED
    if name in found:
        return Fate.ACKED if _is_ours(entry) else Fate.UNCERTAIN
    return Fate.QUEUED if complete and name.value else Fate.UNCERTAIN


def without_archive(entry: Entry) -> Fate:
    """The fate when nobody can tell."""
    return Fate.UNCERTAIN if entry.kind == "message" else Fate.FAILED
