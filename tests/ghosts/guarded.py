"""A small program with a guard, to be run as a process: `python -m ghosts.guarded FOLDER HEARTBEAT_S [OUTCOME …]`.

It prints what happens to it, and does what it reads from stdin. Its guard writes each thing it does as a line of
FOLDER/guard: `close` with the names it was told, `silence` when heartbeats stay out. OUTCOME: what becomes of each try
to close the sessions: `unreachable`, `refused`, `bug`, `waits` (for FOLDER/go), or `done`, as behind the last one.
`for ever`: each is `unreachable`, and the server is asked to keep a session for 0.5 s; `short`, as the first: 0.05 s.
"""

import asyncio
import os
import sys
import time
from itertools import chain, repeat
from pathlib import Path

from xmppsh.errors import ConnectError, SaslError, StreamError
from xmppsh.ghosts import guard as module
from xmppsh.ghosts.guard import Guard, KnownSession, is_held_up
from xmppsh.model import Jid
from xmppsh.protocol.sm import ResumableSession, Resumption

FOLDER, OUTCOMES = Path(sys.argv[1]), [outcome for outcome in sys.argv[3:] if outcome != "short"]
KEEP_TRYING_S = 0.5 if "for ever" in OUTCOMES else 0.05 if "short" in sys.argv else 60.0
outcomes = repeat("unreachable") if "for ever" in OUTCOMES else chain(OUTCOMES, repeat("done"))
module.HEARTBEAT_S = float(sys.argv[2])
module.RETRY_S = (0.01,)


def note(line: str) -> None:
    with (FOLDER / "guard").open("a") as file:
        file.write(line + "\n")


def is_held_up_and_noted(pid: int) -> bool:
    note("silence")
    return is_held_up(pid)


module.is_held_up = is_held_up_and_noted


async def close_sessions(names: frozenset[str], _known: KnownSession | None) -> None:
    note(" ".join(["close", *sorted(names)]))
    match next(outcomes):
        case "unreachable":
            raise ConnectError("refused")
        case "refused":
            raise SaslError("wrong password", condition="not-authorized")
        case "bug":
            raise RuntimeError("a bug")
        case "waits":
            _wait_for(FOLDER / "go")


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.005)  # blocks the loop on purpose


def say(line: str) -> None:
    print(line, flush=True)


async def run(guard: Guard) -> bool:
    """Obey; gives whether all is closed at the end."""
    loop = asyncio.get_running_loop()
    beating = asyncio.ensure_future(guard.beat(lambda: say("guard dead")))
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(sys.stdin.fileno(), lambda: lines.put_nowait(sys.stdin.readline().strip()))
    while (line := await lines.get()) not in ("end", "end in a cut"):
        command, _, argument = line.partition(" ")
        match command:
            case "watch":
                guard.watch(argument)
                say("watched")
            case "granted":
                sm = ResumableSession(Resumption("id", None, int(argument)), 0).management()
                guard.on_live(FOLDER / "store", Jid.parse("juliet@example.org/balcony"), sm)
                say("told")
            case "ended":
                say(str(guard.explains(StreamError(argument))))
            case "hang":
                say("hangs")
                _wait_for(FOLDER / argument)
                say("goes on")
    beating.cancel()
    return line == "end"


if __name__ == "__main__":
    os.dup2(os.open(FOLDER, os.O_RDONLY), 200)  # below its channel and above: nothing of it may stay with the guard
    guard = Guard.start(close_sessions, KEEP_TRYING_S)
    guard.watch("one")
    guard.watch("two")
    say(str(guard._pid))
    guard.release(closed=asyncio.run(run(guard)))
    say("released")
    sys.stdin.readline()
