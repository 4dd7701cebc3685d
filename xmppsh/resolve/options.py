"""How names are looked up: by whom, for which address family, and what the user laid down."""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, AF_UNSPEC  # `socket` itself costs milliseconds
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from xmppsh.model import place
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from typing import Literal

    from xmppsh.config.values import Override

DNS_PORT = 53


@dataclass(frozen=True)
class Side:
    """For whom a domain's server is looked up. services: the names of its SRV records, with what is spoken there.

    port, direct_ports: by STARTTLS and by direct TLS, where there are no SRV records; whom: for sentences.
    """

    services: dict[str, Literal["direct", "starttls"]]
    port: int
    direct_ports: tuple[int, ...]
    whom: str


# RFC 6120 §3.2.1, §14.7, XEP-0368.
CLIENTS = Side({"_xmpps-client._tcp": "direct", "_xmpp-client._tcp": "starttls"}, 5222, (5223, 443), "clients")
SERVERS = Side({"_xmpps-server._tcp": "direct", "_xmpp-server._tcp": "starttls"}, 5269, (5270,), "other servers")


@dataclass(frozen=True)
class LookupOptions:
    """What decides how a name becomes addresses.

    servers: `--dns`, name servers (address, port) to ask instead of the system's; overrides: `--resolve`, the last one
    for a name and port wins; family: socket.AF_INET or AF_INET6 to allow one alone; proxied: a proxy looks names up,
    and no question leaves this machine; cache: the file that remembers SRV records; None: none does; side: who asks.
    """

    servers: tuple[tuple[str, int], ...] = ()
    overrides: tuple[Override, ...] = ()
    family: int = AF_UNSPEC
    proxied: bool = False
    cache: Path | None = None
    side: Side = CLIENTS
    hosts_file: Path = Path("/etc/hosts")
    resolv_conf: Path = Path("/etc/resolv.conf")

    def allows(self, address: str) -> bool:
        """May this address be dialled, by -4 and -6?"""
        return self.family in (AF_UNSPEC, AF_INET6 if ":" in address else AF_INET)

    def asking_first(self, server: str) -> LookupOptions:
        """The same, with the name server that has answered in front (as `place` shows it): others may be dead."""
        front = [(address, port) for address, port in self.servers if place(address, port, DNS_PORT) == server]
        return replace(self, servers=tuple(dict.fromkeys((*front, *self.servers))))

    def overridden(self, name: str, port: int) -> tuple[str, ...]:
        """The addresses that `--resolve` gives a name; `*` stands for every name, and yields to the name itself."""
        given = {(override.name, override.port): override.addresses for override in self.overrides}
        return given.get((name, port)) or given.get(("*", port)) or ()

    def ports_of(self, name: str) -> tuple[int, ...]:
        """The ports for which `--resolve` names exactly this name, in the order given."""
        return tuple(dict.fromkeys(override.port for override in self.overrides if override.name == name))
