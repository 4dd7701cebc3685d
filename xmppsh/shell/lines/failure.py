"""Errors inside the shell: the same line as at the end of a command, and then the shell goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.errors import XmppshError
from xmppsh.later import pattern
from xmppsh.output.failure import error_text
from xmppsh.shell.lines.names import available

if TYPE_CHECKING:
    import re

    import click

    from xmppsh.app.app import App
    from xmppsh.errors import UsageError

_COMMAND = pattern(r"\bxmppsh ([a-z]+(?: [a-z]+)?)\b")


def report(app: App, error: XmppshError) -> None:
    """One error on stderr, in the form that the settings ask for."""
    as_json = app.settings.format == "json"
    app.console.write_error(error_text(error if as_json else _hinting(error), as_json=as_json))


def _hinting(error: XmppshError) -> XmppshError:
    """The same error. What its hint calls `xmppsh roster list` is /roster list here."""
    hint = _COMMAND().sub(_as_typed, error.hint) if error.hint else None
    return error if hint == error.hint else with_text(error, str(error), hint)


def _as_typed(found: re.Match[str]) -> str:
    words = tuple(found[1].split())
    return f"/{found[1]}" if words in available() or words[:1] in available() else found[0]


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
