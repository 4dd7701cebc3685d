"""Every setting in one place: the fields of `Settings`, each with its type, default, help and names.

A setting `connect_timeout` is the option `--connect-timeout`, the environment variable `XMPPSH_CONNECT_TIMEOUT` and
the key `connect-timeout` of the config file, at its top or in a `[profile.NAME]`.
"""

from __future__ import annotations

from dataclasses import field, fields, replace
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from xmppsh.config import values
from xmppsh.config.paths import expanded
from xmppsh.config.proxy import Proxy
from xmppsh.model import Jid
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Literal, TypeVar

    from xmppsh.model import TlsMode

    T = TypeVar("T")
    Format = Literal["text", "json", "xml", "nagios", "openmetrics"]
    Color = Literal["auto", "always", "never"]
    UseAgent = Literal["auto", "no"]

TLS_MODES: tuple[TlsMode, ...] = ("auto", "direct", "starttls", "off")
FORMATS: tuple[Format, ...] = ("text", "json", "xml", "nagios", "openmetrics")
MONITORS: tuple[Format, ...] = FORMATS[3:]  # for what watches a service: of doctor alone
COLORS: tuple[Color, ...] = ("auto", "always", "never")
USES: tuple[UseAgent, ...] = ("auto", "no")


class Origin(IntEnum):
    """Which layer a value came from; the nearer a layer is to the user, the smaller it is, and it wins."""

    OPTION = 0
    ENVIRONMENT = 1
    PROFILE = 2
    CONFIG_FILE = 3
    DEFAULT = 4


@dataclass(frozen=True)
class Setting:
    """What the layers need to know of a setting.

    parse: from text; many: may be given several times; flag: on or off; count: how often the option stands there;
    file_only: never an option; choices: the words that it may be, where they are few; is_path: names a file, in the
    config file relative to that file; group: where the help lists it, a key of SETTING_GROUPS.
    """

    name: str
    group: str
    help: str
    parse: Callable[[str], Any]
    default: Any
    metavar: str
    short: str | None
    many: bool
    flag: bool
    count: bool
    file_only: bool
    is_path: bool
    choices: tuple[str, ...]

    @property
    def option(self) -> str:
        """Such as `--connect-timeout`."""
        return "--" + self.key

    @property
    def key(self) -> str:
        """The key in the config file."""
        return self.name.replace("_", "-")

    @property
    def env(self) -> str:
        """The environment variable."""
        return "XMPPSH_" + self.name.upper()

    @property
    def is_number(self) -> bool:
        """May it be a number in the config file? Everything else is text in quotes there."""
        return self.parse in (values.integer, values.positive_seconds, values.seconds_to_keep)


def _field(group: str, help_text: str, default: Any, parse: Callable[[str], Any] = str, **facts: Any) -> Any:
    known: dict[str, Any] = {
        "metavar": "TEXT", "short": None, "many": False, "flag": False, "count": False, "file_only": False,
        "is_path": False, "choices": (), **facts,
    }  # fmt: skip
    metadata = {"group": group, "help": help_text, "parse": parse, **known}
    return field(default=default, repr=not known["file_only"], metadata=metadata)


# Four kinds of fields. What each returns is what the type checker holds against the field's type.


def _value(group: str, help_text: str, default: T, parse: Callable[[str], T], metavar: str, **facts: Any) -> T:
    made: T = _field(group, help_text, default, parse, metavar=metavar, **facts)
    return made


def _optional(group: str, help_text: str, parse: Callable[[str], T], metavar: str, **facts: Any) -> T | None:
    made: T | None = _field(group, help_text, None, parse, metavar=metavar, **facts)
    return made


def _several(group: str, help_text: str, parse: Callable[[str], T], metavar: str) -> tuple[T, ...]:
    made: tuple[T, ...] = _field(group, help_text, (), parse, metavar=metavar, many=True)
    return made


def _flag(group: str, help_text: str, short: str | None = None) -> bool:
    made: bool = _field(group, help_text, False, short=short, flag=True)
    return made


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The values in force; `origin` tells where each came from, `with_values` makes a changed copy."""

    jid: Jid | None = _optional("account", "The account; a resource is allowed.", Jid.parse, "JID", short="-j")
    profile: str | None = _optional("account", "A [profile.NAME] of the config file.", str, "NAME", short="-P")
    password: str | None = _optional(
        "account", "The password; only in the config file or the environment.", str, "TEXT", file_only=True
    )
    password_file: str | None = _optional(
        "account", "Read the password from the first line of a file of mode 0600.", values.file, "FILE", is_path=True
    )
    password_command: str | None = _optional(
        "account", "Run this command; its first line of output is the password.", str, "CMD"
    )
    password_fd: int | None = _optional("account", "Read the password from this file descriptor.", values.integer, "N")
    host: tuple[tuple[str, int | None], ...] = _several(
        "server", "Connect to this host instead of asking DNS; repeatable, in order.", values.host, "HOST[:PORT]"
    )
    resolve: tuple[values.Override, ...] = _several(
        "server",
        "The address of a name, as in curl; for the domain, no SRV lookup.",
        values.override,
        "NAME:PORT:ADDRESS",
    )
    dns: tuple[tuple[tuple[str, int], ...], ...] = _several(
        "server", "Use these name servers, after the hosts file.", values.name_servers, "ADDRESS[:PORT]"
    )
    tls: TlsMode = _value(
        "server",
        "auto, direct, starttls or off (loopback only).",
        TLS_MODES[0],
        values.choice("tls", TLS_MODES),
        "MODE",
        choices=TLS_MODES,
    )
    ca: str | None = _optional(
        "trust", "Trust the CAs in this PEM file instead of the system's.", values.file, "FILE", is_path=True
    )
    pin: tuple[str, ...] = _several("trust", "Trust a certificate only by its fingerprint.", values.pin, "sha256:HEX")
    insecure: bool = _flag("trust", "Trust any certificate; warns each time.")
    cert: str | None = _optional(
        "account", "Client certificate for SASL EXTERNAL, PEM.", values.file, "FILE", is_path=True
    )
    key: str | None = _optional("account", "The key of the client certificate, PEM.", values.file, "FILE", is_path=True)
    anonymous: bool = _flag("account", "Log in without an account (SASL ANONYMOUS).")
    mechanism: str | None = _optional("account", "Use only this SASL mechanism.", str, "NAME")
    ipv4: bool = _flag("server", "Use only IPv4 addresses.", "-4")
    ipv6: bool = _flag("server", "Use only IPv6 addresses.", "-6")
    proxy: Proxy | None = _optional(
        "server",
        "Connect through a socks5h:// or http:// proxy, which resolves names; no DNS query is sent.",
        Proxy.parse,
        "URL",
    )
    connect_timeout: float = _value(
        "server", "Seconds, or a time span such as 1m, to get to a bound session.", 10.0, values.positive_seconds, "S"
    )
    timeout: float = _value("server", "How long to wait for each answer.", 30.0, values.positive_seconds, "S")
    resume_max: int = _value(
        "server", "Seconds the server is asked to keep a disconnected session.", 120, values.seconds_to_keep, "S"
    )
    no_guard: bool = _flag("server", "Start no guard: after kill -9 the session stays online for a while.")
    no_sm: bool = _flag("server", "No stream management: no resumption, pings instead of acks.")
    agent: UseAgent = _value(
        "server",
        "Whether an agent (xmppsh agent) may run the command: auto or no.",
        USES[0],
        values.choice("agent", USES),
        "WHEN",
        choices=USES,
    )
    format: Format = _value(
        "output",
        "Output text, json (one object per line) or xml; doctor also nagios or openmetrics.",
        FORMATS[0],
        values.choice("format", FORMATS),
        "FORMAT",
        choices=FORMATS,
    )
    template: str | None = _optional(
        "output", "Output by a template: %f from, %b body, … (see `xmppsh help formats`).", str, "FMT", short="-F"
    )
    color: Color = _value(
        "output",
        "auto, always or never; NO_COLOR is respected.",
        COLORS[0],
        values.choice("color", COLORS),
        "WHEN",
        choices=COLORS,
    )
    verbose: int = _value("output", "Log to stderr; repeat for more.", 0, values.integer, "N", short="-v", count=True)
    quiet: bool = _flag("output", "Only errors on stderr.", "-q")
    trace: str | None = _optional(
        "output",
        "Write the XML of both directions to FILE, secrets masked; - is stderr.",
        values.file,
        "FILE",
        is_path=True,
    )
    dry_run: bool = _flag("output", "Print what would be sent; open no connection.", "-n")
    origins: Mapping[str, Origin] = field(default_factory=dict, repr=False)
    folder: Path = Path()  # of the config file
    cwd: Path = Path()  # what the relative paths of options and variables start from

    def origin(self, name: str) -> Origin:
        """The layer that the value came from."""
        return self.origins.get(name, Origin.DEFAULT)

    def source(self, name: str) -> str:
        """Who says so: the option, the variable, or the place in the config file."""
        setting = BY_NAME[name]
        match self.origin(name):
            case Origin.ENVIRONMENT:
                return setting.env
            case Origin.CONFIG_FILE:
                return f"{setting.key} in the config file"
            case Origin.PROFILE:
                return f"{setting.key} in [profile.{self.profile}]"
            case _:
                return setting.option

    def path(self, name: str, env: Mapping[str, str]) -> Path | None:
        """The file that a setting names, None when it names none; in the config file it is relative to that file.

        Raises NoInputError for a `~` without a home.
        """
        text: str | None = getattr(self, name)
        if not text:
            return None
        is_of_file = self.origin(name) in (Origin.PROFILE, Origin.CONFIG_FILE)
        return (self.folder if is_of_file else self.cwd) / expanded(text, env)

    def with_values(self, **values: Any) -> Settings:
        """A copy with these values, as if given as options."""
        return replace(self, **values, origins={**self.origins, **dict.fromkeys(values, Origin.OPTION)})

    def without(self, names: Iterable[str]) -> Settings:
        """A copy in which these have their defaults."""
        defaults: dict[str, Any] = {name: BY_NAME[name].default for name in names}
        kept = {name: origin for name, origin in self.origins.items() if name not in defaults}
        return replace(self, **defaults, origins=kept)


SETTING_GROUPS = {
    "account": "Account options",
    "server": "Server options",
    "trust": "Trust options",
    "output": "Output options",
}
SETTINGS = tuple(Setting(one.name, default=one.default, **one.metadata) for one in fields(Settings) if one.metadata)
BY_NAME = {setting.name: setting for setting in SETTINGS}

PASSWORDS = ("password_file", "password_command", "password_fd", "password")
OF_ACCOUNT = (*PASSWORDS, "cert", "key")  # what proves who we are
# Of these a nearer layer's puts those of the layers after it out of force.
ALTERNATIVES = (
    ("ipv4", "ipv6"),
    ("insecure", "pin", "ca"),
    ("anonymous", "cert", *PASSWORDS),
    ("quiet", "verbose"),
)
