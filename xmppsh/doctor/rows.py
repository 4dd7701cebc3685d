"""The report for people: one row a layer, each failure and warning once, what was not reached counted, a summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.doctor.report import CHECKS, GROUP_WIDTH, STATUSES
from xmppsh.output import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from xmppsh.doctor.report import Check, Group, Status

SHOWN_ONCE: tuple[Status, ...] = ("fail", "warn")  # what was found at several places is one row, and counts as one
MARKS: dict[Status, str] = {"ok": "✓", "warn": "!", "fail": "✗", "skip": "·"}
# What the row of a layer where all is well tells; all names of its checks where none of these is there.
HEADLINES: dict[Group, tuple[str, ...]] = {
    "dns": ("SRV", "DNSSEC", "addresses"),
    "tcp": ("connection", ""),
    "tls": ("handshake", "expiry", "TLSA"),
    "stream": ("header",),
    "sasl": ("choice", "login"),
    "bind": ("resource",),
    "session": (),
}
INDENT = " " * (GROUP_WIDTH + 4)
LEAST_COLUMNS = 40  # a terminal that is narrower breaks the lines as it likes


class Rows:
    """Makes rows of checks. columns: of the terminal; 0: each row is one line, however long."""

    def __init__(self, columns: int) -> None:
        self._columns = columns if columns >= LEAST_COLUMNS else 0
        self._group: list[Check] = []
        self._unreached: dict[str, list[Check]] = {}
        self.counts: dict[Status, int] = dict.fromkeys(STATUSES, 0)

    def add(self, check: Check) -> Iterator[str]:
        """The rows that are complete now that this check is known."""
        if check.status not in SHOWN_ONCE:
            self.counts[check.status] += 1
        if self._group and self._group[0].group != check.group:
            yield from self._flush()
        self._group.append(check)

    def end(self) -> Iterator[str]:
        """The rows that are left."""
        yield from self._flush()
        for reason, checks in self._unreached.items():
            groups = ", ".join(dict.fromkeys(check.group for check in checks))
            said = f"not reached, {reason}" if reason.startswith("because ") else reason
            yield f" {MARKS['skip']} {groups}: {safe.line(said)} ({_number(len(checks), 'check')}; -v lists them)"

    def _flush(self) -> Iterator[str]:
        checks, self._group = self._group, []
        if checks and all(check.status == "skip" for check in checks):
            self._unreached.setdefault(checks[0].detail, []).extend(checks)
            return
        for status in SHOWN_ONCE:
            for said, hint, same in _merged(check for check in checks if check.status == status):
                self.counts[status] += 1
                facts = _facts(checks, same) if status == "fail" else ()
                yield self._row(same[0], [said, *facts], hint)
        good = [check for check in checks if check.status == "ok"]
        if good and not any(check.status == "fail" for check in checks):
            yield self._row(good[0], [_headline(good)], None)
        for check in checks:
            if check.status == "skip" and check.detail.startswith("because "):
                self._unreached.setdefault(check.detail, []).append(check)

    def _row(self, check: Check, sentences: Sequence[str], hint: str | None) -> str:
        begin = f" {MARKS[check.status]} {check.group:{GROUP_WIDTH}} "
        sentences = [*map(safe.line, sentences), *([f"try: {safe.line(hint)}"] if hint else [])]
        if not self._columns:
            return begin + "; ".join(sentences)
        import wcwidth

        room = self._columns - len(INDENT)
        lines = [line for sentence in sentences for line in wcwidth.wrap(sentence, room, break_on_hyphens=False)]
        return begin + f"\n{INDENT}".join(lines)


def summary(counts: dict[Status, int], took_s: float, code: int) -> str:
    """How many checks of each kind there were, how long it took, and the exit code."""
    words = [
        f"{counts['fail']} failed",
        _number(counts["warn"], "warning"),
        f"{counts['ok']} ok",
        f"{counts['skip']} not made",
    ]
    return f"{', '.join(words)} in {took_s:.1f} s; exit code {code}"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"


def _parts(check: Check) -> tuple[str, str]:
    """What a check is of, and at which place; either may be empty."""
    for name in CHECKS[check.group]:
        if check.check.startswith(name):
            return name, check.check[len(name) :].strip(" ,")
    return "", check.check


def _merged(checks: Iterable[Check]) -> Iterator[tuple[str, str | None, list[Check]]]:
    """What was found, once, with all the places where it was; the hint; and those checks."""
    found: dict[tuple[str, str | None], list[Check]] = {}
    for check in checks:
        found.setdefault((check.detail, check.hint), []).append(check)
    for (detail, hint), same in found.items():
        places = ", ".join(dict.fromkeys(place or name for name, place in map(_parts, same)))
        yield f"{places}: {detail}", hint, same


def _facts(checks: Sequence[Check], same: Sequence[Check]) -> Iterator[str]:
    """What is known beside it: the certificate that is at fault."""
    places = {_parts(check)[1] for check in same if check.group == "tls"}
    seen = [check for check in checks if check.status != "skip" and _parts(check)[0] == "certificate"]
    yield from dict.fromkeys(check.detail for check in seen if _parts(check)[1] in places)


def _headline(good: Sequence[Check]) -> str:
    wanted = HEADLINES[good[0].group]
    named = [check for check in good if wanted and _parts(check)[0].startswith(wanted)]
    if not named:
        return ", ".join(check.check for check in good)
    return "; ".join(said for said, _hint, _checks in _merged(named))
