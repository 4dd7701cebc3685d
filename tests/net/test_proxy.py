"""Through a proxy: names are looked up over there, and each way it can fail has its own sentence."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Literal

import pytest
from support.places import black_hole, listening, no_socket_left, refused
from support.proxies import ProxyServer, serving

from xmppsh.config.proxy import Proxy
from xmppsh.errors import ConnectError
from xmppsh.model import Candidate
from xmppsh.net.attempts import no_answer, told
from xmppsh.net.dial import Connected, Dialler

Scheme = Literal["socks5h", "http"]
SCHEMES: tuple[Scheme, ...] = ("socks5h", "http")
NAME = "hidden.example"
SECRET = "pa55:w/rd@ä"
LOGIN = ("juliet", SECRET)
both = pytest.mark.parametrize("scheme", SCHEMES)


@pytest.fixture(autouse=True)
async def everything_is_closed() -> AsyncIterator[None]:
    async with no_socket_left():
        yield


async def knows_localhost_alone(place: Candidate, _family: int) -> Sequence[str]:
    assert place.host == "localhost", f"{place} was looked up on this machine"
    return ["::1", "127.0.0.1"]


def through(url: str, *places: tuple[str, int], within_s: float = 5.0) -> Dialler:
    plan = [Candidate(host, port, "starttls", "test") for host, port in places or [(NAME, 5222)]]
    deadline = asyncio.get_running_loop().time() + within_s
    return Dialler(plan, deadline, knows_localhost_alone, proxy=Proxy.parse(url))


async def conversation(connected: Connected | None, says: bytes) -> bytes:
    """What comes back on a connection when `says` was written."""
    assert connected is not None
    loop = asyncio.get_running_loop()
    with connected.sock as sock:
        await loop.sock_sendall(sock, says)
        async with asyncio.timeout(5):
            return await loop.sock_recv(sock, 1000)


@both
@pytest.mark.parametrize("host", [NAME, "xn--bcher-kva.example", "under_score.example", "127.0.0.1", "::1"])
async def test_the_proxy_looks_the_name_up_and_the_bytes_are_the_servers(scheme: Scheme, host: str) -> None:
    async with listening(b"hello") as server:
        routes = {(host, 5222): ("127.0.0.1", server.port)}
        async with serving(ProxyServer(scheme, routes)) as proxy:
            assert await conversation(await through(proxy.url, (host, 5222)).next(), b"x") == b"hello"
            assert proxy.asked == [(host, 5222)]


@both
@pytest.mark.parametrize("chunk", [1, 3])
async def test_an_answer_in_pieces_is_read_to_its_end_and_not_beyond(scheme: Scheme, chunk: int) -> None:
    async with listening(b"hello") as server:
        routes = {(NAME, 5222): ("127.0.0.1", server.port)}
        headers = "Via: 1.1 somebody\r\nContent-Length: 10\r\n"
        async with serving(ProxyServer(scheme, routes, chunk=chunk, headers=headers)) as proxy:
            assert await conversation(await through(proxy.url).next(), b"x") == b"hello"


@both
async def test_a_proxy_by_name_is_reached_at_any_of_its_addresses(scheme: Scheme) -> None:
    async with listening(b"hello") as server:
        routes = {(NAME, 5222): ("127.0.0.1", server.port)}
        async with serving(ProxyServer(scheme, routes)) as proxy:
            url = f"{scheme}://localhost:{proxy.port}"  # nobody listens at [::1]
            assert await conversation(await through(url).next(), b"x") == b"hello"


@both
async def test_user_and_password_are_given_to_a_proxy_that_wants_them(scheme: Scheme) -> None:
    async with listening(b"hello") as server:
        routes = {(NAME, 5222): ("127.0.0.1", server.port)}
        async with serving(ProxyServer(scheme, routes, login=LOGIN)) as proxy:
            url = f"{scheme}://juliet:pa55%3Aw%2Frd%40%C3%A4@127.0.0.1:{proxy.port}"
            assert await conversation(await through(url).next(), b"x") == b"hello"
            assert proxy.logins == [LOGIN]


@both
async def test_a_target_that_the_proxy_cannot_reach_is_not_the_end(scheme: Scheme) -> None:
    async with listening(b"hello") as server:
        routes = {(NAME, 5223): ("127.0.0.1", server.port)}
        async with serving(ProxyServer(scheme, routes)) as proxy:
            dialler = through(proxy.url, (NAME, 5222), (NAME, 5223))
            assert await conversation(await dialler.next(), b"x") == b"hello"
            assert proxy.asked == [(NAME, 5222), (NAME, 5223)]
            assert dialler.attempts[0].outcome


# ── What fails ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def failure(url: str, *places: tuple[str, int], within_s: float = 0.5) -> ConnectError:
    """The error of a plan of which nothing can be reached through the proxy."""
    dialler = through(url, *places, within_s=within_s)
    try:
        assert await dialler.next() is None
    except ConnectError as error:
        return error
    return no_answer("example.org", dialler.attempts, "--proxy", dialler._proxy)


def check(error: ConnectError, sentence: str, url: str) -> None:
    """The sentence, and what holds for all of them."""
    assert str(error) == sentence.replace("{proxy}", url)
    assert (error.exit_code, error.layer) == (69, "tcp")
    assert "--proxy" in (error.hint or "")
    assert SECRET not in f"{error} {error.hint}"


UNREACHED = "example.org: the proxy {proxy} reaches no address (hidden.example:5222 %s)"
WANTS = "the proxy {proxy} wants a user and a password"
REFUSES = "the proxy {proxy} refuses the user or the password"
ANSWERS: list[tuple[str, ProxyServer, str]] = [
    ("socks-general", ProxyServer("socks5h", fails=1), UNREACHED % "failed at the proxy"),
    ("socks-rules", ProxyServer("socks5h", fails=2), UNREACHED % "is not allowed by the proxy"),
    ("socks-network", ProxyServer("socks5h", fails=3), UNREACHED % "network is unreachable"),
    ("socks-host", ProxyServer("socks5h"), UNREACHED % "is unreachable or no such name"),
    ("socks-refused", ProxyServer("socks5h", fails=5), UNREACHED % "refused"),
    ("socks-ttl", ProxyServer("socks5h", fails=6), UNREACHED % "timed out"),
    ("socks-unknown", ProxyServer("socks5h", fails=0xF0), UNREACHED % "failed at the proxy (code 240)"),
    ("socks-hangs", ProxyServer("socks5h", hangs=True), UNREACHED % "timed out"),
    ("socks-wants-login", ProxyServer("socks5h", login=LOGIN), WANTS),
    ("socks-is-silent", ProxyServer("socks5h", says=b""), "the proxy {proxy} takes the connection but does not answer"),
    ("socks-is-http", ProxyServer("socks5h", says=b"HTTP/1.1 400 no\r\n"), "the proxy {proxy} does not speak SOCKS 5"),
    ("http-gateway", ProxyServer("http"), UNREACHED % "failed at the proxy (502 Bad Gateway)"),
    ("http-timeout", ProxyServer("http", fails=504), UNREACHED % "failed at the proxy (504 Gateway Timeout)"),
    ("http-rules", ProxyServer("http", fails=403), UNREACHED % "is not allowed by the proxy (403 Forbidden)"),
    ("http-hangs", ProxyServer("http", hangs=True), UNREACHED % "timed out"),
    ("http-wants-login", ProxyServer("http", login=LOGIN), WANTS),
    ("http-is-smtp", ProxyServer("http", says=b"220 mail ESMTP\r\n"), "the proxy {proxy} does not speak HTTP"),
    ("http-is-odd", ProxyServer("http", says=b"HTTP/1.1 ok\r\n\r\n"), "the proxy {proxy} does not speak HTTP"),
    ("http-is-endless", ProxyServer("http", says=b"HTTP/1.1 200 " + b"x" * 99_999),
     "the proxy {proxy} does not speak HTTP"),
]  # fmt: skip


@pytest.mark.parametrize(("server", "sentence"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
async def test_what_a_proxy_refuses_has_its_own_sentence(server: ProxyServer, sentence: str) -> None:
    async with serving(server) as proxy:
        check(await failure(proxy.url), sentence, proxy.url)


@both
async def test_a_refused_password_is_said_and_never_shown(scheme: Scheme) -> None:
    async with serving(ProxyServer(scheme, login=("juliet", "another"))) as proxy:
        url = f"{scheme}://juliet:pa55%3Aw%2Frd%40%C3%A4@127.0.0.1:{proxy.port}"
        check(await failure(url), REFUSES, proxy.url)
        assert proxy.logins == [LOGIN]


@both
async def test_a_proxy_that_is_not_there_is_said_with_its_address(scheme: Scheme) -> None:
    with refused() as port:
        url = f"{scheme}://127.0.0.1:{port}"
        check(await failure(url), f"the proxy {url} cannot be reached (127.0.0.1:{port} refused)", url)
    with black_hole() as port:
        url = f"{scheme}://127.0.0.1:{port}"
        check(await failure(url), f"the proxy {url} cannot be reached (127.0.0.1:{port} timed out)", url)


async def test_a_proxy_that_hangs_up_at_once_is_not_asked_again_for_the_next_place() -> None:
    async with listening(closes=True) as proxy:
        url = f"socks5h://127.0.0.1:{proxy.port}"
        error = await failure(url, (NAME, 5222), (NAME, 5223))
        check(error, "the proxy {proxy} closed the connection", url)
        assert proxy.connections == 1


async def test_a_proxy_that_hangs_up_when_it_hears_the_target_may_take_the_next_one() -> None:
    async with listening(closes=True) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        error = await failure(url, (NAME, 5222), (NAME, 5223))
        outcome = "failed at the proxy: it closed the connection"
        log = f"hidden.example:5222 {outcome}, hidden.example:5223 {outcome}"
        check(error, f"example.org: the proxy {url} reaches no address ({log})", url)


@both
@pytest.mark.parametrize("host", ["bücher.example", "a" * 256, "a\r\nX: y", "a b"])
async def test_what_is_no_name_never_reaches_the_proxy(scheme: Scheme, host: str) -> None:
    async with serving(ProxyServer(scheme)) as proxy:
        assert "is not a name that a proxy could look up" in str(await failure(proxy.url, (host, 5222)))
        assert proxy.asked == []


async def test_nothing_but_the_failures_is_told() -> None:
    async with serving(ProxyServer("http", fails=403)) as proxy:
        dialler = through(proxy.url)
        assert await dialler.next() is None
        assert told(dialler.attempts) == "hidden.example:5222 is not allowed by the proxy (403 Forbidden)"
