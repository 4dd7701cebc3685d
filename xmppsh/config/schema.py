"""Every setting in one place: its type, default, help and names.

A setting `connect_timeout` is the option `--connect-timeout`, the environment variable `XMPPSH_CONNECT_TIMEOUT` and
the key `connect-timeout` of the config file, at its top or in a `[profile.NAME]`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from xmppsh.config.proxy import Proxy
from xmppsh.errors import UsageError
from xmppsh.model import Jid, a_labels, is_address, split_host_port

if TYPE_CHECKING:
    from collections.abc import Callable

TLS_MODES = ("auto", "direct", "starttls", "off")
FORMATS = ("text", "json", "xml")
DNS_PORT = 53
MAX_KEPT_S = 86_400
MAX_S = 31_536_000  # a year
COLORS = ("auto", "always", "never")


def positive_seconds(text: str) -> float:
    """A number of seconds above zero, and at most a year."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if math.isnan(seconds):
        raise UsageError(f"{text!r} is not a number of seconds")
    if seconds <= 0:
        raise UsageError(f"{text} seconds is not a span above zero")
    if seconds > MAX_S:
        raise UsageError(f"{text} seconds is more than {MAX_S}, which is a year")
    return seconds


def seconds_to_keep(text: str) -> int:
    """A whole number of seconds; 0: nothing is kept."""
    seconds = integer(text)
    if not 0 <= seconds <= MAX_KEPT_S:
        raise UsageError(f"{text} seconds is not a span from 0 to {MAX_KEPT_S}")
    return seconds


def host(text: str) -> tuple[str, int | None]:
    """HOST[:PORT]."""
    try:
        return split_host_port(text)
    except ValueError as error:
        raise UsageError(f"--host: {error}") from None


class Override(NamedTuple):
    """What `--resolve` says of a name: its addresses for one port. name: in A-labels, or `*`."""

    name: str
    port: int
    addresses: tuple[str, ...]


def name_servers(text: str) -> tuple[tuple[str, int], ...]:
    """ADDRESS[:PORT], several of them separated by commas."""
    found = []
    for part in text.split(","):
        try:
            address, port = split_host_port(part.strip())
        except ValueError as error:
            raise UsageError(f"--dns: {error}") from None
        if not is_address(address):
            raise UsageError(f"--dns: {address!r} is not an address", hint="--dns 192.0.2.1 or --dns [2001:db8::1]:53")
        found.append((address, DNS_PORT if port is None else port))
    return tuple(found)


def override(text: str) -> Override:
    """NAME:PORT:ADDRESS[,ADDRESS]…, as curl has it: `*` for every name, brackets around IPv6 or none."""
    name, _, rest = text.removeprefix("+").partition(":")  # curl's +: forget it in time, which the end of a run does
    port, _, listed = rest.partition(":")
    addresses = tuple(part.strip().removeprefix("[").removesuffix("]") for part in listed.split(","))
    try:
        split_host_port(f"{name}:{port}")  # complains of the name and the port
        name = name if name == "*" else a_labels(name).lower().removesuffix(".")
        for address in addresses:
            if not is_address(address):
                raise ValueError(f"{address!r} is not an address")
    except ValueError as error:
        raise UsageError(f"--resolve: {error}", hint="--resolve NAME:PORT:ADDRESS[,ADDRESS]…") from None
    return Override(name, int(port), addresses)


def pin(text: str) -> str:
    """sha256:HEX, with or without colons between the bytes, as `openssl x509 -fingerprint -sha256` prints it."""
    algorithm, _, value = text.partition(":")
    value = value.replace(":", "").lower()
    if algorithm.lower() != "sha256" or len(value) != 64 or any(digit not in "0123456789abcdef" for digit in value):
        raise UsageError(f"--pin: {text!r} is not sha256: and 64 hex digits")
    return value


def choice(name: str, allowed: tuple[str, ...]) -> Callable[[str], str]:
    """One of a few words."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise UsageError(f"--{name}: {text!r} is not one of {', '.join(allowed)}")
        return text

    return parse


def integer(text: str) -> int:
    """A whole number from zero up."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UsageError(f"{text!r} is not a number")
    return int(text)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. parse: from text; many: may be given several times; flag: on or off; file_only: never an option.

    group: where the help lists it, a key of SETTING_GROUPS.
    """

    name: str
    group: str
    help: str
    parse: Callable[[str], Any] = str
    default: Any = None
    metavar: str = "TEXT"
    short: str | None = None
    many: bool = False
    flag: bool = False
    count: bool = False
    file_only: bool = False

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
        return self.parse in (integer, positive_seconds, seconds_to_keep)


SETTING_GROUPS = {
    "account": "Account options",
    "server": "Server options",
    "trust": "Trust options",
    "output": "Output options",
}
SETTINGS: tuple[Setting, ...] = (
    Setting("jid", "account", "The account; a resource is allowed.", Jid.parse, metavar="JID", short="-j"),
    Setting("profile", "account", "A [profile.NAME] of the config file.", metavar="NAME", short="-P"),
    Setting("password", "account", "The password; in the config file or the environment alone.", file_only=True),
    Setting(
        "password_file", "account", "Read the password from the first line of a file of mode 0600.", metavar="FILE"
    ),
    Setting(
        "password_command", "account", "Run this command; its first line of output is the password.", metavar="CMD"
    ),
    Setting("password_fd", "account", "Read the password from this file descriptor.", integer, metavar="N"),
    Setting(
        "host", "server", "Dial this instead of asking DNS; repeatable, in order.", host, (), "HOST[:PORT]", many=True
    ),
    Setting(
        "resolve",
        "server",
        "Where a name is, as curl's; for the domain no SRV is asked.",
        override,
        (),
        "NAME:PORT:ADDRESS",
        many=True,
    ),
    Setting(
        "dns", "server", "Ask these name servers, behind the hosts file.", name_servers, (), "ADDRESS[:PORT]", many=True
    ),
    Setting(
        "tls", "server", "auto, direct, starttls or off (loopback alone).", choice("tls", TLS_MODES), "auto", "MODE"
    ),
    Setting("ca", "trust", "Trust the authorities in this PEM file instead of the system's.", metavar="FILE"),
    Setting("pin", "trust", "Trust a certificate by its fingerprint alone.", pin, (), "sha256:HEX", many=True),
    Setting("insecure", "trust", "Trust any certificate; warns each time.", flag=True, default=False),
    Setting("cert", "account", "Client certificate for SASL EXTERNAL, PEM.", metavar="FILE"),
    Setting("key", "account", "Its key, PEM.", metavar="FILE"),
    Setting("anonymous", "account", "Log in without an account (SASL ANONYMOUS).", flag=True, default=False),
    Setting("mechanism", "account", "Only this SASL mechanism.", metavar="NAME"),
    Setting("ipv4", "server", "Only IPv4 addresses.", flag=True, default=False, short="-4"),
    Setting("ipv6", "server", "Only IPv6 addresses.", flag=True, default=False, short="-6"),
    Setting(
        "proxy",
        "server",
        "Go by socks5h:// or http://; it looks names up, no DNS question is sent.",
        Proxy.parse,
        metavar="URL",
    ),
    Setting("connect_timeout", "server", "Seconds for the way to a bound session.", positive_seconds, 10.0, "S"),
    Setting("timeout", "server", "Seconds for each answer.", positive_seconds, 30.0, "S"),
    Setting(
        "resume_max", "server", "Seconds that the server is asked to keep a cut session.", seconds_to_keep, 120, "S"
    ),
    Setting("no_guard", "server", "Start no guard: after kill -9 the session stays online.", flag=True, default=False),
    Setting("no_sm", "server", "Without stream management: no resumption, acks by pings.", flag=True, default=False),
    Setting(
        "format",
        "output",
        "Output as text, json (one object a line) or xml.",
        choice("format", FORMATS),
        "text",
        "FORMAT",
    ),
    Setting(
        "template", "output", "Output by a template: %f from, %b body, … (see the manual).", metavar="FMT", short="-F"
    ),
    Setting("color", "output", "auto, always or never; NO_COLOR is honoured.", choice("color", COLORS), "auto", "WHEN"),
    Setting("verbose", "output", "Log to stderr; repeat for more.", integer, 0, "N", "-v", count=True),
    Setting("quiet", "output", "Errors alone on stderr.", flag=True, default=False, short="-q"),
    Setting(
        "trace", "output", "Write the XML of both directions, secrets masked, to FILE; - is stderr.", metavar="FILE"
    ),
    Setting("dry_run", "output", "Print what would be sent; open no connection.", flag=True, default=False, short="-n"),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}

PASSWORDS = ("password_file", "password_command", "password_fd", "password")
OF_ACCOUNT = (*PASSWORDS, "cert", "key")  # what proves who we are
# Of these a nearer layer's puts those of the layers behind it out of force.
ALTERNATIVES = (
    ("ipv4", "ipv6"),
    ("insecure", "pin", "ca"),
    ("anonymous", "cert", *PASSWORDS),
    ("quiet", "verbose"),
)
