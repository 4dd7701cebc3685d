"""One command line from its words to the exit code. The event loop is loaded only when there is work for it."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # see agent/thin.py
import atexit
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from xmppsh.cli.report import report, write_error, write_output
from xmppsh.errors import ExitCode, IoError, XmppshError
from xmppsh.output.failure import bug, wants_json
from xmppsh.registry.base import HelpAsked, NothingAsked
from xmppsh.registry.words import plain_work
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from xmppsh.net.early import Early
    from xmppsh.registry.base import Work

SIGNAL_BASE = 128  # what a shell adds to the number of the signal that a program died of
DYING = [SIGNAL_BASE + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
SIGINT_CODE: int = SIGNAL_BASE + signal.SIGINT


def run(arguments: list[str], early: Early | None = None, *, as_sendxmpp: bool = False) -> int:
    """Run a command line; returns the exit code. early: a connection that may be on its way. as_sendxmpp: the words are
    those of that program."""
    as_json = wants_json(arguments)
    try:
        work = _read_as_sendxmpp(arguments) if as_sendxmpp else _read(arguments)
        if isinstance(work, str):
            write_output(work)
            return ExitCode.OK
        from xmppsh.cli.supervise import run_work

        return run_work(work, early)
    except XmppshError as error:
        return report(error, as_json=as_json)
    except NothingAsked as error:
        write_error(error.help)
        return ExitCode.USAGE
    except BrokenPipeError:
        return ExitCode.OK  # the reader of the help has read enough
    except OSError as error:
        return report(IoError(f"stdout: {os_reason(error)}"), as_json=as_json)
    except KeyboardInterrupt:
        return SIGINT_CODE
    except Exception as error:  # what an import may raise, such as MemoryError; supervise.py tells what comes later
        return report(bug(error, 2 * ("-vv" in arguments), write_error), as_json=as_json)


def _read(arguments: list[str]) -> Work | str:
    if (plain := plain_work(arguments)) is not None:
        return plain
    from xmppsh.cli.main import parse

    return parse(arguments)


def _read_as_sendxmpp(words: list[str]) -> Work | str:
    from xmppsh.cli.sendxmpp import translated

    try:
        arguments, variables = translated(words, os.environ)
    except HelpAsked as asked:
        return asked.text
    os.environ.update(variables)
    return _read(arguments)


def main(early: Early | None = None) -> None:
    """The console script; called by the name of sendxmpp it takes that one's words."""
    code = run(sys.argv[1:], early, as_sendxmpp=Path(sys.argv[0]).name == "sendxmpp")
    # os._exit runs no exit functions, and one of them gives a reader of --trace its last lines. The name is private; a
    # Python without it fails here with AttributeError.
    atexit._run_exitfuncs()
    if code in DYING:
        _die(code - SIGNAL_BASE)
    os._exit(code)  # all is closed and nothing of ours is buffered: the interpreter need not clear each module away


def _die(number: int) -> None:
    """Die of the signal that ended us, now that all is closed: only then does a shell's loop end with us at Ctrl-C,
    and a service manager calls it a stop. The shell still shows 128 and the number."""
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
