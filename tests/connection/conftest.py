"""A session on streams of paper."""

from collections.abc import AsyncIterator

import pytest
from connection.paper import Cut


@pytest.fixture
async def session() -> AsyncIterator[Cut]:
    """A session that its test cuts and heals."""
    session = Cut()
    yield session
    await session.close(wait_s=0)
