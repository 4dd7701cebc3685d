"""Numbered messages through `pipe`: which arrived, which are still listed, and whether that is all, once, in order."""

import asyncio
import contextlib
from collections import Counter

from ghosts.result import OUTBOUND, Round
from ghosts.stage import Stage
from ghosts.subjects import Pipe

PADDING = 150
RETRY_WITHIN_S = 30.0


class Feed:
    """Writes messages to the contact into a pipe's input, as fast as the pipe takes them."""

    def __init__(self, stage: Stage, pipe: Pipe, messages: int) -> None:
        self._stage, self._pipe = stage, pipe
        self.written = 0
        self._task = asyncio.create_task(self._write(messages))

    async def _write(self, messages: int) -> None:
        with contextlib.suppress(ConnectionError):  # it was killed
            await self.write(messages)

    async def write(self, messages: int) -> None:
        """So many more."""
        for _ in range(messages):
            xml = f"<message to='{self._stage.friend}' type='chat' id='out-{self.written}'>"
            self._pipe.input.write(f"{xml}<body>outbound {self.written} {'x' * PADDING}</body></message>\n".encode())
            self.written += 1
            await self._pipe.input.drain()

    async def done(self) -> None:
        """Wait until all are written, or the pipe is dead."""
        await self._task

    async def arrived(self, number: int, within_s: float = 30.0) -> None:
        """Wait until the contact has this one."""
        begin = f"outbound {number} "
        await self._stage.contact.wait_for_message(lambda message: message.body.startswith(begin), within_s)


def arrivals(stage: Stage) -> list[int]:
    """The numbers that the contact got from the account, in the order of arrival."""
    bodies = [one.body for one in stage.contact.messages if one.sender.partition("/")[0] == stage.jid]
    return [int(body.split(" ")[1]) for body in bodies if body.startswith("outbound ")]


async def check_outbound(stage: Stage, shown: Round) -> None:
    """After a kill: what had been written arrived, what had not is listed; and a retry delivers the rest."""
    await stage.contact.settle()
    first = arrivals(stage)
    outcome = await stage.run("--format", "json", "outbox", "list")
    listed = {int(record["id"].removeprefix("out-")): record["state"] for record in outcome.records}
    taken = max([-1, *first, *listed]) + 1
    shown.note = f"{taken} taken in, {len(first)} arrived, {len(listed)} listed"
    shown.demand(first == list(range(len(first))), f"arrived before the retry: {runs_of(first)}")
    shown.demand(sorted(listed) == list(range(len(first), taken)), f"listed: {runs_of(sorted(listed))} of {taken}")
    uncertain = [number for number, state in listed.items() if state != "queued"]
    shown.demand(not uncertain, f"listed as {set(listed.values())}: {runs_of(uncertain)}")
    if listed:
        outcome = await stage.run("outbox", "retry")
        shown.demand(outcome.code == 0, f"outbox retry: exit {outcome.code}, {outcome.stderr.strip()}")
    await check_delivered(stage, shown, taken)


async def check_delivered(stage: Stage, shown: Round, wanted: int) -> None:
    """Messages 0 … wanted-1 have arrived, once each and in order."""
    with contextlib.suppress(TimeoutError):
        await stage.contact.wait_for_message(lambda one: one.body.startswith(f"outbound {wanted - 1} "), RETRY_WITHIN_S)
    await stage.contact.settle()
    got = arrivals(stage)
    times = Counter(got)
    shown.count(OUTBOUND, sum(times[number] == 1 for number in range(wanted)), wanted, runs_of(got))
    shown.demand(got == sorted(got), f"order: {runs_of(got)}")


def runs_of(numbers: list[int]) -> str:
    """Runs of numbers, so that a gap or a repetition is seen: 0-41, 41, 43-50."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in runs[:10])
    return shown + (f" and {len(runs) - 10} more" if len(runs) > 10 else "")
