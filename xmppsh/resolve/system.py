"""What this machine knows by itself: its hosts file, its name servers, its own way to look a name up."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh.model import is_address, split_host_port
from xmppsh.resolve.options import DNS_PORT
from xmppsh.tasks import apart

if TYPE_CHECKING:
    from pathlib import Path

MAX_NAME_SERVERS = 3  # resolv.conf(5): MAXNS


def in_hosts_file(path: Path, name: str) -> tuple[str, ...]:
    """The addresses of a name in the hosts file (hosts(5)), in its order."""
    try:
        text = path.read_bytes().decode("utf-8", "replace").lower()
    except OSError:
        return ()  # a machine without one: it names nothing
    if name.lower() not in text:
        return ()  # a list against advertising has a hundred thousand lines
    found = []
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if name.lower() in names and is_address(address):
            found.append(address)
    return tuple(dict.fromkeys(found))


def name_servers(path: Path) -> tuple[tuple[str, int], ...]:
    """The system's name servers, as resolv.conf(5) lists them; without any, the one on this machine."""
    try:
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    found = []
    for word in (words[1] for words in map(str.split, lines) if len(words) > 1 and words[0] == "nameserver"):
        with suppress(ValueError):  # what is no address, the system passes over too
            address, port = split_host_port(word)  # [ADDRESS]:PORT is OpenBSD's
            if is_address(address):
                found.append((address, DNS_PORT if port is None else port))
    return tuple(found[:MAX_NAME_SERVERS]) or (("127.0.0.1", DNS_PORT),)


async def system_addresses(name: str, family: int) -> list[str]:
    """The addresses of a name by getaddrinfo(3), in its order (RFC 6724); raises socket.gaierror or UnicodeError.

    The system's patience with dead name servers (half a minute) must not become ours.
    """
    found = await apart(lambda: socket.getaddrinfo(name, None, family=family, type=socket.SOCK_STREAM))
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
