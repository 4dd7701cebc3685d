"""One command line inside the agent: whether it may run here, and its run from the first word to the exit code."""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from xmppsh import __version__
from xmppsh.agent.allowed import FIRST_WORDS, is_allowed, may_read_stdin
from xmppsh.agent.sessions import AgentSessions
from xmppsh.agent.streams import ClientErrors, ClientInput, ClientOutput, Descriptor
from xmppsh.app.account import Account
from xmppsh.app.app import App
from xmppsh.app.console import Console
from xmppsh.app.shutdown import Shutdown
from xmppsh.app.storage import Storage
from xmppsh.config.secrets import password_setting
from xmppsh.errors import ClosedOutput, ExitCode, XmppshError
from xmppsh.output.failure import bug
from xmppsh.plain import dataclass
from xmppsh.registry.base import HelpAsked, Work
from xmppsh.registry.groups import WIDTH, Root
from xmppsh.registry.words import plain_work
from xmppsh.tasks import apart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xmppsh.agent.pool import Pool
    from xmppsh.agent.request import Request
    from xmppsh.config.schema import Settings

# What the libraries read from the environment of the process itself, and not from the client's.
OF_THE_PROCESS = (
    "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "OPENSSL_CONF", "LOCALDOMAIN", "RES_OPTIONS", "HOSTALIASES",
)  # fmt: skip
FILES = ("ca", "cert", "key", "password_file")  # settings that name a file, which may be one that can be read only once
ROOT = Root(lambda _: None)  # without a command there is nothing to do here
HURRY_S = 1.0  # between two tries to end a command whose client has gone


@dataclass
class Job:
    """A command that runs here, for one client."""

    work: Work
    app: App
    errors: ClientErrors
    streams: tuple[Descriptor, ...]

    async def run(self) -> int:
        """Carry it out; returns the exit code. In a hurry nothing of it is waited for."""
        hurry = asyncio.ensure_future(self.app.console.shutdown.hurry.wait())
        work = asyncio.ensure_future(self._carry_out())
        try:
            await asyncio.wait({hurry, work}, return_when=asyncio.FIRST_COMPLETED)
            while not work.done():
                work.cancel()
                await asyncio.wait({work}, timeout=HURRY_S)
            return work.result()
        finally:
            hurry.cancel()
            work.cancel()

    async def _carry_out(self) -> int:
        shutdown = self.app.console.shutdown
        task = asyncio.ensure_future(self.work.run(self.app))
        shutdown.on_request = task.cancel
        code = int(ExitCode.OK)
        try:
            code = await task or code
        except asyncio.CancelledError:
            if shutdown.signal_number is None:
                raise
        except ClosedOutput:
            return code
        except XmppshError as error:
            code = self._failed(error)
        except Exception as error:  # the last border: whatever is left is a bug of ours
            code = self._failed(bug(error, 0, self.errors.write))
        if shutdown.signal_number is not None and code == ExitCode.OK:
            code = 128 + shutdown.signal_number
        if not shutdown.hurry.is_set():
            await self.errors.flushed()
        return code

    def _failed(self, error: XmppshError) -> int:
        if not error.reported:
            self.app.console.report(error)
        return int(error.exit_code)

    def close(self) -> None:
        """Give up what was opened for it."""
        for stream in self.streams:
            stream.close()


async def prepared(request: Request, pool: Pool) -> Job | None:
    """The job of a request, or None when the command goes the ordinary way: it is none for an agent, or has a fault.

    Nothing of the client's is read or written in here, so that it can still begin by itself.
    """
    env = request.env or {}
    if request.version != __version__ or not FIRST_WORDS.intersection(request.arguments):
        return None
    if any(env.get(name) != os.environ.get(name) for name in OF_THE_PROCESS):
        return None
    try:
        work = _parsed(request.arguments)
        settings = replace(work.settings(env), cwd=request.cwd)
        if not _runs_here(work, settings, env) or (os.isatty(request.streams[0]) and may_read_stdin(work)):
            return None
        work.check_output()
        return await _job(request, work, settings, pool)
    except (HelpAsked, XmppshError, click.ClickException, click.exceptions.Exit, click.Abort, OSError):
        return None


def _parsed(arguments: tuple[str, ...]) -> Work:
    if (plain := plain_work(list(arguments))) is not None:
        return plain  # sooner than by click, as without an agent (cli/run.py)
    work: Work = ROOT.main(
        args=list(arguments), prog_name="xmppsh", standalone_mode=False, max_content_width=WIDTH, terminal_width=WIDTH
    )
    return work


def _runs_here(work: Work, settings: Settings, env: Mapping[str, str]) -> bool:
    """May a command run on a session that others use? Else it goes the ordinary way, whose log is its own, too."""
    if not is_allowed(work):
        return False
    if settings.agent == "no" or settings.dry_run or settings.verbose or settings.trace or settings.anonymous:
        return False
    if settings.password_fd is not None or settings.password_command is not None:
        return False
    return all(_is_regular(settings, name, env) for name in FILES)


def _is_regular(settings: Settings, name: str, env: Mapping[str, str]) -> bool:
    path = settings.path(name, env)
    return path is None or stat.S_ISREG(path.stat().st_mode)


async def _job(request: Request, work: Work, settings: Settings, pool: Pool) -> Job:
    streams: list[Descriptor] = []
    try:
        for given, access in zip(request.streams, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True):
            streams.append(Descriptor(given, access))
        stdin, stdout, stderr = streams
        errors = ClientErrors(stderr)
        console = Console(
            request.env or {},
            ClientInput(stdin),
            ClientOutput(stdout),
            errors.write,
            Shutdown(),
            shows_progress=os.isatty(request.streams[2]),
            cwd=request.cwd,
        ).told(settings)
        storage = Storage(console)
        account = Account(settings, console, storage)
        if password_setting(settings) == "password":
            _ = account.credentials
        else:
            await apart(lambda: account.credentials)  # a keyring may take its time
        app = App(settings, console, storage, account, AgentSessions(pool, account, console, storage))
        app.printer.check()
        return Job(work, app, errors, tuple(streams))
    except BaseException:  # whatever ends it: the client waits for its descriptors to be closed
        for stream in streams:
            stream.close()
        raise
