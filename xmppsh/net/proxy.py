"""Ways through a proxy: SOCKS 5 (RFC 1928, RFC 1929) and HTTP CONNECT (RFC 9110 §9.3.6), names looked up over there.

Our own because the small library for it, python-socks 3.2.1, does not serve (measured): it takes an HTTP answer to be
whole with the first packet and leaves the rest of it to be read as the server's, it tells a refused password by text
alone, passwords are ASCII there, and of the proxy's addresses it tries the first.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from ipaddress import ip_address
from typing import TYPE_CHECKING

from xmppsh.model import is_address
from xmppsh.net.attempts import TargetUnreachable
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    import socket

    from xmppsh.config.proxy import Proxy
    from xmppsh.errors import ConnectError

MAX_NAME_BYTES = 255  # RFC 1928 §5
MAX_ANSWER_BYTES = 16_384
MAX_REASON_CHARACTERS = 60

SOCKS_VERSION, LOGIN_VERSION, CONNECT = 5, 1, 1
NO_LOGIN, PASSWORD_LOGIN = 0, 2
IPV4, NAME, IPV6 = 1, 3, 4
SOCKS_REPLIES = {  # RFC 1928 §6
    1: "failed at the proxy",
    2: "is not allowed by the proxy",
    3: "network is unreachable",
    4: "is unreachable or no such name",
    5: "refused",
    6: "timed out",
    7: "is not allowed by the proxy",
    8: "is an address of a family that the proxy has not",
}


async def greet(proxy: Proxy, sock: socket.socket) -> None:
    """Begin, and log in where the proxy wants that; raises ConnectError. HTTP has no such step."""
    if proxy.scheme == "http":
        return
    try:
        await _greet_socks(proxy, _Wire(sock))
    except (EOFError, OSError) as error:
        raise proxy.failure(_broken(error)) from error


async def reach(proxy: Proxy, sock: socket.socket, host: str, port: int) -> None:
    """Ask for the connection to `host`, a name or an address: after this the socket leads there.

    Raises TargetUnreachable, and ConnectError when the fault is the proxy's.
    """
    name = host.encode("ascii", "replace")
    if not host.isascii() or len(name) > MAX_NAME_BYTES or any(byte <= 0x20 or byte == 0x7F for byte in name):
        raise TargetUnreachable("is not a name that a proxy could look up")
    try:
        await (_reach_by_http if proxy.scheme == "http" else _reach_by_socks)(proxy, _Wire(sock), name, port)
    except (EOFError, OSError) as error:
        raise TargetUnreachable(f"failed at the proxy: it {_broken(error)}") from error


def _broken(error: Exception) -> str:
    if isinstance(error, (EOFError, ConnectionError)):
        return "closed the connection"
    return f"broke the connection ({os_reason(error)})"


async def _greet_socks(proxy: Proxy, wire: _Wire) -> None:
    methods = [NO_LOGIN] if proxy.user is None else [NO_LOGIN, PASSWORD_LOGIN]
    await wire.write(bytes([SOCKS_VERSION, len(methods), *methods]))
    version, method = await wire.read(2)
    if version != SOCKS_VERSION:
        raise proxy.failure("does not speak SOCKS 5", "--proxy http://HOST:PORT when it is one for HTTP")
    if method == NO_LOGIN:
        return
    if proxy.user is None or proxy.password is None or method != PASSWORD_LOGIN:
        raise _login_wanted(proxy)
    secrets = [secret.encode() for secret in (proxy.user, proxy.password)]
    await wire.write(bytes([LOGIN_VERSION]) + b"".join(bytes([len(secret)]) + secret for secret in secrets))
    if (await wire.read(2))[1] != 0:
        raise _login_refused(proxy)


async def _reach_by_socks(proxy: Proxy, wire: _Wire, name: bytes, port: int) -> None:
    if is_address(name.decode()):
        address = ip_address(name.decode())
        place = bytes([IPV4 if address.version == 4 else IPV6]) + address.packed
    else:
        place = bytes([NAME, len(name)]) + name
    await wire.write(bytes([SOCKS_VERSION, CONNECT, 0]) + place + port.to_bytes(2, "big"))
    version, reply, _ = await wire.read(3)
    if version != SOCKS_VERSION:
        raise proxy.failure("does not speak SOCKS 5")
    if reply != 0:
        raise TargetUnreachable(SOCKS_REPLIES.get(reply, f"failed at the proxy (code {reply})"))
    kind = (await wire.read(1))[0]  # the address that the proxy dials from follows
    length = {IPV4: 4, IPV6: 16}.get(kind) or (await wire.read(1))[0]
    await wire.read(length + 2)


async def _reach_by_http(proxy: Proxy, wire: _Wire, name: bytes, port: int) -> None:
    place = f"[{name.decode()}]:{port}" if b":" in name else f"{name.decode()}:{port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.user is not None:
        token = b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()  # RFC 7617 §2
        lines.append(f"Proxy-Authorization: Basic {token}")
    await wire.write("\r\n".join([*lines, "", ""]).encode())
    head = await wire.read_head()
    _, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    status, _, reason = rest.partition(" ")
    if not head.endswith(b"\r\n\r\n") or not (status.isascii() and status.isdigit() and len(status) == 3):
        raise proxy.failure("does not speak HTTP", "--proxy socks5h://HOST:PORT when it is one for SOCKS")
    if status.startswith("2"):
        return
    if status == "407":
        raise _login_wanted(proxy) if proxy.user is None else _login_refused(proxy)
    what = "is not allowed by the proxy" if status == "403" else "failed at the proxy"
    raise TargetUnreachable(f"{what} ({f'{status} {reason[:MAX_REASON_CHARACTERS]}'.strip()})")


def _login_wanted(proxy: Proxy) -> ConnectError:
    if proxy.user is not None:
        return proxy.failure("wants another kind of login than a password", "another --proxy")
    hint = f"--proxy {proxy.scheme}://USER:PASSWORD@HOST:PORT; XMPPSH_PROXY keeps it out of the list of processes"
    return proxy.failure("wants a user and a password", hint)


def _login_refused(proxy: Proxy) -> ConnectError:
    return proxy.failure("refuses the user or the password", "check the user and the password in --proxy")


class _Wire:
    """Exact reads: not one byte of what follows the proxy's answer may be taken. Raises EOFError and OSError."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._loop = sock, asyncio.get_running_loop()

    async def write(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._sock, data)

    async def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = await self._loop.sock_recv(self._sock, size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    async def read_head(self) -> bytes:
        """An HTTP answer up to the empty line after its header fields; less when it is none, or is too long."""
        data = bytearray()
        while not data.endswith(b"\r\n\r\n") and len(data) < MAX_ANSWER_BYTES:
            data += await self.read(1)
            if not data.startswith(b"HTTP/"[: len(data)]):
                break
        return bytes(data)
