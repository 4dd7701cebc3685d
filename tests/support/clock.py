"""A loop's clock that the test moves: a machine that stands still for a moment is no pause of the program's."""

import asyncio

import pytest

TURNS = 10  # of the loop, in which everything that is due happens


class Clock:
    """The time of the running loop, which stands still until it is told to pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: self.now)

    async def passes(self, seconds: float) -> None:
        """Let everybody begin to wait, then so much time pass at once, and then everybody do what is due."""
        await self._turns()
        self.now += seconds
        await self._turns()

    async def _turns(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
