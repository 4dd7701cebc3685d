"""A program whose output is wanted, run without a shell; it never outlives us."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from xmppsh.errors import ConfigError, DeadlineExceeded
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENDING = (signal.SIGTERM, signal.SIGHUP)
OPERATORS = "|&;<>()`\n"
EXPANDED = "({"  # what may follow a $, beside a name

_running: set[subprocess.Popen[bytes]] = set()


def output_of(command: str, option: str, limit_s: float) -> bytes:
    """What the command prints. Raises ConfigError when it fails or needs a shell, DeadlineExceeded after `limit_s`."""
    if (needed := shell_syntax(command)) is not None:
        raise ConfigError(
            f"{option} {command!r} needs a shell for {needed}, and none is used", hint=f"{option} \"sh -c '…'\""
        )
    if not command.strip():
        raise ConfigError(f"{option} names no program", hint="is a variable of the shell unset?")
    with _ending_with_us() as start:
        try:
            child = start(shlex.split(command))
            output, _ = child.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired as error:
            raise DeadlineExceeded(
                f"{option} {command!r} did not end within {limit_s:.3g} s", layer="config"
            ) from error
        except (OSError, ValueError, IndexError) as error:
            raise ConfigError(f"{option} {command!r}: {os_reason(error)}") from error
    if child.returncode != 0:
        raise ConfigError(f"{option} {command!r} ended with exit code {child.returncode}")
    return output


def end_running() -> None:
    """End what a thread, which nobody waits for any more, has started."""
    for child in list(_running):
        _end(child)


def shell_syntax(command: str) -> str | None:
    """What in this command only a shell understands; None when there is nothing (POSIX.1 XCU §2.2, §2.3)."""
    quote, skipped, begins_word = "", False, True
    for place, character in enumerate(command):
        following = command[place + 1 : place + 2]
        if skipped:
            skipped = False
        elif quote == "'":
            quote = "" if character == "'" else quote
        elif character == "\\":
            skipped = True
        elif character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        elif character == "`" or (character == "$" and (following.isidentifier() or following in tuple(EXPANDED))):
            return character + (following if character == "$" else "")
        elif not quote and (character in OPERATORS or (character == "~" and begins_word)):
            return repr(character) if character == "\n" else character
        begins_word = not quote and character.isspace()
    return None


@contextmanager
def _ending_with_us() -> Iterator[Callable[[list[str]], subprocess.Popen[bytes]]]:
    """Starts a child that ends with whatever ends the wait, or us.

    A signal that comes while the child is being made waits until we know the child: KeyboardInterrupt raised inside of
    Popen would leave it running.
    """
    started: list[subprocess.Popen[bytes]] = []
    signals: list[int] = []

    def on_signal(number: int, _frame: Any) -> None:
        signals.append(number)
        if started:
            die()

    def die() -> None:
        if signals[0] == signal.SIGINT:
            raise KeyboardInterrupt
        for child in started:
            _end(child)
        signal.signal(signals[0], signal.SIG_DFL)
        os.kill(os.getpid(), signals[0])

    def start(words: list[str]) -> subprocess.Popen[bytes]:
        # A group of its own, so that what it starts ends with it; at a terminal it may have to ask there.
        group = None if os.isatty(0) or os.isatty(2) else 0
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, process_group=group)
        started.append(child)
        _running.add(child)
        if signals:  # it came while the child was being made
            die()
        return child

    handled: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # elsewhere the loop's owner calls `end_running`
        handled = {number: signal.SIG_DFL for number in ENDING if signal.getsignal(number) is signal.SIG_DFL}
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            handled[signal.SIGINT] = signal.default_int_handler
    for number in handled:
        signal.signal(number, on_signal)
    try:
        yield start
    finally:
        for number, before in handled.items():
            signal.signal(number, before)
        for child in started:
            if child.poll() is None:
                _end(child)
                child.wait()
            _running.discard(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        if os.getpgid(child.pid) == child.pid:
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
