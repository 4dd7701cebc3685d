"""Errors inside the shell: the same line as at the end of a command, and then the shell goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.errors import XmppshError
from xmppsh.output.failure import error_text

if TYPE_CHECKING:
    import click

    from xmppsh.app.app import App
    from xmppsh.errors import UsageError


def report(app: App, error: XmppshError) -> None:
    """One error on stderr, in the form that the settings ask for."""
    app.console.write_error(error_text(error, as_json=app.settings.format == "json"))


def usage_error(error: click.ClickException, name: str) -> UsageError:
    """What click found wrong with the command `name`."""
    from xmppsh.registry import clicked

    return clicked.usage_error(error, f"/help {name}", f"/{name}: ")


def with_text(error: XmppshError, text: str, hint: str | None) -> XmppshError:
    """The same facts under another sentence."""
    other = XmppshError(text, hint=hint, condition=error.condition)
    other.exit_code, other.layer = error.exit_code, error.layer
    return other


def placed(error: XmppshError, label: str) -> XmppshError:
    """The same error, with where it happened in front."""
    return with_text(error, f"{label}: {error}", error.hint)
