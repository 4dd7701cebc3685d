"""What came back with an error, for a command that waits by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xmppsh.model import Element


class Bounces:
    """The messages that have come back with an error, for their reader (session_port.py: Reader)."""

    def __init__(self) -> None:
        self.came: list[Element] = []

    def __aiter__(self) -> Bounces:
        return self

    async def __anext__(self) -> Element:
        if not self.came:
            raise StopAsyncIteration
        return self.came.pop(0)
