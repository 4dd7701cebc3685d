"""The line at the bottom: who we are, what became of what was sent, who has written. Pure.

Where it does not fit, what is dropped first is what a newcomer needs least: the mechanism, the round trip, the
resource; the hint stays longest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from prompt_toolkit.utils import get_cwidth

from xmppsh.output import safe
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prompt_toolkit.formatted_text import StyleAndTextTuples

BETWEEN = " · "
HINT = "/to JID chooses whom to write to"
SHORT_HINT = "/to JID"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the toolbar tells.

    jid: the full address; sent, open: stanzas, and those without an acknowledgement yet; cut_s: since when the link is
    cut, in seconds, None when it is up; next_try_s: to the next try to connect, None while one is made; unread: how
    many messages each person has left; typing: who writes just now; reached: is the last message to whom we write to
    `delivered`, or even `read`? is_kept: stands what waits on the disk, too?
    """

    jid: str
    tls: str | None
    mechanism: str
    sent: int
    open: int
    cut_s: float | None = None
    next_try_s: float | None = None
    round_trip_ms: float | None = None
    unread: Mapping[str, int] | None = None
    typing: str | None = None
    has_target: bool = True
    reached: str | None = None
    is_kept: bool = True


@dataclass(frozen=True, slots=True)
class _Part:
    """rank: what has the highest goes first; shorter: what takes its place then, each with a rank of its own."""

    rank: int
    text: str
    style: str = ""
    shorter: tuple[tuple[int, str], ...] = ()


def toolbar(facts: Facts, columns: int) -> StyleAndTextTuples:
    """As much of it as fits into the columns of the terminal."""
    parts = _parts(facts)
    while _width(parts) > columns and (len(parts) > 1 or parts[0].shorter):
        part = max(parts, key=lambda part: part.rank)
        at = parts.index(part)
        if part.shorter:
            (rank, text), *others = part.shorter
            parts[at] = replace(part, rank=rank, text=text, shorter=tuple(others))
        else:
            del parts[at]
    pieces: StyleAndTextTuples = []
    for part in parts:
        pieces += [("", BETWEEN if pieces else " "), (part.style, part.text)]
    return pieces


def _width(parts: list[_Part]) -> int:
    return sum(get_cwidth(part.text) for part in parts) + len(BETWEEN) * (len(parts) - 1) + 1


def _parts(facts: Facts) -> list[_Part]:
    jid = safe.line(facts.jid)
    bare, _, _ = jid.partition("/")
    parts = [_Part(7, jid, shorter=((5, bare), (2, bare.partition("@")[0])))]
    if not facts.has_target:
        parts.append(_Part(0, HINT, shorter=((0, SHORT_HINT),)))
    parts += _state(facts)
    if facts.unread:
        parts.append(
            _Part(
                3, _unread(facts.unread), "class:bottom-toolbar.unread", ((1, f"{sum(facts.unread.values())} unread"),)
            )
        )
    if facts.typing is not None:
        parts.append(_Part(4, f"{safe.line(facts.typing)} is writing …"))
    if facts.cut_s is None:
        if facts.round_trip_ms is not None:
            parts.append(_Part(8, f"round trip {facts.round_trip_ms:.0f} ms"))
        encrypted = facts.tls.replace("TLSv", "TLS ") if facts.tls else "not encrypted"
        parts.append(_Part(10, f"{encrypted}, {facts.mechanism}", shorter=((9, encrypted),)))
    return parts


def _state(facts: Facts) -> list[_Part]:
    if facts.cut_s is None:
        if facts.open:
            return [_Part(2, f"{facts.open} of {facts.sent} on the way")]
        if facts.reached is not None:
            return [_Part(6, f"all sent, the last one {facts.reached}", shorter=((2, facts.reached),))]
        return [_Part(2, "all sent" if facts.sent else "nothing sent yet")]
    offline = f"OFFLINE {facts.cut_s:.0f} s"
    trying = "connecting" if facts.next_try_s is None else f"next try in {facts.next_try_s:.0f} s"
    parts = [_Part(1, f"{offline}, {trying}", "class:alert", ((1, offline),))]
    if facts.open:
        wait = "1 stanza waits" if facts.open == 1 else f"{facts.open} stanzas wait"
        parts.append(_Part(2, f"{wait}{', kept on disk' * facts.is_kept}", shorter=((2, wait),)))
    return parts


def _unread(unread: Mapping[str, int]) -> str:
    """The person with the newest first; how to get there is told for one."""
    names = [f"{safe.line(name)} {count}" for name, count in unread.items()]
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"unread: {shown}"
