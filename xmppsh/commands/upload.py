"""`upload`: files on the server's upload service (XEP-0363)."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import field
from typing import TYPE_CHECKING, Literal

import click

from xmppsh.commands.attachments import checked_file, uploads
from xmppsh.errors import XmppshError
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.registry.base import command
from xmppsh.registry.params import FILE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.app.app import App


@dataclass(frozen=True, slots=True)
class Uploaded(Record):
    """A file that was uploaded."""

    kind: Literal["uploaded"] = field(default="uploaded", init=False)
    """What it is."""
    file: str
    """The file, as it was named."""
    url: str
    """Where everybody who knows it can get it."""

    def text(self) -> str:
        """The URL."""
        return safe.line(self.url)


@command("upload")
@click.argument("files", metavar="FILE…", type=FILE, nargs=-1, required=True)
async def upload(app: App, files: tuple[str, ...]) -> AsyncIterator[Uploaded]:
    """Upload each FILE, and print its URL. The first that fails ends it, and those that were not tried are named.

    Example:  xmppsh upload photo.jpg
    """
    checked = [await checked_file(app, name) for name in files]
    async with app.sessions.one_shot() as session:
        left = list(files)
        async with aclosing(uploads(app, session, checked)) as urls:
            try:
                async for url in urls:
                    yield Uploaded(left.pop(0), url)
            except XmppshError:
                if len(files) > 1:
                    others = f"; not tried: {', '.join(left[1:])}" if left[1:] else ""
                    app.console.warn(f"{left[0]} is not uploaded{others}")
                raise
