"""Journals that are closed after their test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from outbox.journals import ACCOUNT, Begin

from xmppsh.outbox.journal import Journal
from xmppsh.outbox.owner import Owner


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Begin a journal of an account, as one more process does."""
    opened = []

    def start(
        account: str = ACCOUNT, *, everything: bool = True, role: str = "process", file: str = "progress"
    ) -> Journal:
        owner = Owner(tmp_path / "locks", role)
        journal = Journal(tmp_path / file, owner, account, everything=everything)
        opened.append(journal)
        return journal

    yield start
    for journal in opened:
        journal.close()
