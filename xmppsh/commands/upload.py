"""`upload`: files on the server's upload service (XEP-0363)."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal

import click

from xmppsh.commands.attachments import checked_file, uploaded
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
    """Upload each FILE, and print its URL.

    Example:  xmppsh upload photo.jpg
    """
    checked = [await checked_file(app, name) for name in files]
    async with app.sessions.one_shot() as session:
        for name, file in zip(files, checked, strict=True):
            (url,) = await uploaded(app, session, [file])
            yield Uploaded(name, url)
