"""Ends that a program can see coming: it closes its stream, and the session is gone at once."""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from support.servers import Server

from ghosts.result import Goal, Round
from ghosts.stage import staged
from ghosts.subjects import Connect, Listen, Pipe, Subject

CLEAN = Goal(0.1, 1.0)  # sessions.md; the maximum is what the end-to-end tests demand
WATCH_S = 20.0


@dataclass(frozen=True)
class Way:
    """One way to end a program, and the exit code that belongs to it."""

    fault: str
    kind: type[Subject]
    act: Callable[[Subject], None]
    code: int


def _signals(kind: type[Subject], *names: str) -> Iterator[Way]:
    for name in names:
        number = signal.Signals[name]
        yield Way(name, kind, partial(_send, number), 128 + number)


def _send(number: signal.Signals, subject: Subject) -> None:
    subject.signal(number)


def _hang_up(subject: Subject) -> None:
    assert isinstance(subject, Connect)
    subject.hang_up()


# SIGINT at the shell's prompt clears the line: it is no end.
WAYS = (
    *_signals(Listen, "SIGTERM", "SIGINT", "SIGHUP"),
    *_signals(Connect, "SIGTERM", "SIGHUP"),
    Way("terminal closed", Connect, _hang_up, 129),
    Way("end of input", Connect, lambda subject: subject.end_input(), 0),
    *_signals(Pipe, "SIGTERM", "SIGINT", "SIGHUP"),
    Way("end of input", Pipe, lambda subject: subject.end_input(), 0),
)


async def clean_end(server: Server, folder: Path, way: Way) -> Round:
    """One program, one end."""
    async with staged(server, folder) as stage:
        shown = stage.shows(way.fault, way.kind.name, CLEAN, WATCH_S)
        subject = await way.kind.online(stage)
        begin = time.monotonic()
        way.act(subject)
        shown.seconds = await stage.gone(subject.full_jid, begin, WATCH_S)
        code = await subject.ended()
        shown.demand(code == way.code, f"exit {code}, not {way.code}")
        await stage.check_nothing_left(shown)
    return shown
