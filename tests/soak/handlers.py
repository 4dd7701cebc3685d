"""`listen --exec` is killed at a random moment and started again: each message is handled, and few are handled twice.

At most as many as programs were running: what they had done by then nobody can tell.
"""

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

from support.contact import Contact
from support.program import Program
from support.servers import Server

from soak.fire import SETTLE_S, Fire
from soak.result import Count, Result

MESSAGES, JOBS = 2_000, 4
LONGEST_DELAY_S = 0.05  # after the share of the messages that the seed gives
END_S = 240.0


async def handlers(server: Server, folder: Path, *, seed: int, live: bool, messages: int = MESSAGES) -> Result:
    """live: all are sent while it listens, and are online messages; else they wait at the server."""
    folder.mkdir(parents=True)
    source, began = random.Random(seed), time.monotonic()
    account, handled, script = server.account(), folder / "handled", folder / "handler"
    handled.touch()
    script.write_text(f'#!/bin/sh\necho "${{XMPPSH_BODY%% *}}" >> "{handled}"\n')
    script.chmod(0o700)
    program = Program(folder, server, account)
    command = ("listen", "--drain", "--exec", f"'{script}'", "--jobs", str(JOBS))
    async with Contact(server, server.account()) as contact:
        fire = Fire(contact, account.jid)
        if live:
            process = await program.start("listen", "--ready-file", str(folder / "ready"), *command[2:])
            firing = asyncio.create_task(fire.run(messages))
        else:
            firing = asyncio.create_task(fire.run(messages))
            await firing
            await contact.settle(SETTLE_S)
            process = await program.start(*command)
        async with asyncio.timeout(END_S):
            at = source.randrange(messages)
            while len(_numbers(handled)) < at and process.returncode is None:  # noqa: ASYNC110 - others write it
                await asyncio.sleep(0.005)
        await asyncio.sleep(source.uniform(0, LONGEST_DELAY_S))
        process.kill()
        await process.wait()
        killed_at = len(_numbers(handled))
        await firing
        await contact.settle(SETTLE_S)
        outcome = await program.run(*command, deadline_s=END_S)
    twice, lost = _twice_and_lost(_numbers(handled), messages)
    name, took_s = "handler killed, " + ("live" if live else "stored"), time.monotonic() - began
    result = Result(server.name, name, seed, messages, Count(lost, twice, []), took_s, 2, outcome.code)
    result.note, result.report = f"killed after {killed_at}, {len(twice)} handled twice", outcome.stderr
    result.demand(not lost, "lost")
    result.demand(len(twice) <= JOBS, f"more than {JOBS} handled twice")
    result.demand(outcome.code == 0, f"exit {outcome.code}")
    return result


def _twice_and_lost(seen: list[int], messages: int) -> tuple[list[int], list[int]]:
    times = Counter(seen)
    return sorted((times - Counter(set(seen))).elements()), [one for one in range(messages) if not times[one]]


def _numbers(file: Path) -> list[int]:
    """Those of whole lines."""
    return [int(line) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
