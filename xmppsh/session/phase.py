"""The phases of a session."""

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
