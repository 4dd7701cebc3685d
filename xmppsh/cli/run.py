"""Runs one command line: parse, settings, password, loop, and at the end one line on stderr and the exit code."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from xmppsh.cli.main import parse
from xmppsh.commands.base import App
from xmppsh.errors import ClosedOutput, ExitCode, UsageError, XmppshError
from xmppsh.output import safe
from xmppsh.output.ndjson import dumps
from xmppsh.output.streams import InputStream, OutputStream
from xmppsh.session.signals import Shutdown

if TYPE_CHECKING:
    from xmppsh.commands.base import Work

SIGINT_CODE = 130


def run(arguments: list[str]) -> int:
    """Run a command line; returns the exit code."""
    os.umask(0o077)
    as_json = _wants_json(arguments)
    try:
        work = parse(arguments)
        if work is None:
            return ExitCode.OK
        return _run_work(work)
    except XmppshError as error:
        return report(error, as_json=as_json)
    except click.exceptions.NoArgsIsHelpError as error:
        write_error(error.format_message() + "\n")
        return ExitCode.USAGE
    except click.ClickException as error:
        return report(_usage_error(error), as_json=as_json)
    except (click.Abort, KeyboardInterrupt):
        return SIGINT_CODE


def _usage_error(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "xmppsh"
    return UsageError(error.format_message().rstrip("."), hint=f"{path} --help")


def _wants_json(arguments: list[str]) -> bool:
    """Errors of the command line itself are JSON too when it asks for that (it cannot be parsed to know better)."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    return "--format=json" in arguments or ("--format", "json") in pairs or os.environ.get("XMPPSH_FORMAT") == "json"


def _run_work(work: Work) -> int:
    settings = work.settings(os.environ)
    app = App(
        settings,
        os.environ,
        InputStream(0),
        OutputStream(1),
        write_error,
        Shutdown(),
        may_prompt=_is_terminal(0) and _is_terminal(2),
    )
    as_json = settings.format == "json"
    try:
        app.check_output()
        if work.account and not settings.dry_run:
            _ = app.credentials  # may ask on the terminal, where Ctrl-C must still work
        with asyncio.Runner() as runner:
            return runner.run(_supervise(work, app))
    except XmppshError as error:
        return report(error, as_json=as_json)
    except ClosedOutput:
        return ExitCode.OK
    except KeyboardInterrupt:
        return SIGINT_CODE
    except Exception as error:  # the last border: whatever is left is a bug of ours
        return _report_bug(error, verbose=settings.verbose, as_json=as_json)


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
    app.shutdown.on_request = task.cancel
    app.shutdown.install()
    try:
        await task
    except asyncio.CancelledError:
        if bugs:
            raise bugs[0] from None
        if app.shutdown.signal_number is not None:
            return 128 + app.shutdown.signal_number
        if not app.shutdown.output_closed:
            raise
    if app.shutdown.signal_number is not None:
        return 128 + app.shutdown.signal_number
    return ExitCode.OK


def report(error: XmppshError, *, as_json: bool) -> int:
    """One error on stderr: a line and what to try, or one JSON object."""
    if as_json:
        write_error(dumps({"error": error.record()}) + "\n")
        return int(error.exit_code)
    hint = f"  try: {safe.line(error.hint)}\n" if error.hint else ""
    write_error(f"xmppsh: {safe.line(str(error))}\n{hint}")
    return int(error.exit_code)


def _report_bug(error: Exception, *, verbose: int, as_json: bool) -> int:
    if verbose >= 2:
        write_error("".join(traceback.format_exception(error)))
    bug = XmppshError(f"internal error: {type(error).__name__}: {error}", hint="-vv shows where; please report it")
    return report(bug, as_json=as_json)


def write_error(text: str) -> None:
    """Write to stderr; when it is closed there is nobody left to tell."""
    with suppress(OSError):
        data = text.encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(2, data) :]


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def main() -> None:
    """The console script."""
    code = run(sys.argv[1:])
    sys.stdout = None  # nothing is buffered there; a closed pipe must not be flushed
    sys.exit(code)
