"""`listen`: what arrives, one record each, until it is enough."""

from __future__ import annotations

import asyncio
import math
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xmppsh.apart import apart
from xmppsh.commands.base import command
from xmppsh.commands.params import KINDS, SECONDS
from xmppsh.errors import DeadlineExceeded, IoError, translate
from xmppsh.session.responder import bounce_of
from xmppsh.xmlio.build import element
from xmppsh.xmlio.stanzas import presence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from xmppsh.commands.app import App
    from xmppsh.session.bus import Subscription
    from xmppsh.session.session import Session

CLOSE_WAIT_S = 2.0
# RFC 6121 §4.7.2.3: no message to the account comes to a resource of negative priority; presence does.
WITHOUT_MESSAGES = element("presence", None, element("priority", None, "-1"))


def _open_fd(_ctx: click.Context, _param: click.Parameter, fd: int | None) -> int | None:
    """It must be open from the start: later, the number may be that of a file or a socket of our own."""
    if fd is not None:
        with translate(OSError, lambda reason: IoError(f"file descriptor {fd}: {reason.lower()}")):
            os.fstat(fd)
    return fd


@command("listen")
@click.option(
    "--only", "kinds", type=KINDS, metavar="KINDS", default="message", help="Of message,presence,iq [message]."
)
@click.option("-C", "--count", type=click.IntRange(min=1), metavar="N", help="End after N records.")
@click.option("-W", "--wait", "wait_s", type=SECONDS, metavar="S", help="End after S seconds.")
@click.option("--ready-file", metavar="FILE", help="Create FILE when the session is up.")
@click.option(
    "--ready", "ready_fd", type=click.IntRange(min=0), metavar="FD", callback=_open_fd, help="Write a line to FD then."
)
async def listen(
    app: App,
    kinds: tuple[str, ...],
    count: int | None,
    wait_s: float | None,
    ready_file: str | None,
    ready_fd: int | None,
) -> None:
    """Print each message that arrives; with --format json, one object a line.

    Where --only leaves messages out they go to other clients: the session announces priority -1, and one to its very
    address comes back to its sender.

    Exit 0 after N records or at the end of S seconds; 75 when fewer than N came in time.

    Example:  xmppsh listen -C 1 --format json
    """
    availability = presence() if "message" in kinds else WITHOUT_MESSAGES
    if app.settings.dry_run:
        await app.stdout.write(availability + "\n")
        return
    stop_watching = app.stdout.on_closed(app.shutdown.end_quietly)
    try:
        async with app.session(wait_s=CLOSE_WAIT_S, lasting=True) as session:
            arrivals = session.subscribe("message", *kinds)

            async def begin() -> None:
                # However long it takes: the program may be stopped meanwhile, and a dead link heals.
                await session.acked(session.broadcast_presence(availability), math.inf)
                await _tell_ready(ready_file, ready_fd)
                app.log(1, f"listening as {session.jid}")

            await _print(app, session, begin, arrivals, kinds, count, wait_s)
            arrivals.cancel()
    finally:
        stop_watching()


async def _print(
    app: App,
    session: Session,
    begin: Callable[[], Awaitable[None]],
    arrivals: Subscription,
    kinds: tuple[str, ...],
    count: int | None,
    wait_s: float | None,
) -> None:
    printed, begun = 0, False
    try:
        async with asyncio.timeout(wait_s):
            await begin()
            begun = True
            async for stanza in arrivals:
                if stanza.kind not in kinds:
                    # Left unread, it would hold back the acknowledgement of all behind it.
                    if (bounce := bounce_of(stanza)) is not None:
                        session.send(bounce)
                    continue
                await app.emit_stanza(stanza)
                printed += 1
                if printed == count:
                    return
    except TimeoutError:
        if session.is_cut:
            raise session.cause from None  # nobody was listening
        if begun and count is None:
            return
        raise DeadlineExceeded(
            f"{printed} of {count or 'any'} records came within {wait_s:.3g} s",
            layer="stanza",
            hint="-W S waits longer",
        ) from None


async def _tell_ready(path: str | None, fd: int | None) -> None:
    """Tell the script that started us that messages are received from now on."""
    try:
        if path is not None:
            await apart(partial(_touch, Path(os.path.realpath(path))))
        if fd is not None:
            await apart(partial(os.write, fd, b"ready\n"))
    except OSError as error:
        target = path if path is not None else f"file descriptor {fd}"
        raise IoError(f"{target}: {(error.strerror or str(error)).lower()}") from error


def _touch(path: Path) -> None:
    if path.exists() and not path.is_file():
        path.write_text("ready\n")  # a FIFO, whose reader waits for a line
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text("ready\n")
    partial.replace(path)  # the file is there with its content, or not at all
