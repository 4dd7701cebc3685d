"""What a run showed: what the receiver counted, how the program ended, and which promises it broke."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

SHOWN = 10  # numbers listed of each kind of fault
DELIVERED = frozenset({0})
HONEST = frozenset({0, 79})  # delivered, or says that it does not know
GAVE_UP = frozenset({69, 75, 79})


@dataclass(frozen=True)
class Count:
    """The numbers that an independent receiver missed, got again, or got behind a higher one."""

    lost: list[int]
    duplicated: list[int]  # each further arrival
    reordered: list[int]  # first arrivals only

    def __str__(self) -> str:
        kinds = {"lost": self.lost, "duplicated": self.duplicated, "reordered": self.reordered}
        return "; ".join(f"{name} {_some(numbers)}" for name, numbers in kinds.items() if numbers) or "all there, once"


def count(arrived: Iterable[int], sent: int) -> Count:
    """Compare arrivals, in their order, with the numbers 0 … sent-1."""
    seen: set[int] = set()
    highest = -1
    duplicated, reordered = [], []
    for number in arrived:
        if not 0 <= number < sent:
            raise ValueError(f"number {number} was never sent")
        if number in seen:
            duplicated.append(number)
        elif number < highest:
            reordered.append(number)
        seen.add(number)
        highest = max(highest, number)
    return Count([number for number in range(sent) if number not in seen], duplicated, reordered)


@dataclass
class Result:
    """One run; `broken` lists the promises that it broke."""

    server: str
    scenario: str
    seed: int
    sent: int
    count: Count
    seconds: float
    links: int
    code: int | None  # None: it did not end within its deadline
    note: str = ""
    broken: list[str] = field(default_factory=list)
    acked: int = 0  # as the program's summary says
    report: str = ""  # the proxy's and the program's own words, shown when something is broken

    @property
    def line(self) -> str:
        """The run in one line."""
        counted = self.count
        figures = (
            f"sent {self.sent:>6}  lost {len(counted.lost):>4}  duplicated {len(counted.duplicated):>4}  "
            f"reordered {len(counted.reordered):>4}  {self.seconds:>6.1f} s  links {self.links:>3}  exit {self.code}"
        )
        verdict = "BROKEN: " + "; ".join(self.broken) if self.broken else "ok"
        note = f"  ({self.note})" if self.note else ""
        return f"{self.server:<9} {self.scenario:<26} seed {self.seed:<10} {figures}  {verdict}{note}"

    @property
    def details(self) -> str:
        """For whoever has to find out why."""
        return "\n".join([self.line, f"receiver: {self.count}", self.report])

    def demand(self, fact: bool, promise: str) -> None:
        """A promise that must hold."""
        if not fact:
            self.broken.append(promise)

    def judge(self, codes: frozenset[int], *, duplicates: bool = False) -> None:
        """The promises of every run: it ends as it may, 0 is never untrue, order is kept, nothing comes twice.

        duplicates: they are counted, not forbidden.
        """
        arrived = self.sent - len(self.count.lost)
        self.demand(self.acked <= arrived, f"{self.acked} acknowledged, {arrived} arrived")
        self.demand(self.code is not None, "no end within its deadline")
        self.demand(self.code is None or self.code in codes, f"exit {self.code}, not one of {sorted(codes)}")
        self.demand(self.code != 0 or not self.count.lost, "exit 0, and messages are lost")
        self.demand(duplicates or not self.count.duplicated, "duplicated")
        self.demand(not self.count.reordered, "reordered")


HEADER = (
    "server", "scenario", "runs", "messages", "lost", "duplicated", "reordered", "seconds med/max", "links med/max",
    "exit codes", "broken",
)  # fmt: skip


def table(results: Iterable[Result]) -> str:
    """One line for each scenario on each server."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.server, result.scenario), []).append(result)
    rows = [HEADER, *(_row(server, scenario, runs) for (server, scenario), runs in groups.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "─" * max(map(len, lines)), *lines[1:]])


def _row(server: str, scenario: str, runs: list[Result]) -> tuple[str, ...]:
    seconds, links = [run.seconds for run in runs], [run.links for run in runs]
    return (
        server,
        scenario,
        str(len(runs)),
        str(sum(run.sent for run in runs)),
        str(sum(len(run.count.lost) for run in runs)),
        str(sum(len(run.count.duplicated) for run in runs)),
        str(sum(len(run.count.reordered) for run in runs)),
        f"{statistics.median(seconds):.1f}/{max(seconds):.1f}",
        f"{statistics.median(links):.0f}/{max(links)}",
        ",".join(sorted({str(run.code) for run in runs})),
        str(sum(bool(run.broken) for run in runs)),
    )


def _some(numbers: list[int]) -> str:
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return f"{len(numbers)}: {', '.join(map(str, numbers[:SHOWN]))}{more}"
