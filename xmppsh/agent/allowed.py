"""Which commands an agent may run: on a session that others use at the same time, and that goes on after them.

Such a command leaves no presence, no room and no setting on its session, asks nothing of its user, and reads no message
that may be meant for another command. What is not listed goes the ordinary way.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from xmppsh.registry.groups import load

if TYPE_CHECKING:
    from xmppsh.registry import Path
    from xmppsh.registry.base import Work

# Beside each its parameters that forbid it, or `parameter=value`.
ALLOWED: dict[Path, tuple[str, ...]] = {
    ("send",): ("room", "attach", "wait=reply"),
    ("ping",): (),
    ("iq",): (),
    ("version",): (),
    ("time",): (),
    ("last",): (),
    ("disco", "info"): (),
    ("disco", "items"): (),
    ("disco", "tree"): (),
    ("adhoc", "list"): (),
    ("roster", "list"): (),
    ("roster", "add"): (),
    ("roster", "rename"): (),
    ("roster", "remove"): (),
    ("roster", "export"): (),
    ("roster", "import"): (),
    ("presence", "subscribe"): (),
    ("presence", "approve"): (),
    ("presence", "deny"): (),
    ("block", "list"): (),
    ("block", "add"): (),
    ("block", "remove"): (),
    ("history", "list"): (),
    ("history", "export"): (),
    ("room", "list"): (),
    ("bookmarks", "list"): (),
    ("bookmarks", "add"): (),
    ("bookmarks", "remove"): (),
    ("vcard", "get"): (),
    ("vcard", "set"): (),
    ("pubsub", "nodes"): (),
    ("pubsub", "get"): (),
    ("pubsub", "publish"): (),
    ("pubsub", "retract"): (),
    ("pubsub", "create"): (),
}
# What these commands import while they run.
ALSO_NEEDED = (
    "xmppsh.commands.send.delivery",
    "xmppsh.app.own_session",
    "xmppsh.registry.record_types",
    "xmppsh.connection.options",
    "xmppsh.net.tls",
    "xmppsh.outbox.journal",
    "xmppsh.session.session",
    "xmppsh.witness.announcer",
    "xmppsh.xmlio.reader",
)
FIRST_WORDS = frozenset(path[0] for path in ALLOWED)


def load_all() -> None:
    """Import what such a command needs, so that none of them has to wait for it."""
    for path in ALLOWED:
        load(path)
    for name in ALSO_NEEDED:
        importlib.import_module(name)


def is_allowed(work: Work) -> bool:
    """May an agent run it, with these arguments?"""
    forbidding = ALLOWED.get(tuple(work.name.split()))
    return forbidding is not None and not work.guarded and not any(_is_given(work, one) for one in forbidding)


def _is_given(work: Work, what: str) -> bool:
    name, has_value, value = what.partition("=")
    given = work.arguments.get(name)
    return getattr(given, "what", given) == value if has_value else bool(given)


def may_read_stdin(work: Work) -> bool:
    """Might it? A terminal must not be read here: nobody would stop us when its user stops the command with Ctrl-Z."""
    words = {name: one if isinstance(one, tuple) else (one,) if one else () for name, one in work.arguments.items()}
    name, count = work.spec.stdin_below
    return any("-" in one for one in words.values()) or len(words.get(name, ())) < count
