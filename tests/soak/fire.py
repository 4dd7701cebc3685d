"""A peer that writes to the program without a pause."""

import asyncio
from collections.abc import Iterable

from support.contact import Contact

from soak.stage import message

PER_SECOND, BATCH = 500, 25
SETTLE_S = 120.0
PADDING = 120


def numbers(lines: Iterable[str]) -> list[int]:
    """The numbers of whole lines that were printed."""
    return [int(line.split(" ")[0]) for line in lines]


class Fire:
    """A peer that sends numbered messages to an address, so many a second as far as the server takes them."""

    def __init__(self, contact: Contact, to: str) -> None:
        self.sent = 0
        self._contact, self._to = contact, to

    async def run(self, messages: int | None = None) -> None:
        """Send that many, or until this task is cancelled between two batches."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while messages is None or self.sent < messages:
            batch = [message(self._to, self.sent + at, PADDING).strip() for at in range(BATCH)]
            self.sent += BATCH
            for stanza in batch:
                self._contact.client.send_raw(stanza)
            if self.sent % PER_SECOND == 0:
                await self._contact.settle(SETTLE_S)  # a slow server would have minutes of them before it
            await asyncio.sleep(max(0.0, began + self.sent / PER_SECOND - loop.time()))

    def bounced(self) -> list[int]:
        """The numbers that came back to the sender."""
        return [int(one.body.split(" ")[0]) for one in self._contact.messages if one.type == "error" and one.body]
