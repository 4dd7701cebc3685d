"""The dial plan: which places are tried for a domain, at which addresses, in which order, and why.

`--host` alone when it is given; else the place that `--resolve` names for the domain; else the domain's SRV records;
else, when there are none, the domain itself (RFC 6120 §3.2).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from xmppsh.errors import ServiceRefused, UsageError
from xmppsh.model import Candidate, a_labels, is_address, is_loopback, u_labels
from xmppsh.plain import dataclass
from xmppsh.protocol.order import ordered
from xmppsh.resolve.addresses import Found, find_addresses, is_localhost, known_here
from xmppsh.resolve.options import CLIENTS, LookupOptions
from xmppsh.resolve.services import ask_services, forget
from xmppsh.resolve.together import together
from xmppsh.resolve.trouble import BARE, EMPTY, LATE, NotLookedUp, Trouble, failure, services_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xmppsh.errors import ConnectError
    from xmppsh.model import Jid, TlsMode
    from xmppsh.resolve.options import Side
    from xmppsh.resolve.services import Offer
    from xmppsh.resolve.trouble import Given
    from xmppsh.texts import Log

    Host = tuple[str, int | None]

BY_HOST = "--host"
HOST_HINT = "--host HOST[:PORT] connects to a server of your choice"
MAX_PLACES = 64  # of the SRV records; a stranger's zone decides how many there are
FOR_TLS = {"auto": "", "direct": " for direct TLS", "starttls": " for STARTTLS"}
GRACE_S = 0.5  # for the names that are still being looked up when one has addresses: the dialler looks again
NO_LOOKUP = LookupOptions()


def _silent(_level: int, _text: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Step:
    """One place of the plan. why: what put it at this place in the order; known_by: who knew its addresses.

    trouble: why it has no addresses.
    """

    candidate: Candidate
    why: str
    known_by: str = ""
    trouble: Trouble | None = None

    @property
    def can_be_dialled(self) -> bool:
        """Addresses are known, or are looked up by the dialler or the proxy when its turn comes."""
        return self.trouble is None or self.trouble is LATE


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a domain's server is looked for. domain: as it is shown; tls_name: what a certificate must be for.

    asked: the questions to the DNS and their answers, for people; remembered: SRV records came from the
    cache; answered_by: the name server that knew them.
    """

    domain: str
    tls_name: str
    given: Given
    steps: tuple[Step, ...]
    asked: tuple[str, ...] = ()
    remembered: bool = False
    answered_by: str = ""

    @property
    def candidates(self) -> list[Candidate]:
        """What to dial, in order."""
        return [step.candidate for step in self.steps if step.can_be_dialled]

    @property
    def misses(self) -> list[tuple[Candidate, Trouble]]:
        """What cannot be dialled, for the error that tells of every place."""
        return [(step.candidate, step.trouble) for step in self.steps if step.trouble and not step.can_be_dialled]

    @property
    def error(self) -> ConnectError | None:
        """Why nothing of it can be dialled."""
        if self.candidates:
            return None
        return failure(self.domain, self.given, [(u_labels(place.host), trouble) for place, trouble in self.misses])


async def dial_plan(
    jid: Jid,
    hosts: Sequence[Host],
    tls: TlsMode,
    timeout_s: float,
    lookup: LookupOptions = NO_LOOKUP,
    log: Log = _silent,
    *,
    redirect: str | None = None,
) -> Plan:
    """The plan, with something to dial; raises ConnectError (layer dns) when there is nothing, UsageError.

    hosts: dialled instead of asking where the server is, the port None when not given; redirect: who named them, when
    it was not the user.
    timeout_s: for all questions together; log(level, text) is told each.
    """
    plan = await draw_plan(jid, hosts, tls, timeout_s, lookup, log, redirect=redirect)
    if plan.error is not None:
        raise plan.error
    for candidate, trouble in plan.misses:
        log(1, f"{candidate} is left out: it {trouble}")
    return plan


async def draw_plan(
    jid: Jid,
    hosts: Sequence[Host],
    tls: TlsMode,
    timeout_s: float,
    lookup: LookupOptions = NO_LOOKUP,
    log: Log = _silent,
    *,
    redirect: str | None = None,
    patient: bool = False,
) -> Plan:
    """The plan with every place, also when none can be dialled; raises what keeps it from being made at all.

    patient: wait for the addresses of every place.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_s
    domain = jid.dial_name
    sketch = Plan(u_labels(domain), domain, "host" if redirect is None else "server", ())
    if hosts:
        sketch = replace(sketch, steps=_given(hosts, tls, redirect or BY_HOST, lookup.side, by_hand=redirect is None))
    else:
        sketch = await _of_domain(sketch, tls, timeout_s / 2, lookup, log)
    for step in sketch.steps:
        _refuse_clear_text(step.candidate, lookup)
    lookup = lookup.asking_first(sketch.answered_by)
    left_s = max(0.0, until - loop.time()) / 2  # the other half is for dialling
    plan = replace(sketch, steps=await _with_addresses(sketch, left_s, lookup, log, None if patient else GRACE_S))
    if plan.error is None or not plan.remembered:
        return plan
    log(1, f"the remembered SRV records of {plan.domain} lead nowhere")
    forget(domain, lookup, log)
    left_s, fresh = max(0.0, until - loop.time()), replace(lookup, cache=None)
    return await draw_plan(jid, hosts, tls, left_s, fresh, log, redirect=redirect, patient=patient)


# ── Which places ────────────────────────────────────────────────────────────────────────────────────────────────────


def _explicit(
    host: str, port: int | None, tls: TlsMode, source: str, side: Side = CLIENTS, *, by_hand: bool = False
) -> Candidate:
    mode: Literal["direct", "starttls", "off"]
    mode = ("direct" if port in side.direct_ports else "starttls") if tls == "auto" else tls
    with suppress(ValueError):  # then it stays as it is; looking it up fails, with a sentence of its own
        host = a_labels(host).lower().removesuffix(".")
    port = port or (side.direct_ports[0] if mode == "direct" else side.port)
    return Candidate(host, port, mode, source, searched=by_hand)


async def _of_domain(sketch: Plan, tls: TlsMode, timeout_s: float, lookup: LookupOptions, log: Log) -> Plan:
    domain = sketch.tls_name
    if not lookup.proxied and (ports := lookup.ports_of(domain)):
        # Who says at which port and address the domain is has said more than its SRV records could.
        return replace(sketch, steps=_given([(domain, port) for port in ports], tls, "--resolve", lookup.side))
    sketch = replace(sketch, given="domain")
    reason = _without_services(domain, lookup)
    if reason is None and tls == "off":
        reason = "the domain itself, without TLS no SRV records are asked for"
    if reason is not None:
        return _itself(sketch, tls, reason, lookup.side)
    services = await ask_services(domain, tls, lookup, timeout_s, log)
    answered_by = services.answered_by
    sketch = replace(sketch, asked=services.told, remembered=services.remembered, answered_by=answered_by)
    if services.offers:
        steps = _in_order(services.offers, sketch.domain)
        if len(steps) > MAX_PLACES:
            log(1, f"{sketch.domain} has {len(steps)} SRV records, the first {MAX_PLACES} in their order are looked at")
        return replace(sketch, given="srv", steps=steps[:MAX_PLACES])
    if services.trouble is not None:
        here = (
            None if services.useless else known_here(domain, _explicit(domain, None, tls, "", lookup.side).port, lookup)
        )
        if here is None:
            raise services_failure(sketch.domain, services.trouble)
        log(1, f"the SRV records of {sketch.domain} {services.trouble}")
        reason = f"the domain itself, it is in {here.source}; its SRV records {services.trouble}"
        return _itself(sketch, tls, reason, lookup.side)
    if services.useless:
        raise ServiceRefused(
            f"{sketch.domain}: its SRV records name no server that could be reached ({', '.join(services.useless)})",
            hint=HOST_HINT,
        )
    refused = {lookup.side.services[service] for service in services.refused}
    if "starttls" in refused or (tls == "direct" and refused):
        what = "no direct TLS" if tls == "direct" else "no XMPP"
        raise ServiceRefused(
            f'{sketch.domain} says that it offers {what} to {lookup.side.whom} (SRV target ".")',  # RFC 2782
            hint=HOST_HINT,
        )
    # RFC 6120 §3.2.2: no SRV records, so the domain's own addresses.
    return _itself(sketch, tls, f"the domain itself, it has no SRV records{FOR_TLS[tls]}", lookup.side)


def _without_services(domain: str, lookup: LookupOptions) -> str | None:
    """Why no SRV records are asked for, where they are not."""
    if is_address(domain):
        return "the domain is an address"
    if lookup.proxied:
        return "the domain itself, the proxy looks it up"
    if is_localhost(domain):
        return "the domain is this machine"
    if domain.endswith(".onion"):
        return "the domain itself, the DNS is not asked for it"
    return None


def _given(places: Sequence[Host], tls: TlsMode, source: str, side: Side, *, by_hand: bool = False) -> tuple[Step, ...]:
    reasons = [f"number {number} of {len(places)} given" for number in range(1, len(places) + 1)]
    reasons = reasons if len(places) > 1 else ["the only place"]
    return tuple(
        Step(_explicit(*place, tls, source, side, by_hand=by_hand), why)
        for place, why in zip(places, reasons, strict=True)
    )


def _itself(sketch: Plan, tls: TlsMode, source: str, side: Side) -> Plan:
    return replace(sketch, steps=_given([(sketch.tls_name, None)], tls, source, side))


def _in_order(offers: Sequence[Offer], domain: str) -> tuple[Step, ...]:
    import random  # an order is drawn where the DNS was asked

    steps = []
    for offer in ordered(offers, lambda top: random.SystemRandom().randint(0, top)):
        equals = sum(other.priority == offer.priority for other in offers)
        why = f"priority {offer.priority}"
        if equals > 1:
            why += f", drawn by weight {offer.weight} among {equals}"
        source = f"SRV {offer.service}.{domain}"
        steps.append(Step(Candidate(offer.record.target, offer.record.port, offer.tls, source), why))
    return tuple(steps)


def _refuse_clear_text(candidate: Candidate, lookup: LookupOptions) -> None:
    if candidate.tls != "off":
        return
    if lookup.proxied:
        raise UsageError(
            "--tls off is refused with --proxy: a password would reach the proxy in the clear",
            hint="--tls starttls or --tls direct",
        )
    # What a name server says is no proof that it stays on this machine.
    here = known_here(candidate.host, candidate.port, lookup)
    if here is None or not all(is_loopback(address) for address in here.addresses):
        raise UsageError(
            f"--tls off is refused for {candidate}: a password would cross the network in the clear",
            hint="--tls off is for loopback addresses only",
        )


# ── At which addresses ──────────────────────────────────────────────────────────────────────────────────────────────


async def _with_addresses(
    sketch: Plan, timeout_s: float, lookup: LookupOptions, log: Log, grace_s: float | None
) -> tuple[Step, ...]:
    if lookup.proxied:
        return tuple(replace(step, known_by="the proxy looks it up") for step in sketch.steps)
    places = dict.fromkeys(_place(step.candidate, lookup) for step in sketch.steps)
    searched = sketch.steps[0].candidate.searched  # all of them were given, or none
    work = [_looked_up(host, port, lookup, timeout_s, log, searched=searched) for host, port in places]
    outcomes = await together(work, lambda outcome: isinstance(outcome, Found), grace_s)
    known = dict(zip(places, outcomes, strict=True))
    return tuple(_completed(step, known[_place(step.candidate, lookup)], sketch) for step in sketch.steps)


def _place(candidate: Candidate, lookup: LookupOptions) -> Host:
    """What is looked up for a candidate, once for all its ports where `--resolve` does not tell them apart."""
    return candidate.host, candidate.port if lookup.overridden(candidate.host, candidate.port) else None


async def _looked_up(
    host: str, port: int | None, lookup: LookupOptions, timeout_s: float, log: Log, *, searched: bool
) -> Found | Trouble:
    try:
        return await find_addresses(host, port, lookup, timeout_s, log, searched=searched)
    except NotLookedUp as error:
        return error.trouble


def _completed(step: Step, outcome: Found | Trouble | None, sketch: Plan) -> Step:
    match outcome:
        case Found(addresses, source):
            return replace(step, candidate=replace(step.candidate, addresses=addresses), known_by=source)
        case Trouble():
            bare = outcome is EMPTY and sketch.given == "domain" and len(sketch.asked) == len(CLIENTS.services)
            return replace(step, trouble=BARE if bare else outcome)
        case None:
            return replace(step, trouble=LATE)
