"""The dial plan: which places are tried for a domain, in which order."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from xmppsh.errors import LookupFailed, ServiceRefused
from xmppsh.model import Candidate, is_address
from xmppsh.protocol.order import ordered
from xmppsh.resolve.lookup import Srv, srv

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from xmppsh.model import Jid, TlsMode

CLIENT_PORT = 5222  # RFC 6120 §14.7
DIRECT_TLS_PORTS = (5223, 443)  # without SRV records, what people mean by them


async def dial_plan(
    jid: Jid, hosts: Sequence[tuple[str, int | None]], tls: TlsMode, timeout_s: float
) -> list[Candidate]:
    """The candidates in order: `--host` alone when given, else the domain's SRV records, else the domain itself."""
    if hosts:
        return [_explicit(host, port, tls, "--host") for host, port in hosts]
    if is_address(jid.domainpart):
        return [_explicit(jid.dial_name, None, tls, "the domain is an address")]
    found = await _by_srv(jid.dial_name, tls, timeout_s)
    if found is None:
        # RFC 6120 §3.2.2: no SRV records, so the domain's own addresses.
        return [_explicit(jid.dial_name, None, tls, "the domain itself, it has no SRV records")]
    return found


def _explicit(host: str, port: int | None, tls: TlsMode, source: str) -> Candidate:
    mode: Literal["direct", "starttls", "off"]
    mode = ("direct" if port in DIRECT_TLS_PORTS else "starttls") if tls == "auto" else tls
    return Candidate(host, port or (DIRECT_TLS_PORTS[0] if mode == "direct" else CLIENT_PORT), mode, source)


async def _by_srv(domain: str, tls: TlsMode, timeout_s: float) -> list[Candidate] | None:
    services: dict[str, Literal["direct", "starttls"]] = {
        "_xmpps-client._tcp": "direct",
        "_xmpp-client._tcp": "starttls",
    }
    wanted = {service: mode for service, mode in services.items() if tls in ("auto", mode)}
    answers = await asyncio.gather(
        *(srv(f"{service}.{domain}", timeout_s) for service in wanted), return_exceptions=True
    )
    records: list[_Offer] = []
    refused = False
    failures: list[LookupFailed] = []
    for (service, mode), answer in zip(wanted.items(), answers, strict=True):
        if isinstance(answer, LookupFailed):
            failures.append(answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            refused = refused or any(not record.target for record in answer)
            records += [_Offer(record, mode, service) for record in answer if record.target]
    if records:
        chosen = ordered(records, lambda top: random.SystemRandom().randint(0, top))
        return [offer.candidate(domain) for offer in chosen]
    if failures:
        raise failures[0]
    if refused:
        raise ServiceRefused(f'{domain} says that it offers no XMPP to clients (SRV target ".")')  # RFC 2782
    return None


class _Offer:
    """An SRV record with the service it came from."""

    def __init__(self, record: Srv, mode: Literal["direct", "starttls"], service: str) -> None:
        self.record, self.mode, self.service = record, mode, service
        self.priority, self.weight = record.priority, record.weight

    def candidate(self, domain: str) -> Candidate:
        return Candidate(self.record.target, self.record.port, self.mode, f"SRV {self.service}.{domain}")
