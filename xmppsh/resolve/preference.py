"""The order of several addresses (RFC 6724 §6), where getaddrinfo(3) did not put them in order."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# RFC 6724 §2.1: prefix, precedence, label.
POLICY = tuple(
    (IPv6Network(prefix), precedence, label)
    for prefix, precedence, label in (
        ("::1/128", 50, 0),
        ("::ffff:0:0/96", 35, 4),
        ("::/96", 1, 3),
        ("2001::/32", 5, 5),
        ("2002::/16", 30, 2),
        ("fc00::/7", 3, 13),
        ("fec0::/10", 1, 11),
        ("3ffe::/16", 1, 12),
        ("::/0", 40, 1),
    )
)
LINK_LOCAL, SITE_LOCAL, GLOBAL = 2, 5, 14  # RFC 6724 §3.1


def preferred(addresses: Iterable[str]) -> tuple[str, ...]:
    """The addresses, the best to dial first; equals stay as they came. Nothing is sent."""
    return tuple(sorted(dict.fromkeys(addresses), key=_rank))


def _rank(address: str) -> tuple[bool, bool, bool, int, int]:
    there = _mapped(address)
    source = _source(address)
    if source is None:
        return True, True, True, -_precedence(there), _scope(there)  # rule 1: avoid what cannot be reached
    here = _mapped(source)
    other_scope = _scope(here) != _scope(there)  # rule 2
    other_label = _policy(here)[1] != _policy(there)[1]  # rule 5
    return False, other_scope, other_label, -_precedence(there), _scope(there)  # rules 6 and 8


def _mapped(address: str) -> IPv6Address:
    parsed = ip_address(address)
    return parsed if isinstance(parsed, IPv6Address) else IPv6Address(f"::ffff:{parsed}")


def _policy(address: IPv6Address) -> tuple[int, int]:
    plain = IPv6Address(int(address))  # without a zone
    return next((precedence, label) for prefix, precedence, label in POLICY if plain in prefix)


def _precedence(address: IPv6Address) -> int:
    return _policy(address)[0]


def _scope(address: IPv6Address) -> int:
    inner = address.ipv4_mapped or address
    if inner.is_link_local or inner.is_loopback:
        return LINK_LOCAL
    return SITE_LOCAL if isinstance(inner, IPv6Address) and inner.is_site_local else GLOBAL


def _source(address: str) -> str | None:
    """The address we would dial from; None when there is no way there. Connecting a UDP socket sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.setblocking(False)
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None
