"""Runs a parsed command line on the event loop; signals cancel it, and its own `finally` blocks close the stream."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # see agent/thin.py
import asyncio
import errno
import gc
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from xmppsh.app.app import App
from xmppsh.app.console import Console
from xmppsh.app.own_session import OwnSessions
from xmppsh.app.shutdown import Shutdown
from xmppsh.cli.report import LiveErrors, report, write_error
from xmppsh.config.ahead import read_ahead
from xmppsh.config.schema import BY_NAME
from xmppsh.errors import ClosedOutput, ExitCode, IoError, XmppshError
from xmppsh.later import load_rest
from xmppsh.output.failure import SHORTAGES, bug
from xmppsh.output.streams import InputStream, OutputStream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from xmppsh.ghosts.guard import KnownSession
    from xmppsh.net.early import Early
    from xmppsh.registry.base import Work

SIGINT_CODE = 130
FEWEST_FILES = 24  # the standard streams, the loop, a socket, the guard, the outbox with its journal, a lock


def run_work(work: Work, early: Early | None = None) -> int:
    umask = os.umask(0o077)  # what we write is nobody else's to read; programs that we start get theirs back
    env = dict(os.environ)
    os.environ.pop(BY_NAME["password"].env, None)  # no program that we start inherits it
    settings = work.settings(env)
    may_prompt = _is_terminal(0) and _is_terminal(2)
    streams = InputStream(0), OutputStream(1), LiveErrors().write
    console = Console(env, *streams, Shutdown(), may_prompt, shows_progress=_is_terminal(2), umask=umask).told(settings)
    app = App.of(settings, console)
    app.account.asks_anew = work.spec.asks_anew
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # for the password prompt
        _refuse_few_files()
        app.printer.check()
        work.check_output()
        if work.account and settings.dry_run:
            from xmppsh.app.dry_run import check_account

            check_account(app.account, console)
        elif work.account:
            _ = app.account.credentials  # may ask on the terminal, where Ctrl-C must still work
        work.ask(app)
        if not settings.dry_run:
            console.contents = read_ahead(settings, env)
        _begin(work, app, early)
        if early is not None:
            early.close()
        if (code := _without_loop(work, app)) is not None:
            return code
        with _guarded(work, app):
            gc.enable()
            with asyncio.Runner() as runner:
                return runner.run(_supervise(work, app))
    except XmppshError as error:
        return report(error, as_json=console.as_json)
    except ClosedOutput:
        return ExitCode.OK
    except KeyboardInterrupt:
        return SIGINT_CODE
    except Exception as error:  # the last border: whatever is left is a bug of ours
        return report(bug(error, settings.verbose, write_error), as_json=console.as_json)
    finally:
        if "xmppsh.config.program" in sys.modules:
            sys.modules["xmppsh.config.program"].end_running()


def _refuse_few_files() -> None:
    """Else each library tells it in its own way, asyncio by a traceback."""
    allowed = os.sysconf("SC_OPEN_MAX")
    if 0 <= allowed < FEWEST_FILES:
        raise IoError(f"no more than {allowed} files may be open at once", hint=SHORTAGES[errno.EMFILE])


def _begin(work: Work, app: App, early: Early | None) -> None:
    """Dial for a one-shot, and hash its password, while the rest is loaded."""
    settings = app.settings
    if work.spec.session != "one-shot" or work.guarded or settings.dry_run or settings.proxy is not None:
        return
    if (state := app.storage.state_if_any) is not None:
        from xmppsh.net.head_start import HeadStart

        account = str(app.account.jid.bare)
        asked = f"{settings.host} {settings.tls} {settings.ipv4} {settings.ipv6} {settings.resolve}"
        app.storage.head_start = HeadStart(state / "places.json", account, asked, app.console.log, early)
        app.storage.head_start.begin()
        if (password := app.account.credentials.password) is not None:
            from xmppsh.connection.hashing import Hashing

            app.storage.hashing = Hashing(state / "salts.json", account, app.console.log)
            app.storage.hashing.begin(password)


def _without_loop(work: Work, app: App) -> int | None:
    """The exit code of what could be done so, within the same time; else None."""
    if app.storage.head_start is None or app.storage.head_start.place is None:
        return None
    app.storage.head_start.speak()  # it may stand by now
    from xmppsh.cli.express import run_express

    begun = time.monotonic()
    if (code := run_express(work, app)) is None:
        left_s = app.settings.connect_timeout - (time.monotonic() - begun)
        app.account.settings = app.settings.with_values(connect_timeout=max(0.0, left_s))
    return code


@contextmanager
def _guarded(work: Work, app: App) -> Iterator[None]:
    """Fork the guard where there is something to guard: before the loop and any thread, with what it needs loaded."""
    settings = app.settings
    if not work.guarded or settings.no_guard or settings.dry_run or app.account.resumable_s is None:
        gc.freeze()
        yield
        return
    import xmppsh.ghosts.reap  # noqa: F401 - the guard must not lose time with it
    from xmppsh.ghosts.guard import Guard

    async def close_sessions(names: frozenset[str], known: KnownSession | None) -> None:
        # A trace's reader may be what the program hangs on.
        sessions = OwnSessions(app.account.untraced(), replace(app.console, verbosity=0), app.storage)
        await sessions.close_for_program(names, known)

    load_rest()  # the guard must find no file missing, days later
    gc.freeze()  # what is loaded stays shared with the guard
    app.storage.guard = Guard.start(close_sessions, app.account.resumable_s)
    try:
        yield
    finally:
        app.storage.guard.release(closed=not app.storage.left_open)


async def _supervise(work: Work, app: App) -> int:
    """Run the handler as a task that a signal cancels; its own `finally` blocks close the stream."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work.run(app))
    bugs: list[Exception] = []

    def on_bug(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception):
            bugs.append(error)
            task.cancel()

    loop.set_exception_handler(on_bug)
    app.console.shutdown.on_request = task.cancel
    app.console.shutdown.install()
    try:
        if (code := await task) is not None:
            return code
    except asyncio.CancelledError:
        if bugs:
            raise bugs[0] from None
        if app.console.shutdown.signal_number is not None:
            return 128 + app.console.shutdown.signal_number
        if not app.console.shutdown.output_closed:
            raise
    if app.console.shutdown.signal_number is not None:
        return 128 + app.console.shutdown.signal_number
    app.account.refuse_lost_trace()
    return ExitCode.OK


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False
