"""Faults that the server has on purpose, so that one can watch how a client lives with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.errors import UsageError
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xmppsh.model import Element
    from xmppsh.playground.wire import Wire

KINDS = "cut-after=N, hole, no-ack or slow=MS"


@dataclass
class Faults:
    """cut_after: each connection is cut after its Nth message, which is routed and not acknowledged. hole: the first
    connection that brings a message falls silent, once: nothing is read or written any more, and nothing is closed.
    no_ack: `<r/>` is never answered. slow_s: everything comes that many seconds late once a client is bound.
    """

    cut_after: int | None = None
    hole: bool = False
    no_ack: bool = False
    slow_s: float = 0.0

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Faults:
        """Read the values of `--fault`; raises UsageError."""
        faults = cls()
        for text in texts:
            kind, _, number = text.partition("=")
            match kind, number:
                case "hole", "":
                    faults.hole = True
                case "no-ack", "":
                    faults.no_ack = True
                case "cut-after", _:
                    faults.cut_after = _count(text, number)
                case "slow", _:
                    faults.slow_s = _count(text, number) / 1000
                case _:
                    raise UsageError(f"--fault: {text!r} is not {KINDS}")
        return faults


class Trouble:
    """The faults of one connection."""

    def __init__(self, faults: Faults, wire: Wire) -> None:
        self._faults, self._wire = faults, wire
        self._messages = 0  # that have come

    def begin(self) -> None:
        """A resource is bound, or a session resumed."""
        self._wire.late_s = self._faults.slow_s

    def befalls(self, stanza: Element, receive: Callable[[Element], None]) -> bool:
        """Let a stanza in, or not; True when the connection is as good as dead now."""
        if stanza.kind != "message":
            receive(stanza)
            return False
        if self._faults.hole:
            self._faults.hole = False
            self._wire.fall_silent()
            return True
        receive(stanza)
        self._messages += 1
        if self._messages != self._faults.cut_after:
            return False
        self._wire.abort()
        return True

    def keeps_acks(self) -> bool:
        """Is `<r/>` not answered?"""
        return self._faults.no_ack


def _count(text: str, number: str) -> int:
    if not (number.isascii() and number.isdigit() and 0 < int(number) <= 1_000_000):
        raise UsageError(f"--fault: {text!r} needs a number, from 1 to 1000000")
    return int(number)
