"""The address of a proxy, as a setting has it: `socks5h://[USER:PASSWORD@]HOST:PORT` or `http://…`."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from xmppsh.errors import ConnectError, UsageError
from xmppsh.model import split_host_port
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from typing import Literal

SCHEMES = ("socks5h", "http")
FORM = "socks5h://[USER:PASSWORD@]HOST:PORT or http://…"
MAX_CREDENTIAL_BYTES = 255  # RFC 1929 §2


@dataclass(frozen=True)
class Proxy:
    """Whom to ask for the connection. Shown without user and password."""

    scheme: Literal["socks5h", "http"]
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Read `socks5h://[user:password@]host:port` or `http://…`, user and password percent-encoded.

        Raises UsageError, which never shows the password.
        """
        from urllib.parse import unquote, urlsplit  # most people have no proxy

        try:
            parts = urlsplit(url)
        except ValueError:  # its sentence may quote the password
            raise UsageError("--proxy: this is not the address of a proxy", hint=f"--proxy {FORM}") from None
        if parts.scheme == "socks5":
            raise UsageError("--proxy: socks5:// would look names up on this machine", hint="--proxy socks5h://…")
        if parts.scheme not in SCHEMES or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise UsageError("--proxy: this is not the address of a proxy", hint=f"--proxy {FORM}")
        login, at, place = parts.netloc.rpartition("@")
        user, colon, password = login.partition(":")
        try:
            host, port = split_host_port(place)
        except ValueError as error:
            raise UsageError(f"--proxy: {error}", hint=f"--proxy {FORM}") from None
        if port is None or (at and not (user and colon)):
            raise UsageError(
                "--proxy: the port is missing" if port is None else "--proxy: the user or the password is missing",
                hint=f"--proxy {FORM}",
            )
        if any(len(unquote(secret).encode()) > MAX_CREDENTIAL_BYTES for secret in (user, password)):
            raise UsageError(f"--proxy: user and password have at most {MAX_CREDENTIAL_BYTES} bytes each (RFC 1929)")
        scheme: Literal["socks5h", "http"] = "http" if parts.scheme == "http" else "socks5h"
        return cls(scheme, host, port, unquote(user) if at else None, unquote(password) if at else None)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def failure(self, what: str, hint: str = "check --proxy, and that it runs there") -> ConnectError:
        """The error for a proxy that is of no use, whatever is asked of it."""
        return ConnectError(f"the proxy {self} {what}", hint=hint)
