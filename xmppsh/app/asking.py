"""A question on the terminal, and the line that answers it: read on the loop, so that a Ctrl-C ends the reading too.

In a thread that nobody can stop, a question that was given up would go on taking what is typed.
"""

from __future__ import annotations

import termios
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from xmppsh.errors import DataError, UsageError
from xmppsh.output import safe
from xmppsh.output.streams import InputStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    T = TypeVar("T")

TERMINAL = 0  # stdin
LOCAL_MODES = 3  # where tcgetattr has what echoes


async def asked(
    question: str, taken: Callable[[str], T], write: Callable[[str], None], *, hidden: bool = False
) -> T | None:
    """What `taken` makes of the line that is typed; None for Ctrl-D. Asks again where it raises UsageError, DataError.

    write: shows a piece of a row; hidden: the answer is not shown.
    """
    while True:
        with _unseen() if hidden else nullcontext():  # before the question: who answers at once is not shown either
            write(question)
            line = await _line()
        if line is None or hidden:
            write("\n")  # the question's row has not ended
        if line is None:
            return None
        try:
            return taken(line)
        except (UsageError, DataError) as error:
            write(f"Error: {safe.line(str(error))}\n")


def yes_or_no(line: str) -> bool:
    """Nothing is no. Raises UsageError."""
    answers = {"y": True, "yes": True, "n": False, "no": False, "": False}
    try:
        return answers[line.strip().lower()]
    except KeyError:
        raise UsageError("y or n") from None


async def _line() -> str | None:
    """The next line without its end; None at the end of input."""
    typed, terminal = b"", InputStream(TERMINAL)
    while not typed.endswith(b"\n"):
        if not (more := await terminal.read()):
            break
        typed += more
    return typed.decode("utf-8", "surrogateescape").removesuffix("\n") if typed else None


@contextmanager
def _unseen() -> Iterator[None]:
    modes = termios.tcgetattr(TERMINAL)
    unseen = [*modes[:LOCAL_MODES], modes[LOCAL_MODES] & ~termios.ECHO, *modes[LOCAL_MODES + 1 :]]
    termios.tcsetattr(TERMINAL, termios.TCSADRAIN, unseen)
    try:
        yield
    finally:
        termios.tcsetattr(TERMINAL, termios.TCSADRAIN, modes)
