"""A playground for each test."""

from collections.abc import AsyncIterator

import pytest

from xmppsh.playground.server import PlaygroundServer


@pytest.fixture
async def playground() -> AsyncIterator[PlaygroundServer]:
    async with PlaygroundServer() as server:
        yield server
