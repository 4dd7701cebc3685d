"""Happy eyeballs (RFC 8305) over a whole plan: staggered, parallel attempts, the best first, until one stands.

The order of the plan is kept as long as its places answer: a worse one is dialled only when every better one has failed
or has kept us waiting for the stagger, and then whichever answers first is taken. RFC 2782 wants the best target "it
can reach"; one that takes longer than the stagger while a worse one answers counts as not reached.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from xmppsh.errors import XmppshError
from xmppsh.model import Candidate, is_address, u_labels
from xmppsh.net.attempts import NOT_TRIED, Attempt, TargetUnreachable, told
from xmppsh.net.link import Link
from xmppsh.plain import dataclass
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    import _socket
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from xmppsh.config.proxy import Proxy
    from xmppsh.net.early import Begun
    from xmppsh.net.head_start import HeadStart
    from xmppsh.texts import Log

    LookUp = Callable[[Candidate, int], Awaitable[Sequence[str]]]

STAGGER_S = 0.25  # RFC 8305 §5: the Connection Attempt Delay
PROXIED_STAGGER_S = 1.0  # a proxy looks the name up and dials before it answers
FAMILY_NAMES: dict[int, str] = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


@dataclass(frozen=True, slots=True)
class Connected:
    """A TCP connection that stands, through the proxy where there is one; what was said on it (head_start.py)."""

    attempt: Attempt
    sock: socket.socket
    took_s: float
    said: bytes = b""

    async def link(self) -> Link:
        """Hand the socket to the loop; who awaits this takes the link's data in the same turn of the loop."""
        _, link = await asyncio.get_running_loop().create_connection(Link, sock=self.sock)
        link.said = self.said
        return link


class Dialler:
    """Connects to the places of a plan, one for each `next()`.

    deadline: in the loop's time, for everything; family: socket.AF_INET or AF_INET6 to allow one alone;
    look_up(candidate, family): the addresses of its name; raises socket.gaierror, whose text is a predicate of the
    name. With a proxy no name of the plan is looked up. log(level, text) is told each step. `attempts` has every
    attempt in the order of their start.
    """

    def __init__(
        self,
        plan: Iterable[Candidate],
        deadline: float,
        look_up: LookUp,
        family: int = socket.AF_UNSPEC,
        proxy: Proxy | None = None,
        log: Log = lambda _level, _text: None,
        head_start: HeadStart | None = None,
    ) -> None:
        self.attempts: list[Attempt] = []
        self._head_start = head_start
        self._deadline, self._look_up, self._family, self._proxy, self._log = deadline, look_up, family, proxy, log
        self._stagger_s = STAGGER_S if proxy is None else PROXIED_STAGGER_S
        self._useless = False  # the proxy: nothing can be reached through it
        self._known: set[tuple[str, int, str]] = set()
        self._queue = deque(chain.from_iterable(map(self._first_attempts, plan)))
        self._loop = asyncio.get_running_loop()

    @property
    def left(self) -> int:
        """How many places may still be tried."""
        return len(self._queue)

    def put_back(self, attempt: Attempt) -> None:
        """Behind all others: it was given up for a better one, not for a fault."""
        self._queue.append(attempt)

    async def next(self) -> Connected | None:
        """The next connection that stands; None when nothing is left to try. Raises ConnectError of a useless proxy."""
        running: dict[asyncio.Task[Connected | None], Attempt] = {}
        try:
            while self._queue or running:
                if self._queue:
                    attempt = self._queue.popleft()
                    running[self._loop.create_task(self._try(attempt))] = attempt
                patience_s = self._stagger_s if self._queue else None
                await asyncio.wait(running, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in running if task.done()]:
                    connected = task.result()
                    del running[task]
                    if connected is not None:
                        return connected
            return None
        except XmppshError:
            self._useless = True
            raise
        finally:
            await self._stop(running)

    async def _stop(self, running: dict[asyncio.Task[Connected | None], Attempt]) -> None:
        for task in running:
            task.cancel()
        for ended in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(ended, Connected):
                ended.sock.close()
        self._queue.extend(attempt for attempt in running.values() if not attempt.outcome)
        if self._useless:
            self._queue.clear()

    # ── One attempt ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _try(self, attempt: Attempt) -> Connected | None:
        if attempt not in self.attempts:
            self.attempts.append(attempt)
        begun = self._loop.time()
        if begun >= self._deadline:
            attempt.outcome = NOT_TRIED
            return None
        # At most half of the time that is left, so that later places get a turn.
        until = self._deadline if not self._queue else (begun + self._deadline) / 2
        said = b""
        try:
            if self._proxy is not None:
                sock = await self._by_proxy(self._proxy, attempt, until)
            elif attempt.address:
                self._log_start(attempt)
                async with asyncio.timeout_at(until):
                    ahead = self._taken_ahead(attempt)
                    sock = await connect(attempt.address, attempt.candidate.port, None if ahead is None else ahead.sock)
                if ahead is not None:
                    begun, said = ahead.at, ahead.said
            else:
                async with asyncio.timeout_at(until):
                    found = await self._look_up(attempt.candidate, self._family)
                self._queue.extendleft(reversed(self._of_addresses(attempt.candidate, found)))
                return None
        except (OSError, UnicodeError, TargetUnreachable) as error:
            attempt.outcome, attempt.name_missing = _outcome(error, looked_up=not (attempt.address or self._proxy))
            self._log(1, f"{attempt} {attempt.outcome}")
            return None
        return Connected(attempt, sock, self._loop.time() - begun, said)

    def _taken_ahead(self, attempt: Attempt) -> Begun | None:
        if self._head_start is None:
            return None
        return self._head_start.take(attempt.address, attempt.candidate.port, attempt.candidate.tls)

    def _log_start(self, attempt: Attempt) -> None:
        candidate = attempt.candidate
        name = "" if str(candidate) == str(attempt) else f"{u_labels(candidate.host)}, "
        by = "" if self._proxy is None else f" by {self._proxy}"
        self._log(1, f"dialling {attempt}{by} ({name}{candidate.source}, TLS {candidate.tls})")

    async def _by_proxy(self, proxy: Proxy, attempt: Attempt, until: float) -> socket.socket:
        from xmppsh.net.proxy import greet, reach  # most people have none

        self._log_start(attempt)
        there = Candidate(proxy.host, proxy.port, "off", "--proxy", searched=True)
        way = Dialler([there], until, self._look_up, self._family)
        connected = await way.next()
        if connected is None:
            raise proxy.failure(f"cannot be reached ({told(way.attempts)})")
        try:
            try:
                async with asyncio.timeout_at(until):
                    await greet(proxy, connected.sock)
            except TimeoutError:
                raise proxy.failure("takes the connection but does not answer") from None
            async with asyncio.timeout_at(until):
                await reach(proxy, connected.sock, attempt.candidate.host, attempt.candidate.port)
        except BaseException:  # whatever ends it, a cancellation too: the socket does not stay open
            connected.sock.close()
            raise
        return connected.sock

    # ── What there is to try ────────────────────────────────────────────────────────────────────────────────────

    def _first_attempts(self, candidate: Candidate) -> list[Attempt]:
        addresses = candidate.addresses or ([candidate.host] if is_address(candidate.host) else [])
        if self._proxy is not None or not addresses:
            return [Attempt(candidate)]
        return self._of_addresses(candidate, addresses)

    def _of_addresses(self, candidate: Candidate, addresses: Sequence[str]) -> list[Attempt]:
        wanted = [address for address in addresses if self._family in (socket.AF_UNSPEC, _family(address))]
        if not wanted:
            what = "is not an address of this family" if is_address(candidate.host) else "has no address of this family"
            self.attempts.append(Attempt(candidate, outcome=f"{what} ({FAMILY_NAMES[self._family]})"))
        found = []
        for address in interleaved(wanted):
            key = (address, candidate.port, candidate.tls)
            if key not in self._known:
                self._known.add(key)
                found.append(Attempt(candidate, address))
        return found


def interleaved(addresses: Sequence[str]) -> list[str]:
    """The families in turn, the one of the first address first (RFC 8305 §4)."""
    families = [[address for address in addresses if _family(address) == family] for family in FAMILY_NAMES]
    if addresses and _family(addresses[0]) == socket.AF_INET6:
        families.reverse()
    return [address for pair in zip_longest(*families) for address in pair if address is not None]


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


async def connect(address: str, port: int, begun: _socket.socket | None = None) -> socket.socket:
    """A TCP connection to a numeric address, the one that was begun where there is one; raises OSError."""
    flags = socket.AI_NUMERICHOST
    family, kind, protocol, _, place = socket.getaddrinfo(address.encode(), port, type=socket.SOCK_STREAM, flags=flags)[
        0
    ]
    sock = socket.socket(family, kind, protocol, None if begun is None else begun.detach())
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, place)
    except OSError as error:  # asyncio has its own words for it, with the address once more
        sock.close()
        raise OSError(error.errno, os.strerror(error.errno or 0)) from error
    except BaseException:  # whatever ends it, a cancellation too: the socket does not stay open
        sock.close()
        raise
    return sock


def _outcome(error: Exception, *, looked_up: bool) -> tuple[str, bool]:
    """What the log says of a failed attempt, and whether the name does not exist."""
    match error:
        case TargetUnreachable():
            return str(error), False
        case UnicodeError():
            return "no such name", True  # no name that DNS could hold
        case socket.gaierror() if looked_up:
            missing = error.errno in NO_SUCH_NAME
            return "no such name" if missing else str(error.strerror), missing
        case TimeoutError():
            return "looking up the name timed out" if looked_up else "timed out", False
        case ConnectionRefusedError():
            return "refused", False
        case _:
            return os_reason(error), False
