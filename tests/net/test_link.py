"""The end of a connection: TLS, which asyncio closes once, and TCP, which resets what is closed over unread bytes."""

import asyncio
import select
import socket
import ssl
import threading
from collections.abc import AsyncIterator

import pytest
import trustme
from support.reset import reset

from xmppsh.net import link as link_module
from xmppsh.net.link import Link

DEADLINE_S = 5.0
NAME = "example.org"


class Peer(asyncio.Protocol):
    """The other end, as it is once the handshake is done."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.heard = b""
        self.end: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.end.set_result(exc)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport


class End:
    """A link with TLS, and its peer; `lost` is set when the link has told its end."""

    def __init__(self, link: Link, peer: Peer) -> None:
        self.link, self.peer = link, peer
        self.lost = asyncio.Event()
        link.on_lost = lambda _: self.lost.set()

    async def is_lost(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self.lost.wait()


@pytest.fixture(autouse=True)
def _patient_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio's own deadline for close_notify does not end the link in the place of ours."""
    monkeypatch.setattr(link_module, "CLOSE_NOTIFY_TIMEOUT_S", 60.0)


@pytest.fixture
async def end() -> AsyncIterator[End]:
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(NAME).configure_cert(theirs)
    authority.configure_trust(ours)
    peer, loop = Peer(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: peer, "127.0.0.1", 0, ssl=theirs)
    _, link = await loop.create_connection(Link, *server.sockets[0].getsockname())
    await link.start_tls(ours, NAME, DEADLINE_S)
    yield End(link, peer)
    link.abort()
    peer.transport.abort()
    server.close()


async def test_a_link_that_is_closed_twice_can_still_be_cut(end: End) -> None:
    end.peer.transport.pause_reading()  # it never answers our close_notify
    end.link.start_close()
    end.link.start_close()
    await end.link.closed(0.05)
    await end.is_lost()


async def test_a_task_that_is_cancelled_still_cuts_a_link_whose_peer_says_nothing(end: End) -> None:
    end.peer.transport.pause_reading()

    async def close_at_the_end() -> None:
        try:
            await asyncio.sleep(DEADLINE_S)
        finally:
            end.link.start_close()
            await end.link.closed(0.05)

    task = asyncio.ensure_future(close_at_the_end())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await end.is_lost()


async def test_a_link_that_is_closed_behind_a_cut_and_cut_again_is_lost_once(end: End) -> None:
    end.link.abort()
    end.link.start_close()
    end.link.abort()
    await end.is_lost()


async def test_a_link_that_its_peer_has_closed_is_closed_and_cut_as_any_other(end: End) -> None:
    end.peer.transport.close()
    await end.is_lost()
    end.link.start_close()
    end.link.abort()
    assert end.link.certificate is not None
    end.link.hold_reading("readers", True)
    end.link.write(b"x")
    end.link.flush()


async def test_what_arrives_on_a_link_that_was_closed_twice_breaks_nothing(end: End) -> None:
    broken: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    end.link.start_close()
    end.link.start_close()
    end.link.data_received(b"the last words")
    assert end.link.tls_version == "TLSv1.3"
    await end.link.closed(DEADLINE_S)
    await end.is_lost()
    assert broken == []


async def unread(link: Link) -> None:
    """Wait until the kernel holds something that the link has not read."""
    assert link._tcp is not None
    sock = link._tcp.get_extra_info("socket")
    await asyncio.to_thread(select.select, [sock.fileno()], [], [], DEADLINE_S)


async def ends_well(link: Link, peer: Peer, wait_s: float) -> None:
    """Close over unread bytes: the peer reads what we wrote, and then our end."""
    link._tcp.pause_reading()  # type: ignore[union-attr]
    peer.transport.write(b"x" * 100_000)
    await unread(link)
    link.write(b"</stream:stream>")
    link.start_close()
    await link.closed(wait_s)
    assert await asyncio.wait_for(peer.end, DEADLINE_S) is None
    assert peer.heard == b"</stream:stream>"


async def test_a_close_over_unread_bytes_is_no_reset(end: End) -> None:
    await ends_well(end.link, end.peer, 0.05)


async def test_the_end_leaves_at_once_when_nobody_waits(end: End) -> None:
    await ends_well(end.link, end.peer, 0.0)


async def test_a_close_over_unread_bytes_without_tls_is_no_reset() -> None:
    peer, loop = Peer(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: peer, "127.0.0.1", 0)
    _, link = await loop.create_connection(Link, *server.sockets[0].getsockname())
    await ends_well(link, peer, 0.0)
    server.close()


@pytest.mark.parametrize("with_tls", [False, True], ids=["clear", "tls"])
async def test_what_a_peer_said_before_it_reset_the_connection_is_told_although_a_write_fails_first(
    with_tls: bool,
) -> None:
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(NAME).configure_cert(theirs)
    authority.configure_trust(ours)
    leave = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def speak_and_reset() -> None:
        sock, _ = listener.accept()
        sock = theirs.wrap_socket(sock, server_side=True) if with_tls else sock
        leave.wait(DEADLINE_S)
        sock.sendall(b"<conflict/>")
        reset(sock)

    peer = threading.Thread(target=speak_and_reset)
    peer.start()
    _, link = await asyncio.get_running_loop().create_connection(Link, *listener.getsockname())
    if with_tls:
        await link.start_tls(ours, NAME, DEADLINE_S)
    told: list[bytes | str | None] = []
    lost = asyncio.Event()
    link.on_data = told.append
    link.on_lost = lambda reason: (told.append(reason), lost.set())[0]
    leave.set()
    peer.join()  # the loop has no turn meanwhile: nothing is read
    link.write(b"<presence/>")
    link.flush()
    assert told == []  # who writes may be in the middle of what came before
    await asyncio.wait_for(lost.wait(), DEADLINE_S)
    assert told == [b"<conflict/>", "connection reset by peer"]
    listener.close()
