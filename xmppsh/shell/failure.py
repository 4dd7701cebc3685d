"""Errors inside the shell: the same line as at the end of a command, and then the shell goes on."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from xmppsh.errors import UsageError, XmppshError
from xmppsh.output import safe
from xmppsh.output.ndjson import dumps

if TYPE_CHECKING:
    import click

    from xmppsh.commands.app import App


def report(app: App, error: XmppshError) -> None:
    """One error on stderr, in the form that the settings ask for."""
    app.write_error(error_text(error, as_json=app.settings.format == "json"))


def error_text(error: XmppshError, *, as_json: bool) -> str:
    """A line and what to try, or one JSON object; with its newline."""
    if as_json:
        return dumps({"error": error.record()}) + "\n"
    hint = f"  try: {safe.line(error.hint)}\n" if error.hint else ""
    return f"xmppsh: {safe.line(str(error))}\n{hint}"


def bug(app: App, error: Exception) -> XmppshError:
    """A fault of ours in a command: the shell lives on; -vv shows where it was."""
    if app.settings.verbose >= 2:
        app.write_error("".join(traceback.format_exception(error)))
    return XmppshError(f"internal error: {type(error).__name__}: {error}", hint="-vv shows where; please report it")


def usage_error(error: click.ClickException, name: str) -> UsageError:
    """What click found wrong with the command `name`."""
    return UsageError(f"/{name}: {error.format_message().rstrip('.')}", hint=f"/help {name}")


def with_text(error: XmppshError, text: str, hint: str | None) -> XmppshError:
    """The same facts under another sentence."""
    other = XmppshError(text, hint=hint, condition=error.condition)
    other.exit_code, other.layer = error.exit_code, error.layer
    return other


def placed(error: XmppshError, label: str) -> XmppshError:
    """The same error, with where it happened in front."""
    return with_text(error, f"{label}: {error}", error.hint)
