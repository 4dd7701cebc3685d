"""Called by the name `sendxmpp`, the program takes that one's options and its `~/.sendxmpprc`.

Only the words change: what is carried out is `xmppsh send`, or `xmppsh pipe` with `--raw`, and so are the exit codes.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from xmppsh.config.paths import home, refuse_readable_by_others
from xmppsh.errors import ConfigError, NoInputError, UsageError
from xmppsh.registry.base import HelpAsked
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME = "sendxmpp"
HINT = f"{NAME} --help"
# Its manual says `message` where the program takes `normal`, and that this is the default; the program sends `chat`.
TYPES = {"chat": "chat", "message": "normal", "normal": "normal", "headline": "headline"}
MOST_WORDS = 2  # after the address: the password and the component
KEYS = ("username", "jserver", "port", "password", "component")


class Account(NamedTuple):
    """What the file and the options say: a user of a server, reached at a host and port. component: his domain, where
    that is another one than the server's.
    """

    username: str = ""
    jserver: str = ""
    host: str = ""
    port: str = ""
    password: str = ""
    component: str = ""

    @property
    def jid(self) -> str:
        """The address that logs in; raises UsageError."""
        if not self.username or not (self.component or self.jserver):
            raise UsageError("no account: neither in ~/.sendxmpprc nor by -u and -j", hint=HINT)
        return f"{self.username}@{self.component or self.jserver}"

    @property
    def place(self) -> str | None:
        """Where to connect when the DNS shall not be asked."""
        host = self.host or (self.jserver if self.component or self.port else "")
        return (f"{host}:{self.port}" if self.port else host) or None


# Short and long name, the word for its value (None: it has none), and what it does.
OPTIONS = (
    ("-f", "file", "FILE", "take the account from FILE [~/.sendxmpprc]"),
    ("-u", "username", "USER", "log in as USER, whatever the file says"),
    ("-p", "password", "PASSWORD", "the password; other users of this machine can see it"),
    ("-j", "jserver", "SERVER[:PORT]", "the server of the account"),
    ("-o", "component", "DOMAIN", "the account's domain, where it is not the server's name"),
    ("-r", "resource", "NAME", "the resource, and the nickname in a room"),
    ("-t", "tls", None, "use TLS: this is so without it, too"),
    ("-e", "ssl", None, "begin with TLS, without STARTTLS"),
    ("-n", "no-tls-verify", None, "take any certificate"),
    ("-a", "tls-ca-path", "PATH", "trust the CA certificates there"),
    ("-s", "subject", "TEXT", "a subject"),
    ("-m", "message", "FILE", "read the message from FILE"),
    ("-l", "headline", None, "send it as a headline"),
    ("-c", "chatroom", None, "each RECIPIENT is a room: join it, send, leave"),
    ("-i", "interactive", None, "send each line of stdin as a message, as it comes"),
    ("-w", "raw", None, "stdin is XML stanzas, which are sent as they are"),
    ("-v", "verbose", None, "tell each step on stderr; -vv tells more"),
    ("-d", "debug", None, "the same as -vv"),
    ("-h", "help", None, "show this"),
)
COUNTED = ("verbose", "debug")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{NAME}: {message}", hint=HINT)


def _parser() -> _Parser:
    parser = _Parser(
        prog=NAME,
        usage=f"{NAME} [OPTIONS] RECIPIENT... < MESSAGE",
        description="Send a message. This is xmppsh, which takes the options of sendxmpp 1.24 here.",
        epilog="exit codes are those of xmppsh: xmppsh help exit-codes",
        add_help=False,
    )
    for short, name, value, told in OPTIONS:
        if value is not None:
            parser.add_argument(short, f"--{name}", metavar=value, help=told)
        else:
            parser.add_argument(short, f"--{name}", action="count" if name in COUNTED else "store_true", help=told)
    told = "chat, headline, or message (the type normal) [chat]"
    parser.add_argument("--message-type", choices=tuple(TYPES), default="chat", metavar="TYPE", help=told)
    parser.add_argument("--messages-type", dest="message_type", choices=tuple(TYPES), help=argparse.SUPPRESS)
    parser.add_argument("--usage", dest="help", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--sso", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("recipients", nargs="*", help=argparse.SUPPRESS)
    return parser


def translated(words: Sequence[str], env: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The command line and the variables of xmppsh that do the same; raises HelpAsked, UsageError, ConfigError,
    NoInputError.

    `--message FILE` becomes stdin.
    """
    parser = _parser()
    given = parser.parse_intermixed_args(list(words))
    if given.help:
        raise HelpAsked(parser.format_help())
    if given.sso:
        raise UsageError("--sso: Kerberos is not offered here", hint="--file FILE with a password")
    if given.chatroom and given.subject is not None:
        raise UsageError("--chatroom --subject would change the room's subject", hint="xmppsh room subject ROOM TEXT")
    if given.raw and (given.recipients or given.chatroom or given.subject is not None):
        raise UsageError("--raw sends stanzas, which name their recipient and subject themselves", hint=HINT)
    if not given.recipients and not given.raw:
        raise UsageError(f"{NAME}: no recipient is named", hint=HINT)
    account = _account(given, env)
    level = (given.verbose or 0) + 2 * (given.debug or 0)
    command = [*_trust(given, account), *(["-v"] * level)]
    variables = {"XMPPSH_JID": account.jid + (f"/{given.resource}" if given.resource and not given.chatroom else "")}
    if account.password:
        variables["XMPPSH_PASSWORD"] = account.password
    if given.message is not None:
        _read_from(given.message)
    return [*command, *(["pipe"] if given.raw else _send(given))], variables


def _send(given: argparse.Namespace) -> list[str]:
    command = ["send", *(word for one in given.recipients for word in ("--to", one))]
    if given.chatroom:
        command += ["--room", "--nick", given.resource or NAME]
    else:
        command += ["--type", "headline" if given.headline else TYPES[given.message_type]]
    if given.subject is not None:
        command += ["--subject", given.subject]
    return [*command, "--lines"] if given.interactive else command


def _trust(given: argparse.Namespace, account: Account) -> list[str]:
    """Where to connect, and whom to believe. `--tls` is what happens anyway."""
    words = ["--host", account.place] if account.place is not None else []
    if given.ssl:
        words += ["--tls", "direct"]
    if given.no_tls_verify:
        words += ["--insecure"]
    return words + (["--ca", given.tls_ca_path] if given.tls_ca_path is not None else [])


def _account(given: argparse.Namespace, env: Mapping[str, str]) -> Account:
    own = (home(env) or Path()) / ".sendxmpprc"
    path = own if given.file is None else Path(given.file)
    account = Account() if given.file is None and not own.exists() else _read(path, env)
    if given.jserver is not None:
        server, _, port = given.jserver.partition(":")
        account = account._replace(jserver=server, host="", port=port)
    named = {
        name: value for name in ("username", "password", "component") if (value := getattr(given, name)) is not None
    }
    return account._replace(**named)


def _read(path: Path, env: Mapping[str, str]) -> Account:
    """The file, in either of its formats; raises ConfigError when others may read it, as sendxmpp does."""
    refuse_readable_by_others(path, "a password", env)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NoInputError(f"{path}: {os_reason(error)}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        key, colon, value = line.partition(":")
        if not line or line.startswith("#"):
            continue
        if colon and key.strip() in KEYS:
            found[key.strip()] = value.strip()
        elif "@" in line and not found:
            return _of_one_line(line, f"{path}: line {number}")
        else:
            raise ConfigError(f"{path}: line {number} is not a setting of {NAME}", hint=HINT)
    return Account(**found)


def _of_one_line(line: str, place: str) -> Account:
    """`user@server[;host][:port] password [component]`, the format before 1.24."""
    address, *rest = line.split()
    if not rest:
        raise ConfigError(f"{place} has no password", hint=HINT)
    if len(rest) > MOST_WORDS:
        raise ConfigError(f"{place} goes on after the component: a comment has a line of its own", hint=HINT)
    user, _, where = address.partition("@")
    where, _, port = where.partition(":")
    server, _, host = where.partition(";")
    return Account(user, server, host, port, rest[0], rest[1] if len(rest) > 1 else "")


def _read_from(name: str) -> None:
    """Let a file be stdin."""
    try:
        fd = os.open(name, os.O_RDONLY)
    except OSError as error:
        raise NoInputError(f"{name}: {os_reason(error)}") from error
    os.dup2(fd, 0)
    os.close(fd)
