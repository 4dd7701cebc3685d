"""What a failure looks like: one line and what to try, or one JSON object."""

from __future__ import annotations

import errno
import os
from itertools import pairwise
from typing import TYPE_CHECKING

from xmppsh.errors import IoError, XmppshError
from xmppsh.output import safe
from xmppsh.output.ndjson import dumps
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable

# What a machine may lack at any line of ours, whoever wrote it: no fault of the program.
SHORTAGES = {
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "end other programs: this machine has no more open files to give",
    errno.ENOMEM: "end other programs, or allow more memory (ulimit -v)",
    errno.EAGAIN: "allow more processes (ulimit -u)",
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk",
}
TOO_LITTLE_MEMORY = "there is too little memory"
# The words of the loader of shared objects, which gives no number, and of Python.
NO_MEMORY = ("failed to map segment", "annot allocate memory")
NO_REASON = ("without exception set", "without setting an exception")
NO_THREAD = "can't start new thread"


def error_text(error: XmppshError, *, as_json: bool) -> str:
    """A line and what to try, or one JSON object; with its newline."""
    if as_json:
        return dumps({"error": error.record()}) + "\n"
    hint = f"  try: {safe.line(error.hint)}\n" if error.hint else ""
    return f"xmppsh: {safe.line(str(error))}\n{hint}"


def wants_json(arguments: list[str]) -> bool:
    """Does a command line ask for errors as JSON? For those that come before it is parsed, or without its being so."""
    return (
        "--format=json" in arguments
        or ("--format", "json") in pairwise(arguments)
        or os.environ.get("XMPPSH_FORMAT") == "json"
    )


def bug(error: Exception, verbose: int, write_error: Callable[[str], None]) -> XmppshError:
    """A fault of ours, as an error, or what the machine lacks; with -vv its traceback is shown, and nowhere else."""
    if verbose >= 2:
        import traceback

        write_error("".join(traceback.format_exception(error)))
    if (shortage := lacking(error)) is not None:
        return shortage
    if isinstance(error, ImportError):
        missing = (error.name or "").partition(".")[0]
        hint = f"install {missing}, or xmppsh again" if missing else "install xmppsh again: something is missing"
        return XmppshError(f"xmppsh is not whole: {error}", hint=hint)
    return XmppshError(f"internal error: {type(error).__name__}: {error}", hint="-vv shows where; please report it")


def lacking(error: Exception) -> IoError | None:
    """What the machine lacks, by whatever Python makes of it; None where it is something else."""
    if isinstance(error, OSError) and error.errno in SHORTAGES:
        place = f"{error.filename}: " if error.filename else ""
        return IoError(place + os_reason(error), hint=SHORTAGES[error.errno])
    said = str(error)
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and any(word in said for word in NO_MEMORY)):
        return IoError(TOO_LITTLE_MEMORY, hint=SHORTAGES[errno.ENOMEM])
    if isinstance(error, SystemError) and said.endswith(NO_REASON):
        sentence = "Python failed and gave no reason, as it does where there is too little memory"
        return IoError(sentence, hint=SHORTAGES[errno.ENOMEM])
    if isinstance(error, RuntimeError) and said == NO_THREAD:
        hint = "allow more processes (ulimit -u), or more memory (ulimit -v)"
        return IoError("the system starts no more threads for this program", hint=hint)
    return None
