"""Each fault does to a plain TCP echo what its name says, at the byte it was asked for."""

import asyncio
import math
import random
import socket
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import pytest

from support import faults
from support.chaos import RESET_ON_CLOSE, ChaosProxy
from support.until import DEADLINE_S

T = TypeVar("T")
HELD_S = 0.2

End = Literal["", "FIN", "RST"]


@dataclass
class Peer:
    """One end of a connection: what came, how it ended ("" while it is open)."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    received: bytearray = field(default_factory=bytearray)
    end: End = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, echo: bool = False) -> None:
        """Take everything until the end."""
        try:
            while data := await self.reader.read(65536):
                self.received += data
                if echo:
                    self.writer.write(data)
            self.end = "FIN"
        except ConnectionResetError:
            self.end = "RST"
        self.over.set()
        self.writer.close()

    def reset(self) -> None:
        option = (socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.writer.get_extra_info("socket").setsockopt(*option)
        self.writer.transport.abort()

    async def say(self, text: bytes) -> None:
        self.writer.write(text)
        await self.writer.drain()

    async def ask(self, text: bytes) -> None:
        self.writer.write(text)
        assert await soon(self.reader.readexactly(len(text))) == text

    async def hears_nothing(self) -> None:
        """Nothing comes, no end either."""
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self.reader.read(1), 0.05)

    async def ending(self) -> End:
        """Wait for the end; what came before it is in `received`."""
        await soon(self.read())
        return self.end


class Echo:
    """A server that sends back what comes, and remembers it."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        await peer.read(echo=True)

    async def ended(self, number: int) -> End:
        await self.peers[number].over.wait()
        return self.peers[number].end


async def soon(work: Awaitable[T]) -> T:
    return await asyncio.wait_for(work, DEADLINE_S)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    made = Echo()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    for peer in made.peers:
        peer.writer.transport.abort()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[ChaosProxy]:
    async with ChaosProxy("127.0.0.1", echo.port) as made:
        yield made
    print(made.report())


async def connected(proxy: ChaosProxy) -> Peer:
    return Peer(*await soon(asyncio.open_connection("127.0.0.1", proxy.port)))


async def conversing(proxy: ChaosProxy) -> Peer:
    """A connection that reaches the server."""
    peer = await connected(proxy)
    await peer.ask(b"hello")
    return peer


async def test_without_a_fault_everything_passes_and_is_counted(proxy: ChaosProxy, echo: Echo) -> None:
    text = random.Random(1).randbytes(3_000_000)
    await asyncio.gather(*[(await connected(proxy)).ask(text) for _ in range(2)])
    assert proxy.connections == 2
    assert proxy.passed == {"up": 6_000_000, "down": 6_000_000}


async def test_an_end_passes_and_the_other_direction_stays_open(proxy: ChaosProxy, echo: Echo) -> None:
    peer = await connected(proxy)
    await peer.say(b"last words")
    peer.writer.write_eof()
    assert await peer.ending() == "FIN"
    assert peer.received == b"last words"
    assert await soon(echo.ended(0)) == "FIN"


async def test_a_reset_passes_both_ways(proxy: ChaosProxy, echo: Echo) -> None:
    first, second = await conversing(proxy), await conversing(proxy)
    first.reset()
    assert await soon(echo.ended(0)) == "RST"
    echo.peers[1].reset()
    assert await second.ending() == "RST"


async def test_what_a_slow_reader_does_not_take_is_left_with_the_sender(proxy: ChaosProxy, echo: Echo) -> None:
    """A server that stopped reading is felt by the client: the proxy holds a bounded amount."""
    peer = await conversing(proxy)
    echo.peers[0].writer.transport.pause_reading()  # type: ignore[attr-defined]
    peer.writer.write(bytes(64_000_000))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(peer.writer.drain(), 0.3)
    assert proxy.passed["up"] < 32_000_000
    peer.reset()


async def test_reset_both_resets_both(proxy: ChaosProxy, echo: Echo) -> None:
    peer = await conversing(proxy)
    injection = await soon(proxy.inject(faults.reset_both()))
    assert injection.over.is_set()
    assert await peer.ending() == "RST"
    assert await soon(echo.ended(0)) == "RST"
    await conversing(proxy)


@pytest.mark.parametrize("n", [1, 7, 99, 100])
async def test_reset_after_bytes_up_lets_exactly_n_bytes_through(proxy: ChaosProxy, echo: Echo, n: int) -> None:
    peer = await conversing(proxy)
    injection = proxy.arm(faults.reset_after_bytes(n, "up"))
    if n == 99:
        await peer.ask(b"." * 50)  # bytes count over several chunks
        n -= 50
    assert not injection.struck.is_set()
    await peer.say(b"x" * 100)
    assert await peer.ending() == "RST"
    assert await soon(echo.ended(0)) == "RST"
    assert echo.peers[0].received.count(b"x") == n


async def test_reset_after_bytes_down_counts_what_the_server_sends(proxy: ChaosProxy, echo: Echo) -> None:
    peer = await conversing(proxy)
    proxy.arm(faults.reset_after_bytes(3, "down"))
    await peer.say(b"abcdef")
    assert await peer.ending() == "RST"
    assert bytes(peer.received) in (b"", b"abc")  # what a reset overtakes is the kernel's to drop
    assert proxy.passed["down"] == len(b"hello") + 3
    assert echo.peers[0].received == b"helloabcdef"


async def test_reset_client_only_leaves_the_server_without_an_end(proxy: ChaosProxy, echo: Echo) -> None:
    peer = await conversing(proxy)
    await soon(proxy.inject(faults.reset_client_only()))
    assert await peer.ending() == "RST"
    await conversing(proxy)  # everything that was under way has come
    assert echo.peers[0].end == ""
    await echo.peers[0].say(b"anybody there?")
    await conversing(proxy)
    assert echo.peers[0].end == ""


async def test_reset_server_only_leaves_the_client_without_an_end(proxy: ChaosProxy, echo: Echo) -> None:
    peer = await conversing(proxy)
    injection = await soon(proxy.inject(faults.reset_server_only()))
    assert await soon(echo.ended(0)) == "RST"
    await peer.say(b"anybody there?")
    await conversing(proxy)
    await peer.hears_nothing()
    assert not injection.over.is_set()
    peer.writer.transport.abort()
    await soon(injection.over.wait())


async def test_a_silent_hole_swallows_bytes_and_ends_of_both_directions(proxy: ChaosProxy, echo: Echo) -> None:
    peer = await conversing(proxy)
    injection = proxy.arm(faults.silent_hole(4))
    await peer.say(b"1234up")
    await soon(injection.struck.wait())
    await echo.peers[0].say(b"down")
    await conversing(proxy)  # new connections work
    assert echo.peers[0].received == b"hello1234"
    await peer.hears_nothing()
    assert not injection.over.is_set()
    peer.writer.transport.abort()
    await soon(injection.over.wait())
    await conversing(proxy)
    assert echo.peers[0].end == ""  # the server never learns of it

    other = await conversing(proxy)
    await soon(proxy.inject(faults.silent_hole()))
    echo.peers[-1].reset()
    await other.hears_nothing()


async def test_a_hole_for_every_connection_takes_the_later_ones_too(proxy: ChaosProxy, echo: Echo) -> None:
    first = await conversing(proxy)
    injection = await soon(proxy.inject(faults.silent_hole(every=True)))
    second = await connected(proxy)
    for peer in (first, second):
        await peer.say(b"lost")
        await peer.hears_nothing()
    assert len(echo.peers) == 1
    injection.release()
    await conversing(proxy)


async def test_held_acks_are_never_delivered_and_the_server_is_still_reached(proxy: ChaosProxy, echo: Echo) -> None:
    peer = await conversing(proxy)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    injection = await soon(proxy.inject(faults.hold_acks(for_s=HELD_S)))
    await peer.say(b"still heard")
    assert await peer.ending() == "RST"
    assert loop.time() - begin >= HELD_S
    assert injection.over.is_set()
    assert peer.received == b""
    assert await soon(echo.ended(0)) == "RST"
    assert echo.peers[0].received == b"hellostill heard"


async def test_a_client_that_gives_up_ends_the_hold(proxy: ChaosProxy, echo: Echo) -> None:
    peer = await conversing(proxy)
    injection = await soon(proxy.inject(faults.hold_acks(for_s=math.inf)))
    peer.writer.transport.abort()
    await soon(injection.over.wait())
    assert await soon(echo.ended(0))


async def test_connections_are_refused_until_released_and_open_ones_go_on(proxy: ChaosProxy, echo: Echo) -> None:
    peer = await conversing(proxy)
    injection = await soon(proxy.inject(faults.refuse()))
    with pytest.raises(ConnectionRefusedError):
        await connected(proxy)
    await peer.ask(b"still here")
    assert not injection.over.is_set()
    injection.release()
    assert injection.over.is_set()
    await conversing(proxy)
    assert proxy.connections == 2


async def test_a_refusal_ends_by_itself_and_needs_no_connection_to_begin(proxy: ChaosProxy) -> None:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    injection = await soon(proxy.inject(faults.refuse(refuse_s=HELD_S)))
    with pytest.raises(ConnectionRefusedError):
        await connected(proxy)
    await soon(injection.over.wait())
    assert loop.time() - begin >= HELD_S
    await conversing(proxy)


async def test_a_cut_may_be_followed_by_a_refusal_without_a_gap(proxy: ChaosProxy, echo: Echo) -> None:
    peer = await conversing(proxy)
    injection = await soon(proxy.inject(faults.reset_both(refuse_s=math.inf)))
    assert await peer.ending() == "RST"
    with pytest.raises(ConnectionRefusedError):
        await connected(proxy)
    injection.release()
    await conversing(proxy)


@pytest.mark.parametrize("k", [1, 2, 5])
async def test_a_cut_between_writes_lets_k_chunks_through(proxy: ChaosProxy, echo: Echo, k: int) -> None:
    proxy.arm(faults.cut_between_writes(k))
    peer = await connected(proxy)
    for number in range(k - 1):
        await peer.ask(b"%d" % number)
    await peer.say(b"the last")
    assert await peer.ending() == "RST"
    peer = await connected(proxy)  # only one is cut
    for number in range(k + 1):
        await peer.ask(b"%d" % number)


async def test_a_cut_of_every_connection_goes_on_until_it_is_released(proxy: ChaosProxy, echo: Echo) -> None:
    injection = proxy.arm(faults.cut_between_writes(2, every=True))
    for _ in range(3):
        peer = await conversing(proxy)
        await peer.say(b"again")
        assert await peer.ending() == "RST"
    injection.release()
    peer = await conversing(proxy)
    await peer.ask(b"again")


async def test_a_fault_without_a_connection_waits_for_one(proxy: ChaosProxy, echo: Echo) -> None:
    injection = proxy.arm(faults.reset_both())
    assert not injection.struck.is_set()
    peer = await connected(proxy)
    assert await peer.ending() == "RST"
    assert echo.peers == []


async def test_two_faults_at_one_byte_strike_one_connection_each(proxy: ChaosProxy) -> None:
    injections = [proxy.arm(faults.reset_both(3)), proxy.arm(faults.reset_both(3))]
    peer = await connected(proxy)
    await peer.say(b"abc")
    assert await peer.ending() == "RST"
    assert [one.struck.is_set() for one in injections] == [True, False]
    assert await (await connected(proxy)).ending() == "RST"
    assert injections[1].over.is_set()


async def test_a_server_that_is_gone_is_a_reset(echo: Echo) -> None:
    async with ChaosProxy("127.0.0.1", 1) as proxy:
        assert await (await connected(proxy)).ending() == "RST"


def test_a_fault_says_what_it_is() -> None:
    assert str(faults.reset_after_bytes(10, "down")) == "reset both sides after 10 bytes down"
    assert str(faults.cut_between_writes(3, every=True)) == "reset both sides after chunk 3, every time"
    assert str(faults.hold_acks(for_s=0.5)) == "answers held back, then reset for 0.50 s after 0 bytes up"
