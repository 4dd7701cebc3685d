"""What a failure looks like: one line and what to try, or one JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.errors import XmppshError
from xmppsh.output import safe
from xmppsh.output.ndjson import dumps

if TYPE_CHECKING:
    from collections.abc import Callable


def error_text(error: XmppshError, *, as_json: bool) -> str:
    """A line and what to try, or one JSON object; with its newline."""
    if as_json:
        return dumps({"error": error.record()}) + "\n"
    hint = f"  try: {safe.line(error.hint)}\n" if error.hint else ""
    return f"xmppsh: {safe.line(str(error))}\n{hint}"


def bug(error: Exception, verbose: int, write_error: Callable[[str], None]) -> XmppshError:
    """A fault of ours, as an error; with -vv its traceback is shown, and nowhere else."""
    if verbose >= 2:
        import traceback

        write_error("".join(traceback.format_exception(error)))
    if isinstance(error, ImportError):
        return XmppshError(f"xmppsh is not whole: {error}", hint="install xmppsh again: something is missing")
    return XmppshError(f"internal error: {type(error).__name__}: {error}", hint="-vv shows where; please report it")
