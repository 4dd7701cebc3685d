"""Commands that read by an inbox, one after the other: each may be killed, and the others end with the test."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from session.reading import Command

from xmppsh.session import inbox


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "LAG_S", 0.02)
    monkeypatch.setattr(inbox, "SLOW_LAG_S", 0.01)


@pytest.fixture
async def run(tmp_path: Path, _impatient: None) -> AsyncIterator[Callable[..., Command]]:
    runs: list[Command] = []

    def start(max_bytes: int = 1_000_000) -> Command:
        runs.append(Command(tmp_path, max_bytes))
        return runs[-1]

    yield start
    for one in (one for one in runs if not one.is_dead):
        one.reader.cancel()
