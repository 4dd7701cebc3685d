"""Open a TCP connection to the first candidate that takes one; every attempt is remembered for the error."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xmppsh.errors import ConnectError, NameNotFound
from xmppsh.model import is_address
from xmppsh.net.link import Link

if TYPE_CHECKING:
    from xmppsh.model import Candidate

NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One address that was tried, and how it ended."""

    address: str  # host:port
    outcome: str
    name_missing: bool = False


async def dial(candidate: Candidate, timeout_s: float, family: int = socket.AF_UNSPEC) -> Link | list[Attempt]:
    """Connect to one candidate, each of its addresses in turn; the attempts when none answered."""
    attempts: list[Attempt] = []
    if is_address(candidate.host) and family == (socket.AF_INET if ":" in candidate.host else socket.AF_INET6):
        return [Attempt(str(candidate), "is an address of the other family")]
    deadline = asyncio.get_running_loop().time() + timeout_s
    try:
        async with asyncio.timeout(timeout_s):
            addresses = await _addresses(candidate, family)
    except TimeoutError:
        return [Attempt(str(candidate), "looking up the name timed out")]
    except UnicodeError:
        return [Attempt(str(candidate), "no such name", name_missing=True)]  # no name that DNS could hold
    except socket.gaierror as error:
        return [Attempt(str(candidate), _lookup_failure(error), name_missing=error.errno in NO_SUCH_NAME)]
    for position, address in enumerate(addresses):
        # Each address gets an equal share of what is left, so a black hole does not eat the others' time.
        share_s = max(0.0, deadline - asyncio.get_running_loop().time()) / (len(addresses) - position)
        outcome = await _connect(address, candidate.port, share_s)
        if isinstance(outcome, Link):
            return outcome
        shown = f"[{address}]" if ":" in address else address
        attempts.append(Attempt(f"{shown}:{candidate.port}", outcome))
    return attempts


async def _addresses(candidate: Candidate, family: int) -> list[str]:
    if is_address(candidate.host):
        return [candidate.host]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(candidate.host, candidate.port, family=family, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _lookup_failure(error: socket.gaierror) -> str:
    return "no such name" if error.errno in NO_SUCH_NAME else f"looking up the name failed: {error.strerror}"


async def _connect(address: str, port: int, timeout_s: float) -> Link | str:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            _, link = await loop.create_connection(Link, address, port)
    except TimeoutError:
        return "timed out"
    except ConnectionRefusedError:
        return "refused"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return link


def no_answer(domain: str, attempts: list[Attempt], hint: str) -> ConnectError:
    """The error for a plan of which nothing answered."""
    log = ", ".join(f"{attempt.address} {attempt.outcome}" for attempt in attempts)
    if attempts and all(attempt.name_missing for attempt in attempts):
        return NameNotFound(f"{domain}: the server's name does not exist ({log})", hint=hint)
    return ConnectError(f"{domain}: no address answers ({log})", hint=hint)
