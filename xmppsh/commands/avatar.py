"""`avatar`: the picture of somebody, and our own (XEP-0084)."""

from __future__ import annotations

from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, Literal

import click

from xmppsh.commands.attachments import checked_file
from xmppsh.config.ours import write_output
from xmppsh.errors import ExitCode, IoError, UsageError, XmppshError, translate
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.registry.base import command
from xmppsh.registry.params import FILE, JID
from xmppsh.tasks import apart
from xmppsh.xep import avatar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.app.app import App
    from xmppsh.model import Jid


@dataclass(frozen=True, slots=True)
class Avatar(Record):
    """A picture of an account."""

    kind: Literal["avatar"] = field(default="avatar", init=False)
    """What it is."""
    jid: str
    """Whose picture it is."""
    id: str
    """The SHA-1 of its bytes, in hexadecimal."""
    type: str
    """Its media type."""
    bytes: int
    """How many bytes it has."""
    file: str
    """The file that it is in, as it was named."""

    def text(self) -> str:
        """One line."""
        return safe.line(f"{self.file}  {self.type}  {self.bytes} bytes")


class NoPicture(XmppshError):
    """Somebody has no picture, or shows us none."""

    exit_code = ExitCode.NOUSER
    layer = "stanza"


@command("avatar", "get")
@click.argument("whose", metavar="JID", type=JID)
@click.option("--output", type=FILE, help="Where to save it [stdout].")
async def avatar_get(app: App, whose: Jid, output: str | None) -> AsyncIterator[Avatar]:
    """Fetch the avatar of JID. Without --output its bytes go to stdout, unless that is a terminal.

    Example:  xmppsh avatar get juliet@example.org --output juliet.png
    """
    stdout = app.console.stdout
    if output is None and stdout.is_terminal and not app.settings.dry_run:
        raise UsageError("a picture cannot be shown on a terminal", hint="--output FILE, or > FILE")
    async with app.sessions.one_shot() as session:
        found = await avatar.fetch(session, whose.bare)
    if found is None:
        raise NoPicture(f"{whose.bare} has no picture (XEP-0084)")
    if output is None:
        await stdout.write(found.data.decode("utf-8", "surrogateescape"))  # which gives the same bytes again
        return
    with translate(OSError, lambda reason: IoError(f"{output}: {reason.lower()}")):
        await apart(partial(write_output, app.console.path(output), found.data))
    yield Avatar(str(whose.bare), found.sha1, found.type, len(found.data), output)


@command("avatar", "set")
@click.argument("file", type=FILE)
async def avatar_set(app: App, file: str) -> AsyncIterator[Avatar]:
    """Make FILE your avatar, for everyone who sees your presence.

    Example:  xmppsh avatar set me.png
    """
    path, _ = await checked_file(app, file)
    data = await apart(path.read_bytes)
    async with app.sessions.one_shot() as session:
        made = await avatar.publish(session, data, file)
        yield Avatar(str(session.jid.bare), made.sha1, made.type, len(data), file)


@command("avatar", "remove")
async def avatar_remove(app: App) -> None:
    """Remove your avatar.

    Example:  xmppsh avatar remove
    """
    async with app.sessions.one_shot() as session:
        await avatar.remove(session)
