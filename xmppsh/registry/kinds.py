"""What arguments are, without click: addresses, spans of time, what `send` waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.config.values import positive_seconds
from xmppsh.errors import MalformedJid, UsageError
from xmppsh.model import Jid
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def is_account(word: str) -> bool:
    """Does a word stand for an account, where a command could stand?"""
    return "@" in word or word.lower().startswith("xmpp:")


def parse_address(text: str) -> Jid:
    """Read a JID or an `xmpp:` URI."""
    return parse_uri(text)[0]


def parse_uri(text: str) -> tuple[Jid, dict[str, str]]:
    """Read a JID or an `xmpp:` URI: the address, and what its query says (`?message;subject=…;body=…`, XEP-0147).

    The first word of the query, what is to be done, stands under "".
    """
    if not text.lower().startswith("xmpp:"):
        return Jid.parse(text), {}
    from urllib.parse import unquote  # most addresses are none

    path, _, query = text[len("xmpp:") :].partition("#")[0].partition("?")
    if path.startswith("//"):
        path = path[2:].partition("/")[2]  # RFC 5122 §2.3: an authority names our own account
    try:
        action, *pairs = query.split(";")
        said = {
            unquote(name, errors="strict"): unquote(value, errors="strict")
            for name, _, value in (pair.partition("=") for pair in pairs)
        }
        return Jid.parse(unquote(path, errors="strict")), {**said, "": action}
    except UnicodeDecodeError as error:
        raise MalformedJid(text, "its percent-encoding is not UTF-8") from error


@dataclass(frozen=True)
class Wait:
    """What `send` waits for: `sent`, `acked`, `delivered` or `reply`, and for how long where that was given."""

    what: str
    seconds: float | None = None


ANSWERS = ("delivered", "reply")


def read_wait(text: str) -> Wait:
    """What `--wait` says; raises UsageError."""
    what, colon, seconds = text.partition(":")
    if what not in ("sent", "acked", *ANSWERS) or (colon and what not in ANSWERS):
        raise UsageError(f"--wait: {text!r} is not sent, acked, delivered[:SECONDS] or reply[:SECONDS]")
    try:
        return Wait(what, positive_seconds(seconds) if colon else None)
    except UsageError as error:
        raise UsageError(f"--wait: {error}", hint=error.hint) from None


def named(text: str, what: str = "file") -> str:
    """The name of a file, a node or an item, as it stands; raises UsageError for an empty one."""
    if not text:
        raise UsageError(f"the name of the {what} is empty", hint="is a variable of the shell unset?")
    return text


# How the text of each type is read; params.py has the same for click.
READERS: dict[str, Callable[[str], Any]] = {
    "TEXT": str,
    "JID": parse_address,
    "FILE": named,
    "WAIT": read_wait,
    "SECONDS": positive_seconds,
}
