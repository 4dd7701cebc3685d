"""What a domain says about its XMPP servers: the SRV records of both services (RFC 6120 §3.2.1, XEP-0368)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from xmppsh.model import MAX_NAME_LENGTH, is_address, u_labels
from xmppsh.plain import dataclass
from xmppsh.resolve.cache import SrvCache
from xmppsh.resolve.lookup import Answer, Srv, ask
from xmppsh.resolve.system import name_servers
from xmppsh.resolve.together import together
from xmppsh.resolve.trouble import NotLookedUp

if TYPE_CHECKING:
    from xmppsh.model import TlsMode
    from xmppsh.resolve.options import LookupOptions
    from xmppsh.resolve.trouble import Trouble
    from xmppsh.texts import Log

GRACE_S = 0.5  # for the answer about one service when the other one has records


@dataclass(frozen=True, slots=True)
class Offer:
    """An SRV record that can be dialled, with the service it belongs to."""

    record: Srv
    service: str
    tls: Literal["direct", "starttls"]
    server: str  # who said so

    @property
    def priority(self) -> int:
        """RFC 2782: a lower one first."""
        return self.record.priority

    @property
    def weight(self) -> int:
        """RFC 2782: the share among the same priority."""
        return self.record.weight


@dataclass(frozen=True, slots=True)
class Services:
    """The answers for both services put together.

    offers: in no order; refused: the services with the target "." alone; useless: records that nobody could dial;
    trouble: why a service is not known;
    remembered: some of it comes from the cache; answered_by: a name server that did, this time;
    told: what was asked and answered, for people.
    """

    offers: tuple[Offer, ...]
    refused: tuple[str, ...]
    useless: tuple[str, ...]
    trouble: Trouble | None
    remembered: bool
    answered_by: str
    told: tuple[str, ...]


async def ask_services(domain: str, tls: TlsMode, lookup: LookupOptions, timeout_s: float, log: Log) -> Services:
    """Ask for the wanted services at the same time, those that are not remembered. domain: in A-labels."""
    servers = lookup.servers or name_servers(lookup.resolv_conf)
    cache = None if lookup.cache is None else SrvCache(lookup.cache, servers, log)
    services = lookup.side.services
    wanted = [service for service, mode in services.items() if tls in ("auto", mode) and _can_be_asked(service, domain)]
    known = {service: cache.get(f"{service}.{domain}") if cache is not None else None for service in wanted}
    asked = [service for service in wanted if known[service] is None]
    questions = [_ask(f"{service}.{domain}", servers, timeout_s) for service in asked]
    answers = await together(questions, lambda answer: isinstance(answer, Answer) and bool(answer.records), GRACE_S)
    told: list[str] = []
    answered_by = ""
    trouble: Trouble | None = None
    for service, answer in zip(asked, answers, strict=True):
        if answer is None:
            told.append(f"SRV {service}.{u_labels(domain)}: no answer yet, the other service has one")
        elif isinstance(answer, NotLookedUp):
            trouble = trouble or answer.trouble
            told.append(f"SRV {service}.{u_labels(domain)} {answer.trouble}")
        else:
            known[service], answered_by = answer, answer.server
            if cache is not None:
                cache.put(f"{service}.{domain}", answer)
    offers: list[Offer] = []
    refused: list[str] = []
    useless: list[str] = []
    for service, found in known.items():
        if found is None:
            continue
        told.append(f"SRV {service}.{u_labels(domain)}: {_what(found, remembered=service not in asked)}")
        records = [record for record in found.records if record.target]
        if found.records and not records:
            refused.append(service)  # RFC 2782: the service is decidedly not available at this domain
        for record in records:
            if is_dialable(record):
                offers.append(Offer(record, service, services[service], found.server))
            else:
                useless.append(f"{record.target!r} port {record.port}")
    for sentence in told:
        log(2, sentence)
    for place in useless:
        log(1, f"the SRV records of {u_labels(domain)} name {place}, which nobody could dial")
    remembered, usable = len(asked) < len(wanted), tuple(offers)
    return Services(usable, tuple(refused), tuple(sorted(useless)), trouble, remembered, answered_by, tuple(told))


async def _ask(name: str, servers: tuple[tuple[str, int], ...], timeout_s: float) -> Answer | NotLookedUp:
    try:
        return await ask(name, "SRV", servers, timeout_s)
    except NotLookedUp as error:
        return error


def forget(domain: str, lookup: LookupOptions, log: Log) -> None:
    """Drop what is remembered of a domain: it led nowhere. domain: in A-labels."""
    if lookup.cache is not None:
        cache = SrvCache(lookup.cache, lookup.servers or name_servers(lookup.resolv_conf), log)
        for service in lookup.side.services:
            cache.forget(f"{service}.{domain}")


def _can_be_asked(service: str, domain: str) -> bool:
    """Below a very long domain there is no room for a service."""
    return len(service) + len(".") + len(domain) <= MAX_NAME_LENGTH


def is_dialable(record: Srv) -> bool:
    """Is it a port of a host name (RFC 1123 §2.1), or of an address, which some zones hold though it is not allowed?"""
    letters = record.target.isascii() and all(sign.isalnum() or sign in "-_." for sign in record.target)
    return record.port > 0 and len(record.target) <= MAX_NAME_LENGTH and (letters or is_address(record.target))


def _what(answer: Answer, *, remembered: bool) -> str:
    records = f"{len(answer.records)} record{'' if len(answer.records) == 1 else 's'}"
    what = records if answer.exists else "no such name"
    by = f" via the alias {u_labels(answer.aliases[-1])}" if answer.aliases else ""
    if remembered:
        return f"{what}, remembered for {answer.ttl_s} s more"
    return f"{what}{by}, says {answer.server}"
