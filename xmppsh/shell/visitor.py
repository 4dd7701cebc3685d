"""A program of the user's on the playground: it finds an account in its environment, and gets the signals."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from xmppsh.errors import NoInputError
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping

    from xmppsh.app.app import App
    from xmppsh.playground.server import PlaygroundServer

BY_SIGNAL = 128  # what a shell adds to the number of the signal that ended a program
LEFT_S, LOOK_S = 2.0, 0.05  # for what a program has left behind: how long it may take to end, and how often to look


def environment(env: Mapping[str, str], server: PlaygroundServer, account: str) -> dict[str, str]:
    """The environment of a program that is `account` on the playground.

    Nothing of the user's own settings reaches it, and nothing of its state stays. It finds us by our name, even where
    we were started from a virtual environment that nobody has activated.
    """
    facts = server.facts()
    inherited = {name: value for name, value in env.items() if not name.startswith("XMPPSH_")}
    path = env.get("PATH", os.defpath)
    if shutil.which("xmppsh", path=path) is None:
        inherited["PATH"] = f"{path}:{Path(sys.executable).parent}"
    return inherited | {
        "XMPPSH_JID": f"{account}@{facts['domain']}",
        "XMPPSH_PASSWORD": facts["accounts"][account],
        "XMPPSH_HOST": f"{facts['host']}:{facts['port']}",
        "XMPPSH_CA": facts["ca"],
        "STATE_DIRECTORY": str(server.state_folder),
        "CONFIGURATION_DIRECTORY": str(server.state_folder),
    }


async def run(app: App, server: PlaygroundServer, words: tuple[str, ...]) -> int:
    """Run a program as alice; its exit code, or 128 and the signal that ended it. Raises NoInputError."""
    at_terminal = _is_ours(app.console.stdin.fd)
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *words,
            env=environment(app.console.env, server, "alice"),
            umask=app.console.umask,
            close_fds=False,  # it gets the descriptors that we were given for it
            process_group=None if at_terminal else 0,
            preexec_fn=None if at_terminal else server.heir.adopts,
        )
    )
    is_asked = False
    try:
        try:
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:  # it may run already, though we have not heard of that
            process, is_asked = await starting, True
    except OSError as error:
        raise NoInputError(f"{words[0]}: {os_reason(error)}") from error
    visit = _Visit(app, process, is_group=not at_terminal)
    if at_terminal:
        # Ctrl-C reaches all that stand at the terminal: what it means is for the program to say.
        app.console.shutdown.on_interrupt = lambda: True
    code = await visit.ended(is_asked=is_asked)
    return BY_SIGNAL - code if code < 0 else code


def _is_ours(fd: int) -> bool:
    """Is this a terminal, and are we the ones whom it tells of Ctrl-C?"""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False


class _Visit:
    """A running program. is_group: it has a process group of its own, which is told of signals as a whole."""

    def __init__(self, app: App, process: Process, *, is_group: bool) -> None:
        self._shutdown, self._process, self._is_group = app.console.shutdown, process, is_group

    async def ended(self, *, is_asked: bool) -> int:
        """Wait for the end; a signal of ours is handed on, a second one kills. is_asked: the first one came already."""
        ending = asyncio.ensure_future(self._process.wait())
        if not is_asked:
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                is_asked = True
        if is_asked:
            await self._ask(ending)
        code = await ending
        await self._end_what_is_left()
        return code

    async def _ask(self, ending: asyncio.Task[int]) -> None:
        """Hand the signal on; kill at the next one. Raises CancelledError where it was no signal."""
        self._tell(self._shutdown.signal_number or signal.SIGTERM)
        hurry = asyncio.ensure_future(self._shutdown.hurry.wait())
        await asyncio.wait({ending, hurry}, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not ending.done():
            self._tell(signal.SIGKILL)
        if self._shutdown.signal_number is None:
            raise asyncio.CancelledError

    def _tell(self, number: int) -> bool:
        """Send a signal; False when nobody is there."""
        with suppress(ProcessLookupError, PermissionError):
            (os.killpg if self._is_group else os.kill)(self._process.pid, number)
            return True
        return False

    async def _end_what_is_left(self) -> None:
        """What the program started and left: the server that it needs ends as well.

        What does not listen is killed, as the heir would do it: it would hold our output open for ever.
        """
        if not self._is_group or not self._tell(signal.SIGTERM):
            return
        for _ in range(round(LEFT_S / LOOK_S)):
            if not self._tell(0):  # nobody tells of the end of what is no child of ours
                return
            await asyncio.sleep(LOOK_S)
        self._tell(signal.SIGKILL)
