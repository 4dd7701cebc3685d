"""The report: one check after the other, each handed on as soon as it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.resolve.options import CLIENTS, SERVERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from xmppsh.errors import XmppshError

Group = Literal["dns", "tcp", "tls", "stream", "sasl", "bind", "session"]
Status = Literal["ok", "warn", "fail", "skip"]
STATUSES: tuple[Status, ...] = get_args(Status)

# The checks of each group, as they are called when they cannot be made at all.
CHECKS: dict[Group, tuple[str, ...]] = {
    "dns": (*(f"SRV {service}" for side in (CLIENTS, SERVERS) for service in side.services), "DNSSEC", "addresses"),
    "tcp": ("connection",),
    "tls": ("handshake", "names", "chain", "expiry", "certificate", "protocols", "TLSA"),
    "stream": ("header", "features", "limits", "registration"),
    "sasl": ("mechanisms", "channel binding", "choice", "login"),
    "bind": ("resource",),
    "session": (
        "carbons",
        "archive",
        "blocking",
        "clock",
        "upload",
        "stream management",
        "host-meta",
        "host-meta.json",
    ),
}


GROUP_WIDTH, STATUS_WIDTH, CHECK_WIDTH = 7, 4, 31


@dataclass(frozen=True, slots=True)
class Check(Record):
    """What one look of `doctor` has shown."""

    group: Group
    """The layer that was looked at."""
    check: str
    """What of it."""
    status: Status
    """skip: it could not be looked at."""
    detail: str
    """What was found; it may hold foreign text."""
    hint: str | None = None
    """What to try."""
    value: float | None = None
    """The figure of it: of tcp the seconds that connecting took, of expiry the days left; null where there is none."""

    def text(self) -> str:
        """The check as one line, its columns aligned with those of the others."""
        hint = f"; try: {self.hint}" if self.hint else ""
        columns = f"{self.group:{GROUP_WIDTH}}  {self.status:{STATUS_WIDTH}}  {safe.line(self.check):{CHECK_WIDTH}}"
        return f"{columns}  {safe.line(self.detail + hint)}"


class Report:
    """Hands each check on, and remembers the first failure.

    failure: the error that caused it; failed: the check.
    """

    def __init__(self, emit: Callable[[Check], Awaitable[None]]) -> None:
        self._emit = emit
        self.failure: XmppshError | None = None
        self.failed: Check | None = None

    async def ok(self, group: Group, check: str, detail: str, *, value: float | None = None) -> None:
        """It is as it should be."""
        await self._emit(Check(group, check, "ok", detail, value=value))

    async def warn(
        self, group: Group, check: str, detail: str, hint: str | None = None, *, value: float | None = None
    ) -> None:
        """It works, and could be better, or will not work for long."""
        await self._emit(Check(group, check, "warn", detail, hint, value))

    async def fail(
        self, group: Group, check: str, error: XmppshError, detail: str | None = None, *, value: float | None = None
    ) -> None:
        """It does not work; detail: in place of the error's sentence."""
        failed = Check(group, check, "fail", detail or str(error), error.hint, value)
        if self.failure is None:
            self.failure, self.failed = error, failed
        await self._emit(failed)

    async def skip(self, group: Group, check: str, reason: str) -> None:
        """It cannot be looked at, or there is nothing to look at."""
        await self._emit(Check(group, check, "skip", reason))

    async def skip_groups(self, groups: Iterable[Group], reason: str) -> None:
        """Nothing of these groups can be looked at."""
        for group in groups:
            for check in CHECKS[group]:
                await self.skip(group, check, reason)

    @property
    def because(self) -> str:
        """Why nothing after the first failure can be looked at."""
        return "because an earlier check failed" if self.failed is None else because(self.failed.check)


def because(check: str) -> str:
    """The reason given for each check that is skipped because that one failed."""
    return f"because {check} failed"
