"""The race for a session: nothing is left behind by those who lose it, and the leader's failures are told."""

import asyncio
import gc
import select
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hostile.certificates import Certificates
from hostile.misbehaviour import CLOSE, CUT, RESET, SILENCE
from hostile.server import DOMAIN, PASSWORD, USER, Server, Spec
from support.places import black_hole, no_socket_left, sockets_to

from xmppsh.connection.connect import Connector
from xmppsh.connection.driver import Driver
from xmppsh.connection.options import SessionOptions
from xmppsh.errors import XmppshError
from xmppsh.model import Credentials, Jid
from xmppsh.net.tls import TlsPolicy

ME = Jid(USER, DOMAIN)
TRIES = 6


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


class Trier:
    """Connects to ports of loopback; keeps the driver of the stream that came to life, and the log."""

    def __init__(self, ca: Path, *ports: int, within_s: float = 5.0, jid: Jid = ME, **more: Any) -> None:
        self.driver: Driver | None = None
        self.log: list[str] = []
        hosts = tuple(("127.0.0.1", port) for port in ports)
        self._jid = jid
        options = SessionOptions(
            jid, Credentials(PASSWORD), hosts, policy=TlsPolicy(ca), connect_timeout_s=within_s, **more
        )
        self._connector = Connector(options, lambda _, text: self.log.append(text), lambda _: None, lambda _: None)

    async def __call__(self) -> XmppshError | None:
        """One try; what made it impossible."""

        def on_live(driver: Driver, *_: object) -> None:
            self.driver = driver

        try:
            await self._connector.connect(on_live, self._jid)
        except XmppshError as error:
            return error
        return None


BROKEN: dict[str, tuple[Spec, dict[str, Any]]] = {
    "wrong-name": (Spec(certificate="wrong-name"), {}),
    "wrong-name-direct": (Spec(certificate="wrong-name", direct=True), {"tls": "direct"}),
    "old-tls": (Spec(certificate="tls-1.1"), {}),
    "garbage-in-the-handshake": (Spec({"tls": (b"\x99" * 500, CLOSE)}), {}),
    "cut-in-the-handshake": (Spec({"tls": CUT}), {}),
    "reset-in-the-handshake": (Spec({"tls": RESET}), {}),
    "silent-in-the-handshake": (Spec({"tls": SILENCE}), {"within_s": 0.3}),
    "silent-in-direct-tls": (Spec({"accept": SILENCE}), {"within_s": 0.3, "tls": "direct"}),
    "no-tls-there": (Spec(), {"tls": "direct"}),
    "silent": (Spec({"header": SILENCE}), {"within_s": 0.3}),
    "closes": (Spec({"header": CLOSE}), {}),
    "silent-at-the-login": (Spec({"auth": SILENCE}), {"within_s": 0.5}),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", BROKEN)
async def test_many_failures_leave_no_socket_and_no_task(certificates: Certificates, name: str) -> None:
    spec, options = BROKEN[name]
    with Server(spec, certificates.contexts) as server:
        async with no_socket_left():
            trier = Trier(certificates.ca, server.port, **options)
            for _ in range(TRIES):
                assert await trier() is not None
            for connection in server.connections:
                await asyncio.to_thread(connection.join, 5)
        assert len(server.connections) >= TRIES
    gc.collect()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.filterwarnings("error")
async def test_a_race_that_is_called_off_leaves_no_socket_and_no_task(certificates: Certificates) -> None:
    with Server(Spec({"header": SILENCE}), certificates.contexts) as silent, black_hole() as hole:
        async with no_socket_left():
            for delay_s in (0.0, 0.02, 0.1, 0.3, 0.6):
                task = asyncio.create_task(Trier(certificates.ca, hole, silent.port, hole)())
                await asyncio.wait([task], timeout=delay_s)
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
            for connection in silent.connections:
                await asyncio.to_thread(connection.join, 5)
    begun = [connection for connection in silent.connections if connection.clear]  # not those called off before
    assert begun
    assert all(connection.footer for connection in begun), "a stream was left open"
    gc.collect()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_who_stood_still_is_left_when_another_one_leads(certificates: Certificates) -> None:
    with (
        Server(Spec({"header": SILENCE}), certificates.contexts) as silent,
        Server(Spec({"starttls": SILENCE}), certificates.contexts) as slow,
        Server(Spec(), certificates.contexts) as good,
    ):
        begun = time.monotonic()
        trier = Trier(certificates.ca, silent.port, slow.port, good.port, within_s=20.0)
        assert await trier() is None
        assert time.monotonic() - begun < 10.0  # to wait for one that stands still takes half of the time
        assert trier.driver is not None
        for server in (silent, slow):
            (connection,) = server.connections
            await asyncio.to_thread(connection.join, 5)
            assert not connection.is_alive()
            assert connection.footer
        (connection,) = good.connections
        assert connection.is_alive()
        await trier.driver.close(1.0)


def wait_until_they_have_answered(*ports: int) -> None:
    """Until there is something to read at our end of a connection to each of these ports."""
    for port in ports:
        (copy,) = sockets_to(port)
        with copy:
            assert select.select([copy], [], [], 60)[0]


async def test_of_two_that_finish_tls_in_the_same_moment_one_alone_hears_more(certificates: Certificates) -> None:
    there, go = threading.Barrier(3), threading.Event()

    def wait(_connection: object, _good: str) -> str:
        there.wait(60)
        go.wait(60)
        return ""

    with (
        Server(Spec({"tls": wait}), certificates.contexts) as one,
        Server(Spec({"tls": wait}), certificates.contexts) as other,
    ):
        trier = Trier(certificates.ca, one.port, other.port)
        racing = asyncio.create_task(trier())
        await asyncio.to_thread(there.wait, 60)  # both have said <proceed/>, and hold the handshake back
        go.set()
        wait_until_they_have_answered(one.port, other.port)  # the loop stands still: it finishes both in one turn
        assert await racing is None
        assert trier.driver is not None
        await trier.driver.close(1.0)
        heard = [bytes(server.connections[0].encrypted) for server in (one, other)]
    assert sum(b"<auth" in bytes_heard for bytes_heard in heard) == 1
    assert any(bytes_heard in (b"", b"</stream:stream>") for bytes_heard in heard), heard


async def test_all_that_failed_is_told_with_the_layer_of_who_came_farthest(certificates: Certificates) -> None:
    with (
        Server(Spec({"header": SILENCE}), certificates.contexts) as silent,
        Server(Spec({"auth": SILENCE}), certificates.contexts) as deaf,
        Server(Spec({"features": CLOSE}), certificates.contexts) as closing,
    ):
        trier = Trier(certificates.ca, silent.port, deaf.port, closing.port, within_s=2.0)
        error = await trier()
    assert error is not None
    assert str(error) == (
        f"{DOMAIN}: no address leads to a session ("
        f"127.0.0.1:{silent.port} takes the connection but does not answer, "
        f"127.0.0.1:{deaf.port} does not answer the login, "
        f"127.0.0.1:{closing.port} failed: "
        f"the connection to {DOMAIN} broke before the session began: the server closed it)"
    )
    assert (error.exit_code, error.hint) == (75, "--connect-timeout S waits longer")


async def test_the_same_failure_at_every_address_is_told_once(certificates: Certificates) -> None:
    unknown = "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
    with (
        Server(Spec({"features": unknown}), certificates.contexts) as one,
        Server(Spec({"features": unknown}), certificates.contexts) as other,
    ):
        error = await Trier(certificates.ca, one.port, other.port)()
    assert error is not None
    assert (str(error), error.exit_code) == ("the server closed the stream: host-unknown", 68)
    assert one.connections
    assert other.connections


async def test_the_only_place_is_named_as_long_as_it_has_not_proved_to_be_the_server(
    certificates: Certificates,
) -> None:
    with (
        Server(Spec({"features": CLOSE}), certificates.contexts) as early,
        Server(Spec({"features-tls": CLOSE}), certificates.contexts) as late,
    ):
        said = [str(await Trier(certificates.ca, server.port)()) for server in (early, late)]
    broke = f"the connection to {DOMAIN} broke before the session began: the server closed it"
    assert said == [f"127.0.0.1:{early.port}: {broke}", broke]


async def test_a_domain_that_tls_cannot_take_is_told_as_one(certificates: Certificates) -> None:
    long = "a" * 64 + ".example"  # Jid.parse lets none pass
    with Server(Spec(), certificates.contexts) as server:
        error = await Trier(certificates.ca, server.port, jid=Jid(USER, long))()
    assert error is not None
    assert (str(error), error.exit_code) == (
        f"'{long}' is not an XMPP address: it has a label that no host name may have",
        64,
    )
