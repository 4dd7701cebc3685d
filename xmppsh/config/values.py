"""How the text of a setting becomes its value; each function raises UsageError with a sentence of its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from xmppsh.errors import UsageError
from xmppsh.model import a_labels, is_address, split_host_port

if TYPE_CHECKING:
    from collections.abc import Callable

DNS_PORT = 53
MAX_KEPT_S = 86_400
MAX_S = 31_536_000  # a year
Word = TypeVar("Word", bound=str)


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


def choice(name: str, allowed: tuple[Word, ...]) -> Callable[[str], Word]:
    """One of a few words."""

    def parse(text: str) -> Word:
        for word in allowed:
            if word == text:
                return word
        raise UsageError(f"--{name}: {text!r} is not one of {', '.join(allowed)}")

    return parse


def integer(text: str) -> int:
    """A whole number from zero up."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UsageError(f"{text!r} is not a number")
    return int(text)
