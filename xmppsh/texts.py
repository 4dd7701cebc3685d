"""What is said in one way everywhere: why the operating system refused, a moment, the type of a log."""

from __future__ import annotations

import datetime
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal, Protocol

    class Log(Protocol):
        """Takes what happens as a sentence. Level 1 is shown with -v, level 2 with -vv and so on; 0 always."""

        def __call__(self, level: int, text: str, /) -> None: ...


def os_reason(error: BaseException) -> str:
    """Why the operating system refused, as the end of a sentence: `no such file or directory`."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def asking_for_network(hint: str, *reasons: str) -> str:
    """The hint, and before it the question whether there is a network here, where nothing else was at fault."""
    gone = os.strerror(errno.ENETUNREACH).lower()
    is_gone = reasons and all(gone in reason for reason in reasons)
    return f"is this machine connected to a network? {hint}" if is_gone else hint


def rfc3339(moment: datetime.datetime, timespec: Literal["seconds", "milliseconds"] = "milliseconds") -> str:
    """A moment in UTC as RFC 3339 and XEP-0082 write it: `2026-01-31T12:00:00.000Z`. It must know its time zone."""
    return moment.astimezone(datetime.UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def to_run(*words: object) -> str:
    """One of our own commands, as somebody can paste it: names may have spaces, quotes and more in them."""
    from shlex import join

    return join(["xmppsh", *map(str, words)])


def local(moment: datetime.datetime) -> datetime.datetime:
    """A moment in our time zone; as it is where the calendar ends before: anybody can stamp the year 1 or 9999."""
    try:
        return moment.astimezone()
    except OverflowError:
        return moment
