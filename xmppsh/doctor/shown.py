"""How the report is shown: check by check, in rows for people, or for a monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from xmppsh.doctor.monitors import nagios, openmetrics
from xmppsh.doctor.report import STATUSES
from xmppsh.doctor.rows import Rows, summary
from xmppsh.output.verbatim import Verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xmppsh.doctor.report import Check
    from xmppsh.output.record import Record


class Shown(Protocol):
    """What is printed of a report. code: the exit code when it is not the one of the first failure."""

    code: int | None

    def add(self, check: Check) -> Iterable[Record]:
        """What is to be printed now that this check is known."""

    def end(self, took_s: float, code: int) -> Iterable[Record]:
        """What is to be printed when all is known. code: of the first failure, 0 when there is none."""


class EachCheck:
    """Every check as it comes. with_summary: a line about all of them at the end."""

    def __init__(self, *, with_summary: bool) -> None:
        self.code: int | None = None
        self._with_summary, self._counts = with_summary, dict.fromkeys(STATUSES, 0)

    def add(self, check: Check) -> Iterable[Record]:
        self._counts[check.status] += 1
        return [check]

    def end(self, took_s: float, code: int) -> Iterable[Record]:
        return [Verbatim(summary(self._counts, took_s, code))] if self._with_summary else []


class InRows:
    """One row a layer. whom: what is examined; columns: of the terminal, 0: rows are not broken."""

    def __init__(self, whom: str, columns: int) -> None:
        self.code: int | None = None
        self._first: list[Record] = [Verbatim(whom)]
        self._rows = Rows(columns)

    def add(self, check: Check) -> Iterable[Record]:
        first, self._first = self._first, []
        return [*first, *map(Verbatim, self._rows.add(check))]

    def end(self, took_s: float, code: int) -> Iterable[Record]:
        return [*map(Verbatim, self._rows.end()), Verbatim(summary(self._rows.counts, took_s, code))]


class ForMonitor:
    """All of it at the end. kind: nagios or openmetrics; domain: whose server it is."""

    def __init__(self, kind: str, domain: str) -> None:
        self.code: int | None = None
        self._kind, self._domain = kind, domain
        self._checks: list[Check] = []

    def add(self, check: Check) -> Iterable[Record]:
        self._checks.append(check)
        return []

    def end(self, took_s: float, code: int) -> Iterable[Record]:
        if self._kind == "nagios":
            lines, self.code = nagios(self._checks, took_s)
        else:
            lines = list(openmetrics(self._domain, self._checks, took_s, code))
        return map(Verbatim, lines)
