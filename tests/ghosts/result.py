"""What a round showed, what was promised, and both as tables."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

PROCESSES = "left behind: processes"
SESSIONS = "left behind: sessions on the server"
FILES = "left behind: lock files, sockets, session rows"
INBOUND = "unacknowledged messages that the next client got, once"
OUTBOUND = "messages handed to `pipe` that arrived, once and in order"


@dataclass(frozen=True)
class Goal:
    """Seconds from the fault to `unavailable`: the most for the median of the rounds, and for each of them."""

    median_s: float
    max_s: float

    def __str__(self) -> str:
        if self.median_s == self.max_s:
            return f"≤ {self.max_s:g}"
        return f"≤ {self.median_s:g} / ≤ {self.max_s:g}"


@dataclass
class Round:
    """One fault. `broken` lists the promises that it broke.

    kept_s: how long the server keeps a session that lost its connection, unless it is asked for less;
    seconds: from the fault until the contact had `unavailable`; math.inf: not within watch_s; None: nothing to time.
    tallies: what was counted, and how much of it there should be.
    """

    server: str
    fault: str
    program: str
    kept_s: float = 0.0
    seconds: float | None = None
    watch_s: float = 0.0
    goal: Goal | None = None
    tallies: dict[str, tuple[int, int]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    guard_bytes: int = 0  # the guard's memory that it shares with nobody
    note: str = ""
    report: str = ""  # the program's own words, shown when something is broken

    def demand(self, fact: bool, promise: str) -> None:
        """A promise that must hold."""
        if not fact:
            self.broken.append(promise)

    def count(self, what: str, found: int, wanted: int, details: str = "") -> None:
        """A promise about a number."""
        self.tallies[what] = (found, wanted)
        self.demand(found == wanted, f"{what}: {found}, not {wanted}{': ' + details if details else ''}")

    @property
    def line(self) -> str:
        """The round in one line."""
        seconds = "" if self.seconds is None else f"{_seconds(self.seconds, self.watch_s)} s"
        verdict = "BROKEN: " + "; ".join(self.broken) if self.broken else "ok"
        note = f"  ({self.note})" if self.note else ""
        return f"{self.server:<9} {self.fault:<32} {self.program:<28} {seconds:>9}  {verdict}{note}"


def missed_goals(rounds: Iterable[Round]) -> list[str]:
    """The goals that a group of rounds missed, in sentences."""
    missed = []
    for (fault, program), servers in _grouped(rounds).items():
        for server, group in servers.items():
            goal, seconds = group[0].goal, _timed(group)
            if goal is None or not seconds:
                continue
            median, most = statistics.median(seconds), max(seconds)
            if median > goal.median_s or most > goal.max_s:
                figures = f"median {median:.3g} s, maximum {most:.3g} s"
                missed.append(f"{fault}, {program}, {server}: {figures}, the goal is {goal}")
    return missed


def times_table(rounds: Sequence[Round]) -> str:
    """Markdown: a line for each fault and program, a column for each server; cells are median / maximum."""
    servers = _servers(rounds)
    lines = [("ended by", "program", "server keeps it", *servers, "goal")]
    for (fault, program), found in _grouped(rounds).items():
        if any(_timed(group) for group in found.values()):
            one = next(group[0] for group in found.values())
            cells = [_cell(found.get(server, [])) for server in servers]
            lines.append((fault, program, f"{one.kept_s:g} s", *cells, "–" if one.goal is None else str(one.goal)))
    return _markdown(lines)


def counts_table(rounds: Sequence[Round]) -> str:
    """Markdown: a line for each promise, with what was found of what should be, over all rounds."""
    servers = _servers(rounds)
    lines = [("promise", *servers)]
    for name in dict.fromkeys(name for one in rounds for name in one.tallies):
        cells = [_tally([one for one in rounds if one.server == server], name) for server in servers]
        lines.append((name, *cells))
    return _markdown(lines)


def _timed(group: Iterable[Round]) -> list[float]:
    return [one.seconds for one in group if one.seconds is not None]


def _servers(rounds: Iterable[Round]) -> list[str]:
    return list(dict.fromkeys(one.server for one in rounds))


def _grouped(rounds: Iterable[Round]) -> dict[tuple[str, str], dict[str, list[Round]]]:
    """By fault and program, then by server; all programs of one fault stand together."""
    groups: dict[tuple[str, str], dict[str, list[Round]]] = {}
    faults: dict[str, list[Round]] = {}
    for one in rounds:
        faults.setdefault(one.fault, []).append(one)
    for one in chain.from_iterable(faults.values()):
        groups.setdefault((one.fault, one.program), {}).setdefault(one.server, []).append(one)
    return groups


def _cell(group: list[Round]) -> str:
    seconds = _timed(group)
    if not seconds:
        return "–"
    watch_s = max(one.watch_s for one in group)
    median, most = (_seconds(value, watch_s) for value in (statistics.median(seconds), max(seconds)))
    return f"{median if median == most and '>' in most else f'{median} / {most}'} ({len(seconds)})"


def _seconds(seconds: float, watch_s: float) -> str:
    if math.isinf(seconds):
        return f"> {watch_s:g}"
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.1f}"


def _tally(group: list[Round], name: str) -> str:
    tallies = [one.tallies[name] for one in group if name in one.tallies]
    if not tallies:
        return "–"
    found, wanted = (sum(column) for column in zip(*tallies, strict=True))
    return f"{found} of {wanted}" if wanted else f"{found} in {len(tallies)} rounds"


def _markdown(lines: list[tuple[str, ...]]) -> str:
    rows = [lines[0], tuple("---" for _ in lines[0]), *lines[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
