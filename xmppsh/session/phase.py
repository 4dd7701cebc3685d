"""The phases of a session, as a table: a turn that is not in it is a bug."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where the session stands."""

    OFFLINE = "offline"  # not connected yet
    LIVE = "live"
    LINGERING = "lingering"  # the link is cut, the session may be resumed
    RECONCILING = "reconciling"  # on a new session, finding out what became of the old one's stanzas
    CLOSING = "closing"
    OVER = "over"


class Turn(StrEnum):
    """What moves a session from one phase to another."""

    STREAM_LIVE = "stream live"  # and nothing is uncertain
    IN_DOUBT = "stream live, stanzas uncertain"
    SETTLED = "uncertain stanzas settled"
    CUT = "cut"
    CLOSE = "close"
    END = "end"


TABLE: dict[tuple[Phase, Turn], Phase] = {
    (Phase.OFFLINE, Turn.STREAM_LIVE): Phase.LIVE,
    (Phase.OFFLINE, Turn.IN_DOUBT): Phase.RECONCILING,
    (Phase.LINGERING, Turn.STREAM_LIVE): Phase.LIVE,
    (Phase.LINGERING, Turn.IN_DOUBT): Phase.RECONCILING,
    (Phase.RECONCILING, Turn.SETTLED): Phase.LIVE,
    (Phase.LIVE, Turn.CUT): Phase.LINGERING,
    (Phase.RECONCILING, Turn.CUT): Phase.LINGERING,
    (Phase.LINGERING, Turn.CUT): Phase.LINGERING,
    (Phase.OFFLINE, Turn.CUT): Phase.LINGERING,  # of a former process: closed, and asked for again
    (Phase.OFFLINE, Turn.CLOSE): Phase.CLOSING,
    (Phase.LIVE, Turn.CLOSE): Phase.CLOSING,
    (Phase.LINGERING, Turn.CLOSE): Phase.CLOSING,
    (Phase.RECONCILING, Turn.CLOSE): Phase.CLOSING,
    (Phase.CLOSING, Turn.CLOSE): Phase.CLOSING,
    (Phase.OFFLINE, Turn.END): Phase.OVER,
    (Phase.LIVE, Turn.END): Phase.OVER,
    (Phase.LINGERING, Turn.END): Phase.OVER,
    (Phase.RECONCILING, Turn.END): Phase.OVER,
    (Phase.CLOSING, Turn.END): Phase.OVER,
}

CAN_SEND = frozenset({Phase.LIVE, Phase.LINGERING, Phase.RECONCILING})  # what is handed in now is kept and sent
CAN_HEAL = CAN_SEND
CAN_ANSWER = frozenset({Phase.LIVE, Phase.RECONCILING})  # there is a stream


def after(phase: Phase, turn: Turn) -> Phase:
    """The phase that a turn leads to."""
    assert (phase, turn) in TABLE, f"a session that is {phase} cannot turn by {turn!r}"
    return TABLE[phase, turn]
