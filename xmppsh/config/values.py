"""How the text of a setting becomes its value; each function raises UsageError with a sentence of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xmppsh.errors import UsageError
from xmppsh.model import a_labels, is_address, split_host_port
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    Word = TypeVar("Word", bound=str)

DNS_PORT = 53
MAX_KEPT_S = 86_400
MAX_S = 31_536_000  # a year
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
SPANS = "seconds such as 5 or 0.5, or a span such as 30s, 5m, 2h, 7d"
WHOLE_SPAN = "[0-9]{1,9}[smhd]"


def _seconds(text: str) -> float:
    """The seconds of a span such as `5`, `0.5`, `5s`, `2h`; raises ValueError."""
    stripped = text.strip()
    number = stripped.rstrip("smhd") if stripped[-1:] in UNITS_S else stripped
    unit = stripped[len(number) :] or "s"
    if unit not in UNITS_S or not number.isascii() or "_" in number:  # which Python's own numbers may have
        raise ValueError(text)
    seconds = float(number) * UNITS_S[unit]
    if seconds != seconds:  # NaN
        raise ValueError(text)
    return seconds


def positive_seconds(text: str) -> float:
    """A span above zero and at most a year, in seconds: `5` and `5s` are five seconds; m, h and d work, too."""
    try:
        seconds = _seconds(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a number of seconds", hint=SPANS) from None
    if seconds <= 0:
        raise UsageError(f"{_named(text)} is not a span above zero")
    if seconds > MAX_S:
        raise UsageError(f"{_named(text)} is more than {MAX_S}, which is a year")
    return seconds


def seconds_to_keep(text: str) -> int:
    """A span of whole seconds, at most a day; 0: nothing is kept."""
    seconds = int(_seconds(text)) if re.fullmatch(WHOLE_SPAN, text) else integer(text)
    if not 0 <= seconds <= MAX_KEPT_S:
        raise UsageError(f"{_named(text)} is not a span from 0 to {MAX_KEPT_S}")
    return seconds


def _named(text: str) -> str:
    """The span at the beginning of a sentence."""
    return text if text.strip()[-1:] in UNITS_S else f"{text} seconds"


def file(text: str) -> str:
    """The name of a file."""
    if not text:
        raise UsageError("the name of the file is empty", hint="is a variable of the shell unset?")
    return text


def host(text: str) -> tuple[str, int | None]:
    """HOST[:PORT]."""
    try:
        return split_host_port(text)
    except ValueError as error:
        raise UsageError(f"--host: {error}") from None


@dataclass(frozen=True)
class Override:
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
    if not listed:
        raise UsageError(f"--resolve: {text!r} is not NAME:PORT:ADDRESS", hint="--resolve NAME:PORT:ADDRESS[,ADDRESS]…")
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


def nearest(word: str, known: Iterable[str], like: float = 0.6) -> str | None:
    """What was meant by a word that nobody knows, if anything is like it: 1 is the same, 0 nothing in common."""
    import difflib  # nobody mistypes all the time

    return next(iter(difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=like)), None)


def choice(name: str, allowed: tuple[Word, ...]) -> Callable[[str], Word]:
    """One of a few words."""

    def parse(text: str) -> Word:
        for word in allowed:
            if word == text:
                return word
        raise UsageError(f"--{name}: {text!r} is not one of {', '.join(allowed)}", hint=nearest(text, allowed))

    return parse


def integer(text: str) -> int:
    """A whole number from zero up."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise UsageError(f"{text!r} is not a whole number from 0 to 999999999")
    return int(text)
