"""What the registry tells of a command, and of a group of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from typing import Literal

Path = tuple[str, ...]

SECTIONS = {
    "talk": "Talk",
    "stream": "Streams of stanzas",
    "account": "Account",
    "server": "Server",
    "machine": "This machine",
}


@dataclass(frozen=True)
class Spec:
    """The facts of one command.

    module: where its function is. help: one line. section: its group in the help, a key of SECTIONS.
    session: `none` for a command that needs no account, `one-shot` for one whose session dies with its socket,
    `lasting` for one that survives a cut and is watched by a guard.
    not_in_shell: why it does not run on the shell's open session, and what to do instead; None when it runs there.
    tail: in the shell, `text` keeps what follows the first argument as it stands; `words` splits it as sh does.
    reports_bounces: it tells by itself what came back, so that the shell need not.
    lasting_with: its parameters that make the session of a one-shot a lasting one.
    stdin_below: a parameter, and the number of its words below which the command reads stdin in their place.
    asks_anew: it asks for the password, whatever is known already.
    records: the types that it prints, as `module:Class`; none where it prints text alone, or nothing.
    monitors: does it also print what Nagios and Prometheus read?
    """

    module: str
    help: str
    section: str
    session: Literal["none", "one-shot", "lasting"] = "one-shot"
    not_in_shell: str | None = None
    tail: Literal["words", "text"] = "words"
    reports_bounces: bool = False
    records: tuple[str, ...] = ()
    lasting_with: tuple[str, ...] = ()
    stdin_below: tuple[str, int] = ("", 0)
    asks_anew: bool = False
    monitors: bool = False


@dataclass(frozen=True)
class Group:
    """The facts of a group of commands, such as `outbox`."""

    help: str
    section: str
