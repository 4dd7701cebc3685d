"""A program that stands still: by SIGSTOP its session is kept, in a stuck event loop it is closed."""

import asyncio
import signal
import time
from pathlib import Path

from support.servers import Server

from ghosts import processes
from ghosts.result import Round
from ghosts.stage import staged
from ghosts.subjects import Listen

STOPPED_S = 30.0
HEALED_WITHIN_S = 20.0
STUCK_WATCH_S = 90.0

# Python runs it before the program, when it is found on PYTHONPATH: a signal handler that never returns is a loop that
# never turns.
STUCK = """
import signal, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(1e6))
"""


async def stopped(server: Server, folder: Path, *, seconds: float = STOPPED_S) -> Round:
    """SIGSTOP, a message, SIGCONT: the contact saw nothing, and the session goes on."""
    async with staged(server, folder) as stage:
        shown = stage.shows(f"SIGSTOP for {seconds:g} s", Listen.name)
        listen = await Listen.online(stage)
        await processes.stop(listen.pid)
        begin = time.monotonic()
        await stage.contact.send(listen.full_jid, "sent meanwhile")
        await stage.contact.settle()
        await asyncio.sleep(begin + seconds - time.monotonic())
        listen.signal(signal.SIGCONT)
        await listen.printed("sent meanwhile", HEALED_WITHIN_S)
        await stage.contact.send(listen.full_jid, "sent afterwards")
        await listen.printed("sent afterwards", HEALED_WITHIN_S)
        shown.count("times that the contact saw `unavailable`", int(stage.went(listen.full_jid)), 0)
        held = await asyncio.to_thread(server.sessions, stage.jid)
        shown.demand(held == [listen.full_jid], f"the server holds {held}, not {listen.full_jid}")
        listen.signal(signal.SIGTERM)
        code = await listen.ended()
        shown.demand(code == 128 + signal.SIGTERM, f"exit {code} after SIGTERM")
        await stage.check_nothing_left(shown)
    return shown


async def stuck(server: Server, folder: Path) -> Round:
    """The event loop stands still while the process runs: its guard misses the heartbeats."""
    async with staged(server, folder) as stage:
        shown = stage.shows("event loop stuck", Listen.name, watch_s=STUCK_WATCH_S)
        (folder / "sitecustomize.py").write_text(STUCK)
        listen = await Listen.online(stage, env={"PYTHONPATH": str(folder)})
        begin = time.monotonic()
        listen.signal(signal.SIGUSR1)
        shown.seconds = await stage.gone(listen.full_jid, begin, STUCK_WATCH_S)
        shown.demand(shown.seconds < STUCK_WATCH_S, "nobody closed the session")
        listen.signal(signal.SIGKILL)
        await listen.ended()
        await stage.check_nothing_left(shown)
    return shown
