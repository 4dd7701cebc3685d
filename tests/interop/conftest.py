"""What the tests of the guard, of reaping and of resuming share: an account, its contact, and the program for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Program
from support.servers import Account, Server


@pytest.fixture
def alice(server: Server) -> Account:
    """A fresh account."""
    return server.account()


@pytest.fixture
async def friend(server: Server, alice: Account) -> AsyncIterator[Contact]:
    """Somebody on its roster, who watches."""
    bob = server.account()
    server.befriend(alice, bob)
    async with Contact(server, bob) as contact:
        yield contact


@pytest.fixture
def program(tmp_path: Path, server: Server, alice: Account) -> Program:
    """xmppsh for that account."""
    return Program(tmp_path, server, alice)
