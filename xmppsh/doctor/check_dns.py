"""Group dns: the SRV records of both services, and the addresses of every place to dial."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xmppsh.doctor.check_dane import check_signatures
from xmppsh.errors import ConnectError, ServiceRefused
from xmppsh.model import brief, is_address, place, u_labels
from xmppsh.resolve.plan import BY_HOST, draw_plan
from xmppsh.resolve.services import ask_services

if TYPE_CHECKING:
    from xmppsh.doctor.case import Case
    from xmppsh.doctor.dnssec import Dnssec
    from xmppsh.doctor.report import Report
    from xmppsh.resolve.plan import Plan, Step
    from xmppsh.resolve.services import Services

GIVEN = (BY_HOST, "--resolve")
WAY_OUT = "--host HOST[:PORT] connects to a server of your choice"


async def check_names(case: Case, dnssec: Dnssec, report: Report) -> Plan | None:
    """The plan that would be dialled, None when there is nothing to dial; raises UsageError."""
    options, plan, error = case.options, None, None
    try:
        plan = await draw_plan(
            options.jid,
            options.hosts,
            options.tls,
            options.connect_timeout_s,
            case.lookup,
            case.log,
            patient=True,
        )
    except ConnectError as caught:
        error = caught
    if plan is not None and not plan.asked:
        await _skip_services(plan, case, report)
    else:
        await _check_services(case, dnssec, report, error)
    if plan is None:
        if error is not None and report.failure is None:
            await report.fail("dns", "plan", error)  # the name servers said something else the second time
        await report.skip("dns", "addresses", report.because)
        return None
    await _check_addresses(plan, report)
    return plan if plan.error is None else None


# ── SRV records ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def _skip_services(plan: Plan, case: Case, report: Report) -> None:
    source = plan.steps[0].candidate.source
    reason = f"{case.host_by if source == BY_HOST else source} says where to connect" if source in GIVEN else source
    for check in (*(f"SRV {service}" for service in case.side.services), "DNSSEC"):
        await report.skip("dns", check, reason)


async def _check_services(case: Case, dnssec: Dnssec, report: Report, error: ConnectError | None) -> None:
    """Ask for each service by itself: the plan tells only what became of both."""
    domain, timeout_s = case.options.jid.dial_name, case.options.connect_timeout_s / 2
    wanted = {service: mode for service, mode in case.side.services.items() if case.options.tls in ("auto", mode)}
    questions = (ask_services(domain, mode, case.lookup, timeout_s, _silent) for mode in wanted.values())
    proofs = (dnssec.proof(f"{service}.{domain}", "SRV") for service in wanted)
    found, proved = await asyncio.gather(asyncio.gather(*questions), asyncio.gather(*proofs))
    answers = dict(zip(wanted, found, strict=True))
    for service in case.side.services:
        if service in answers:
            await _tell(service, answers[service], report, error)
        else:
            await report.skip("dns", f"SRV {service}", f"--tls {case.options.tls} was given")
    await check_signatures(proved, report)


def _silent(_level: int, _text: str) -> None:
    """The plan has logged it all."""


async def _tell(service: str, answer: Services, report: Report, error: ConnectError | None) -> None:
    check = f"SRV {service}"
    useless = f"names what nobody could dial: {brief(answer.useless)}" if answer.useless else ""
    if answer.offers:
        places = (
            f"{place(offer.record.target, offer.record.port)} (priority {offer.priority}, weight {offer.weight})"
            for offer in sorted(answer.offers, key=lambda offer: (offer.priority, -offer.weight))
        )
        found = f"{brief(places)}, says {answer.offers[0].server}"
        if useless:
            await report.warn("dns", check, f"{found}; {useless}")
        else:
            await report.ok("dns", check, found)
        return
    closed = 'is not offered (SRV target ".")' if answer.refused else ""
    fault = str(answer.trouble or "") or useless or closed
    if fault and error is not None and (fault != closed or isinstance(error, ServiceRefused)):
        await report.fail("dns", check, error, fault)
    elif fault and fault != closed:
        await report.warn("dns", check, fault, WAY_OUT)
    else:
        await report.ok("dns", check, fault or answer.told[0].partition(": ")[2])


# ── Addresses ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _check_addresses(plan: Plan, report: Report) -> None:
    done = set()
    for step in plan.steps:
        host, addresses = step.candidate.host, step.candidate.addresses
        if (host, addresses) not in done:
            done.add((host, addresses))
            await _check_host(plan, step, report)


async def _check_host(plan: Plan, step: Step, report: Report) -> None:
    host = u_labels(step.candidate.host)
    check = f"addresses {host}"
    if step.trouble is not None and plan.error is not None:
        await report.fail("dns", check, plan.error, f"{host} {step.trouble}")
    elif step.trouble is not None:
        await report.warn("dns", check, f"{host} {step.trouble}", step.trouble.hint(plan.given))
    elif is_address(step.candidate.host) or not step.candidate.addresses:
        await report.skip("dns", check, step.known_by or "looked up when it is tried")
    else:
        await report.ok("dns", check, f"{brief(step.candidate.addresses)} ({step.known_by})")
