"""A TCP proxy that breaks connections on purpose, between a client and a real server; TLS passes through unread.

    async with ChaosProxy(server.host, server.port) as proxy:
        ...a client connects to proxy.port...
        injection = await proxy.inject(reset_both(10_000))    # returns when it strikes
        await injection.over.wait()

A fault has a position: how many bytes pass in one direction from arming to the strike, which comes exactly behind the
last of them, to the connection that carries it; 0 is now, or the start of the next connection when there is none.
`soak/plan.py` draws faults from a seed.
"""

import asyncio
import math
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Self, cast

from support.faults import Direction, Fault, Kind
from support.reset import RESET_ON_CLOSE
from support.servers import PortClaim

DRIP_BYTES, DRIP_EVERY_S = 8_192, 0.05  # how what was kept goes on to the server: half a TLS record at a time


class Injection:
    """A fault that was armed: `struck` is set when it first strikes, `over` when the proxy has done with it."""

    def __init__(self, fault: Fault, disarm: Callable[["Injection"], None]) -> None:
        self.fault, self.remaining, self.parts = fault, fault.after, 0
        self.struck, self.over = asyncio.Event(), asyncio.Event()
        self.release = partial(disarm, self)  # call it off: it strikes no more, new connections are welcome

    def part_over(self) -> None:
        """For the proxy: the strike or the refusal is over."""
        self.parts -= 1
        if not self.parts:
            self.over.set()


class ChaosProxy:
    """Passes connections on to `host`:`port` and injects faults. `connections` and `passed` (bytes) count."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.connections = 0
        self.passed: dict[Direction, int] = {"up": 0, "down": 0}
        self._log: list[str] = []
        self._claim = PortClaim()
        self.port = self._claim.port
        self._started = time.monotonic()
        self._pairs: list[_Pair] = []
        self._armed: list[Injection] = []
        self._refusals: set[Injection] = set()
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._refusals.clear()
        self._stop_listening()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pair in self._pairs:
            pair.reset()
        await asyncio.sleep(0)  # sockets close in the loop's next turn
        self._claim.release()

    def arm(self, fault: Fault) -> Injection:
        """Let a fault strike when its position is reached, maybe at once."""
        injection = Injection(fault, self._disarm)
        self._armed.append(injection)
        live = next((pair for pair in reversed(self._pairs) if pair.live), None)
        if not fault.chunks and not fault.after and (live is not None or fault.kind is Kind.REFUSE):
            self._strike(injection, live)
        return injection

    async def inject(self, fault: Fault) -> Injection:
        """Arm a fault and wait until it strikes."""
        await (injection := self.arm(fault)).struck.wait()
        return injection

    def report(self) -> str:
        """What happened when, for the report of a failure."""
        return "\n".join([f"chaos proxy: {self.connections} connections, bytes {self.passed}", *self._log])

    def note(self, text: str) -> None:
        """Add a line to the report."""
        self._log.append(f"  {time.monotonic() - self._started:8.3f} s {self.passed['up']:>9} up  {text}")

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=100)
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept, self._listener)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return  # it left before we came
        accepted.setblocking(False)
        self.connections += 1
        pair = _Pair(self, self.connections)
        self._pairs = [one for one in self._pairs if not one.over] + [pair]
        self.note(f"connection {pair.number} begins")
        self._tasks.add(asyncio.get_running_loop().create_task(self._connect(pair, accepted)))

    async def _connect(self, pair: "_Pair", accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: pair.client, accepted)
        for injection in [one for one in self._armed if not one.fault.chunks]:
            if pair.live and (not injection.remaining or injection.struck.is_set()):
                self._strike(injection, pair)
        if pair.client.open and "up" not in pair.drops:
            try:
                await loop.create_connection(lambda: pair.server, *self.target)
            except OSError as error:
                self.note(f"connection {pair.number}: no way to the server: {error}")
                pair.reset()

    def carry(self, pair: "_Pair", side: "_Side", data: bytes) -> None:
        """Pass a chunk on from one side to the other, as far as no fault strikes within it."""
        pair.chunks += side is pair.client
        while data and side.direction not in pair.drops:
            counting = [one for one in self._armed if one.remaining and one.fault.direction == side.direction]
            size = min([len(data), *(one.remaining for one in counting)])
            self.passed[side.direction] += size
            side.peer.write(data[:size])
            data = data[size:]
            for injection in counting:
                injection.remaining -= size
                if not injection.remaining and pair.live:
                    self._strike(injection, pair)
        if pair.kept is not None and side is pair.client:
            pair.kept += data
            self.passed["up"] += len(data)
        for injection in [one for one in self._armed if one.fault.chunks == pair.chunks and side is pair.client]:
            if pair.live:
                self._strike(injection, pair)

    def _strike(self, injection: Injection, pair: "_Pair | None") -> None:
        fault = injection.fault
        self.note(f"{'no connection' if pair is None else f'connection {pair.number}'}: {fault}")
        if not fault.every:
            self._armed.remove(injection)
        injection.parts += 1
        injection.struck.set()
        if fault.refuse_s and injection not in self._refusals:
            injection.parts += 1
            self._refusals.add(injection)
            self._stop_listening()
            if not math.isinf(fault.refuse_s):
                asyncio.get_running_loop().call_later(fault.refuse_s, self._disarm, injection)
        if pair is None or fault.kind in (Kind.MARK, Kind.REFUSE):
            injection.part_over()
        else:
            pair.suffer(fault, injection.part_over)

    def _disarm(self, injection: Injection) -> None:
        if injection in self._armed:
            self._armed.remove(injection)
        if injection in self._refusals:
            self._refusals.remove(injection)
            if not self._refusals:
                self.note("new connections are welcome again")
                self._listen()
            injection.part_over()


class _Pair:
    """The client's connection, and ours to the server for it."""

    def __init__(self, proxy: ChaosProxy, number: int) -> None:
        self.proxy, self.number = proxy, number
        self.client, self.server = _Side(self, "up"), _Side(self, "down")
        self.chunks = 0
        self.drops: set[Direction] = set()  # what comes in these directions vanishes, the end included
        self.struck = False
        self._on_over: Callable[[], None] = lambda: None
        self._timer: asyncio.TimerHandle | None = None
        self.kept: bytearray | None = None  # what the client wrote, for the server to get late

    @property
    def live(self) -> bool:
        """Is it open, and did no fault strike it yet?"""
        return not self.struck and self.client.open

    @property
    def over(self) -> bool:
        return self.client.gone and (self.server.gone or self.server.transport is None)

    def suffer(self, fault: Fault, on_over: Callable[[], None]) -> None:
        """Carry a fault out; `on_over` is called when it is over."""
        self.struck, self._on_over = True, on_over
        self.drops = {"down"} if fault.kind is Kind.HOLD else {"up", "down"}
        for side in (self.client, self.server):
            if side.direction in self.drops:
                side.read(True)  # a side that is not read shows no end
        if fault.kind in (Kind.RESET_BOTH, Kind.RESET_CLIENT):
            self.client.reset()
        if fault.kind in (Kind.RESET_BOTH, Kind.RESET_SERVER):
            self.server.reset()
        if fault.kind is Kind.LATE:
            self.kept = bytearray()
        if fault.kind in (Kind.HOLD, Kind.LATE):
            end = self.reset if fault.kind is Kind.HOLD else self.client.reset
            self._timer = asyncio.get_running_loop().call_later(fault.for_s, end)
        if not self.client.open:
            self.finish()

    def reset(self) -> None:
        self.struck = True
        self.client.reset()
        self.server.reset()
        self.finish()

    def finish(self) -> None:
        """The client is gone, or nothing more will happen to it."""
        if self._timer is not None:
            self._timer.cancel()
        on_over, self._on_over = self._on_over, lambda: None
        on_over()
        if self.kept is not None:
            self._drip()

    def _drip(self) -> None:
        if self.kept and self.server.open:
            self.server.write(bytes(self.kept[:DRIP_BYTES]))
            del self.kept[:DRIP_BYTES]
            self._timer = asyncio.get_running_loop().call_later(DRIP_EVERY_S, self._drip)


class _Side(asyncio.Protocol):
    """One of the two TCP connections of a pair; `direction` is where its bytes go."""

    def __init__(self, pair: _Pair, direction: Direction) -> None:
        self.pair, self.direction = pair, direction
        self.transport: asyncio.Transport | None = None
        self.ended = self.gone = False  # FIN came; closed
        self._doomed = False  # closed before it was open

    @property
    def peer(self) -> "_Side":
        return self.pair.server if self is self.pair.client else self.pair.client

    @property
    def open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def read(self, on: bool) -> None:
        """Take bytes from here, or leave them with the sender."""
        if self.transport is not None and self.open:
            (self.transport.resume_reading if on else self.transport.pause_reading)()

    def write(self, data: bytes) -> None:
        if self.transport is not None and self.open:
            self.transport.write(data)

    def reset(self) -> None:
        """RST, now or as soon as it is connected."""
        self._doomed = True
        if self.transport is not None and not self.gone:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._socket: socket.socket = transport.get_extra_info("socket")
        if self._doomed:
            self.reset()
        else:
            self.pair.client.read(self is self.pair.server)  # not before there is a server

    def data_received(self, data: bytes) -> None:
        # As xmppsh does: without it Prosody waits 40 ms for a delayed ACK, now and then.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self.pair.proxy.carry(self.pair, self, data)

    def eof_received(self) -> bool:
        self.ended = True
        if self.direction in self.pair.drops:
            return False
        if self.peer.transport is not None and self.peer.open:
            self.peer.transport.write_eof()
        return not self.peer.ended and not self.pair.struck  # True: it stays open for the other direction

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if self.direction in self.pair.drops:
            pass  # the peer is not told
        elif exc is None and self.peer.transport is not None:
            self.peer.transport.close()  # behind what waits to be written
        else:
            self.peer.reset()
        if self is self.pair.client:
            self.pair.finish()

    def pause_writing(self) -> None:
        if self.peer.direction not in self.pair.drops:
            self.peer.read(False)

    def resume_writing(self) -> None:
        self.peer.read(True)
