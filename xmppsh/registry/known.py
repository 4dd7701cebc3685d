"""Addresses that complete: a small cache of each account's roster, so that the Tab key never has to connect.

The shell writes it when it has asked for the roster. In the shell what is known lives in memory (`Known`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from xmppsh.config.contacts import read_contacts
from xmppsh.config.ours import replace_private
from xmppsh.config.paths import file_name, refuse_foreign_state, state_folder
from xmppsh.errors import XmppshError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class Known(Protocol):
    """What a running shell knows, given to completion as click's `obj`."""

    def addresses(self, incomplete: str) -> Iterable[tuple[str, str]]:
        """Bare addresses, each with a word about it; once it is typed as far as its slash, full ones."""

    def room_addresses(self, incomplete: str) -> Iterable[tuple[str, str]]:
        """Those of rooms that it may be, the same."""

    def occupants(self, bare: str) -> Iterable[str]:
        """The nicks in a room."""


def cache_file(state: Path, account: str) -> Path:
    """Where the contacts of an account (a bare JID) are."""
    return state / "roster" / file_name(account)


def write_contacts(state: Path, account: str, contacts: Iterable[tuple[str, str]]) -> None:
    """Replace the cache: addresses with their names. Raises OSError."""
    rows = (f"{address}\t{' '.join(name.split())}\n" for address, name in contacts)
    replace_private(cache_file(state, account), "".join(rows).encode("utf-8", "replace"))


def cached_addresses(options: Mapping[str, Any], env: Mapping[str, str]) -> list[tuple[str, str]]:
    """Whom the account of a command line knows; where it is not settled which that is, the accounts that have a cache,
    and whom any of them knows.

    The account itself and its server come first.
    """
    state = state_folder(env)
    account = _account(options, env)
    own = [] if account is None else [(account, "this account"), (account.partition("@")[2], "its server")]
    try:
        if state is None:
            return own
        refuse_foreign_state(state)
    except XmppshError:
        return own  # told when a command runs
    if account is not None and (path := cache_file(state, account)).exists():
        return own + read_contacts(str(path))
    try:
        paths = sorted((state / "roster").iterdir())
    except OSError:
        return own
    from urllib.parse import unquote

    accounts = [(unquote(path.name), "an account") for path in paths if account is None and "@" in path.name]
    return own + accounts + [contact for path in paths for contact in read_contacts(str(path))]


def _account(options: Mapping[str, Any], env: Mapping[str, str]) -> str | None:
    from xmppsh.config.load import load

    try:
        jid = options.get("jid") or load(options, env).jid
    except XmppshError:
        return None  # a faulty config file is told of when the command runs
    return None if jid is None else str(jid.bare)
