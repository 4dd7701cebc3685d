"""Places to dial on loopback, most of them bad: real sockets, held as long as a block lasts."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CLOSE_S = 2.0
FILLERS = 4  # connections that fill a queue of length 0

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def shown(address: str, port: int) -> str:
    """As `--host` takes it, and as errors show it."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def open_sockets() -> int:
    """How many sockets this process has open."""
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the folder's own descriptor is gone by now
            links.append(str(descriptor.readlink()))
    return sum(link.startswith("socket:") for link in links)


def sockets_to(port: int) -> list[socket.socket]:
    """Copies of the sockets of this process that are connected to this port of 127.0.0.1."""
    found = []
    # All are looked at before the first copy is made: it may get the number that the folder's own descriptor had.
    for descriptor in [one for one in Path("/proc/self/fd").iterdir() if one.is_socket()]:
        copy = socket.socket(fileno=os.dup(int(descriptor.name)))
        is_there = False
        with contextlib.suppress(OSError):  # it is not connected
            is_there = copy.getpeername() == ("127.0.0.1", port)
        if is_there:
            found.append(copy)
        else:
            copy.close()
    return found


@asynccontextmanager
async def no_socket_left() -> AsyncIterator[None]:
    """Fails when the block leaves a socket open."""
    before = open_sockets()
    yield
    loop = asyncio.get_running_loop()
    deadline = loop.time() + CLOSE_S
    while open_sockets() > before:  # the loop closes the last ones in its next turns
        assert loop.time() < deadline, f"{open_sockets() - before} sockets are left open"
        await asyncio.sleep(0)


@contextmanager
def refused(family: int = socket.AF_INET, port: int = 0) -> Iterator[int]:
    """A port that is taken, so that nobody else gets it, and refuses every connection."""
    with socket.socket(family) as sock:
        sock.bind((LOOPBACK[socket.AddressFamily(family)], port))
        yield sock.getsockname()[1]


class BlackHole:
    """A port that answers nothing at all: Linux drops the SYNs for a listener whose queue is full."""

    def __init__(self, family: int = socket.AF_INET, port: int = 0) -> None:
        address = LOOPBACK[socket.AddressFamily(family)]
        self._listener = socket.create_server((address, port), family=family, backlog=0)
        self.port: int = self._listener.getsockname()[1]
        self._fillers = [socket.socket(family) for _ in range(FILLERS)]
        for filler in self._fillers:
            filler.setblocking(False)
            filler.connect_ex((address, self.port))

    def open(self) -> None:
        """From now on it takes connections: when the next SYN is sent again, a second after the first."""
        for filler in self._fillers:
            filler.close()
        self._listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()

    def close(self) -> None:
        for sock in (self._listener, *self._fillers):
            sock.close()


@contextmanager
def black_hole(family: int = socket.AF_INET, port: int = 0) -> Iterator[int]:
    """The port of a black hole, as long as the block lasts."""
    with contextlib.closing(BlackHole(family, port)) as hole:
        yield hole.port


@dataclass
class Place:
    """A listening port. connections: how many came; received: what each of them sent; busy: the first one came."""

    port: int = 0
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    received: list[bytearray] = field(default_factory=list)

    @property
    def connections(self) -> int:
        return len(self.received)


@asynccontextmanager
async def listening(
    greeting: bytes = b"", family: int = socket.AF_INET, port: int = 0, *, closes: bool = False
) -> AsyncIterator[Place]:
    """A port that takes connections, writes `greeting` to each, reads on, and says nothing more.

    closes: it ends the connection behind the greeting.
    """
    place = Place()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        received = bytearray()
        place.received.append(received)
        place.busy.set()
        try:
            writer.write(greeting)
            await writer.drain()
            while not closes and (data := await reader.read(65536)):
                received += data
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client left, or the block ends
        finally:
            writer.close()

    server = await asyncio.start_server(serve, LOOPBACK[socket.AddressFamily(family)], port, family=family)
    place.port = server.sockets[0].getsockname()[1]
    try:
        yield place
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
