"""From a name to addresses: what the user laid down, this machine's own knowledge, then the DNS."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xmppsh.model import a_labels, is_address, u_labels
from xmppsh.plain import dataclass
from xmppsh.resolve.lookup import Answer, ask
from xmppsh.resolve.preference import preferred
from xmppsh.resolve.system import in_hosts_file, name_servers, system_addresses
from xmppsh.resolve.together import together
from xmppsh.resolve.trouble import EMPTY, MISSING, NO_DNS_NAME, ONION, NotLookedUp, Trouble
from xmppsh.tasks import ended

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from xmppsh.model import Candidate
    from xmppsh.resolve.lookup import Kind
    from xmppsh.resolve.options import LookupOptions
    from xmppsh.texts import Log

NO_SUCH_NAME = socket.EAI_NONAME
NO_ADDRESS = getattr(socket, "EAI_NODATA", None)  # glibc tells it from a name that does not exist
FAMILIES = {"A": socket.AF_INET, "AAAA": socket.AF_INET6}
DELAY_S = 0.2  # for the addresses of one family when the other's are there (RFC 8305 §3 has 50 ms)
SYSTEM_S = 1.0  # for getaddrinfo alone
MAX_ADDRESSES = 16  # of one name; a stranger's zone decides how many it has
LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Found:
    """The addresses of a name, best first, and who knew them."""

    addresses: tuple[str, ...]
    source: str


async def find_addresses(
    name: str,
    port: int | None,
    lookup: LookupOptions,
    timeout_s: float,
    log: Log,
    *,
    searched: bool = False,
) -> Found:
    """The addresses to dial for a name (in A-labels) or an address, the best MAX_ADDRESSES; raises NotLookedUp.

    In this order: `--resolve`; the hosts file, also with `--dns`; then the name servers of `--dns`, or the system's own
    way (getaddrinfo). port: None where `--resolve` does not apply; searched: the system may complete the name.
    """
    if not name or not name.isascii():
        raise NotLookedUp(NO_DNS_NAME)
    found = known_here(name, port, lookup)
    if found is None:
        if name.endswith(".onion"):
            raise NotLookedUp(ONION)
        if lookup.servers:
            found = await _by_name_servers(name, lookup, timeout_s)
        else:
            found = await _by_system(name, lookup, timeout_s, searched=searched)
        log(2, f"{u_labels(name)}: {', '.join(found.addresses)} ({found.source})")
    allowed = tuple(address for address in found.addresses if lookup.allows(address))
    if not allowed:
        raise NotLookedUp(_other_family(name, lookup))
    return Found(allowed[:MAX_ADDRESSES], found.source)


def known_here(name: str, port: int | None, lookup: LookupOptions) -> Found | None:
    """What is known without a question: an address itself, `--resolve`, the hosts file, localhost."""
    if is_address(name):
        return Found((name,), "it is an address")
    if port is not None and (given := lookup.overridden(name, port)):
        return Found(given, "--resolve")
    if listed := in_hosts_file(lookup.hosts_file, name):
        return Found(preferred(listed), str(lookup.hosts_file))
    if is_localhost(name):
        return Found(preferred(LOOPBACK), "this machine")  # RFC 6761 §6.3
    return None


def is_localhost(name: str) -> bool:
    """Is the name reserved for this machine (RFC 6761 §6.3)? The DNS is not asked for it."""
    return name == "localhost" or name.endswith(".localhost")


async def _by_system(name: str, lookup: LookupOptions, timeout_s: float, *, searched: bool) -> Found:
    """By getaddrinfo; where it takes long, or fails without saying how, the system's name servers are asked as well.

    It waits five seconds for each dead name server (resolv.conf(5)), which can be all the time that there is.
    """
    loop = asyncio.get_running_loop()
    until, alone_s = loop.time() + timeout_s, min(SYSTEM_S, timeout_s / 4)
    # A dot at the end keeps the search list away. A name without any is one of the own network.
    whole = name if searched or "." not in name else f"{name}."
    system = asyncio.ensure_future(_getaddrinfo(whole, lookup.family))
    system.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # it may end unheard
    try:
        done, _ = await asyncio.wait({system}, timeout=alone_s)
        if done and (found := system.result()) is not None:
            return found
        asking = replace(lookup, servers=name_servers(lookup.resolv_conf))
        servers = asyncio.ensure_future(_by_name_servers(name, asking, max(0.0, until - loop.time())))
        return await _first_of(system, servers, until)
    except UnicodeError as error:
        raise NotLookedUp(NO_DNS_NAME) from error
    except socket.gaierror as error:
        if error.errno == NO_SUCH_NAME:
            raise NotLookedUp(MISSING) from error
        # getaddrinfo was asked for one family alone, by -4 or -6: there may be the other.
        raise NotLookedUp(EMPTY if lookup.family == socket.AF_UNSPEC else _other_family(name, lookup)) from error
    finally:
        system.cancel()


async def _getaddrinfo(name: str, family: int) -> Found | None:
    """None when it failed, and may have found something another time."""
    try:
        return Found(tuple(await system_addresses(name, family)), "the system's resolver")
    except socket.gaierror as error:
        if error.errno in (NO_SUCH_NAME, NO_ADDRESS):
            raise
        return None


async def _first_of(system: asyncio.Future[Found | None], servers: asyncio.Future[Found], until: float) -> Found:
    """Addresses from whoever has them first; else what the name servers say: their failure has a sentence."""
    loop = asyncio.get_running_loop()
    try:
        both: set[asyncio.Future[Any]] = {system, servers}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if servers.done() and servers.exception() is not None:
            # The system may know names that no name server does (mDNS, another network's).
            await asyncio.wait({system}, timeout=max(0.0, until - loop.time()))
        if system.done() and (found := system.result()) is not None:
            return found
        return await servers
    finally:
        await ended(servers)


async def _by_name_servers(name: str, lookup: LookupOptions, timeout_s: float) -> Found:
    """A and AAAA at the same time; one of them is enough."""
    kinds: tuple[Kind, ...] = ("AAAA", "A")
    wanted = [kind for kind in kinds if lookup.family in (socket.AF_UNSPEC, FAMILIES[kind])]
    questions = [_ask(name, kind, lookup, timeout_s) for kind in wanted]
    answers = await together(questions, lambda answer: isinstance(answer, Answer) and bool(answer.records), DELAY_S)
    good = [answer for answer in answers if isinstance(answer, Answer)]
    addresses = [address for answer in good for address in answer.records]
    if addresses:
        named = next(answer for answer in good if answer.records)
        behind = f"alias {u_labels(named.aliases[-1])}, " if named.aliases else ""
        return Found(preferred(addresses), f"{behind}name server {named.server}")
    for answer in answers:
        if isinstance(answer, NotLookedUp):
            raise answer
    if not all(answer.exists for answer in good):
        raise NotLookedUp(_missing(next(answer for answer in good if not answer.exists)))
    raise NotLookedUp(EMPTY if lookup.family == socket.AF_UNSPEC else _other_family(name, lookup))


async def _ask(name: str, kind: Kind, lookup: LookupOptions, timeout_s: float) -> Answer | NotLookedUp:
    try:
        return await ask(name, kind, lookup.servers, timeout_s)
    except NotLookedUp as error:
        return error


def _missing(answer: Answer) -> Trouble:
    if not answer.aliases:
        return MISSING
    return Trouble("missing", f"is an alias of {u_labels(answer.aliases[-1])}, which does not exist")


def _other_family(name: str, lookup: LookupOptions) -> Trouble:
    option, wanted = ("-6", "IPv6") if lookup.family == socket.AF_INET6 else ("-4", "IPv4")
    if is_address(name):
        return Trouble("family", f"is no {wanted} address, and {option} allows nothing else")
    return Trouble("family", f"has no {wanted} address, and {option} allows nothing else")


def name_look_up(
    lookup: LookupOptions, timeout_s: float, log: Log
) -> Callable[[Candidate, int], Awaitable[Sequence[str]]]:
    """What the dialler looks names up with that have no addresses yet: (candidate, family), raises socket.gaierror.

    With a proxy that is the proxy's own name alone.
    """

    async def look_up(place: Candidate, family: int) -> Sequence[str]:
        name, asking = a_labels(place.host), replace(lookup, family=family)
        try:
            found = await find_addresses(name, place.port, asking, timeout_s, log, searched=place.searched)
        except NotLookedUp as error:
            missing = error.trouble.cause == "missing"
            raise socket.gaierror(NO_SUCH_NAME if missing else socket.EAI_AGAIN, str(error)) from error
        return found.addresses

    return look_up
