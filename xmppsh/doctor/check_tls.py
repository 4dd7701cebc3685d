"""Group tls: the handshake at each place, and what its certificate is worth: names, chain, dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date
from typing import TYPE_CHECKING, Literal

from xmppsh.doctor.check_certificate import check_certificate
from xmppsh.doctor.check_tcp import MODES
from xmppsh.doctor.probe import Probe
from xmppsh.doctor.report import CHECKS, because
from xmppsh.model import a_labels, brief, u_labels
from xmppsh.net.tls import CertificateFacts, CertificateRefused
from xmppsh.resolve.options import CLIENTS

if TYPE_CHECKING:
    from xmppsh.doctor.case import Case
    from xmppsh.doctor.report import Report
    from xmppsh.errors import XmppshError
    from xmppsh.net.attempts import Attempt
    from xmppsh.resolve.plan import Plan

WARN_DAYS = 14  # before a certificate expires
OF_CERTIFICATE = ("names", "chain", "expiry", "certificate")
SPARE_S = 2.0  # for a port that nobody named


async def check_security(probe: Probe, report: Report) -> None:
    """What one place has shown of TLS, once it is known."""
    await probe.tls_known.wait()
    if probe.place.candidate.tls == "off":
        await report.skip("tls", f"handshake {probe.label}", "--tls off was given")
        return
    if probe.certificate is None:
        await _tell_no_handshake(probe, report)
        return
    await report.ok("tls", f"handshake {probe.label}", f"{probe.mode}, {probe.tls_version}")
    facts = CertificateFacts.read(probe.certificate)
    if facts is None:
        for check in OF_CERTIFICATE:
            await report.skip("tls", f"{check} {probe.label}", "the certificate cannot be read")
        if probe.group == "tls" and probe.error is not None:
            await _fail(probe, report, "chain", probe.error)
        return
    await _check_names(probe, facts, report)
    await _check_chain(probe, facts, report)
    await _check_expiry(probe, facts, report)
    await check_certificate(probe, facts, report)


async def _tell_no_handshake(probe: Probe, report: Report) -> None:
    checks = list(CHECKS["tls"])
    if probe.group == "tls" and probe.error is not None:
        await _fail(probe, report, checks.pop(0), probe.error)
    for check in checks:
        await report.skip("tls", f"{check} {probe.label}", because(probe.failed))


async def _fail(probe: Probe, report: Report, check: str, error: XmppshError, value: float | None = None) -> None:
    probe.failed = f"{check} {probe.label}"
    await report.fail("tls", probe.failed, error, value=value)


# ── The certificate ─────────────────────────────────────────────────────────────────────────────────────────────────


def _fault(probe: Probe) -> str | None:
    """The first thing that is wrong with the certificate: `names`, `dates` or `chain`; None when it was accepted."""
    if isinstance(probe.error, CertificateRefused):
        return probe.error.fault
    return "chain" if probe.group == "tls" and probe.error is not None else None  # not the pinned one


async def _check_names(probe: Probe, facts: CertificateFacts, report: Report) -> None:
    check, names = f"names {probe.label}", brief(facts.names) or "no name at all"
    domain, policy = probe.case.options.jid.dial_name, probe.case.options.policy
    fault = _fault(probe)
    if fault == "names" and probe.error is not None:
        await _fail(probe, report, "names", probe.error)
    elif (fault is None and not policy.pins and not policy.insecure) or fits(domain, facts.names):
        await report.ok("tls", check, f"for {names}")
    else:
        # It is not what made the connection fail, or the user has said that it does not matter.
        await report.warn("tls", check, f"certificate is for {names}, not {u_labels(domain)}")


async def _check_chain(probe: Probe, facts: CertificateFacts, report: Report) -> None:
    check, policy, fault = f"chain {probe.label}", probe.case.options.policy, _fault(probe)
    if fault == "chain" and probe.error is not None:
        await _fail(probe, report, "chain", probe.error)
    elif fault is not None:
        await report.skip("tls", check, because(f"{'expiry' if fault == 'dates' else fault} {probe.label}"))
    elif policy.insecure:
        await report.warn("tls", check, "not checked (--insecure)", "leave out --insecure")
    elif policy.pins:
        await report.ok("tls", check, f"pinned: sha256:{facts.sha256}")
    else:
        await report.ok("tls", check, "leads to an authority that is trusted here")


async def _check_expiry(probe: Probe, facts: CertificateFacts, report: Report) -> None:
    check, days = f"expiry {probe.label}", _days_left(facts, probe)
    left = f"valid until {facts.not_after}, {days} day{'' if days == 1 else 's'} left"
    if _fault(probe) == "dates" and probe.error is not None:
        await _fail(probe, report, "expiry", probe.error, days)
    elif days < 0:
        await report.warn("tls", check, f"expired on {facts.not_after}", "renew it", value=days)
    elif days < WARN_DAYS:
        await report.warn("tls", check, left, "renew it", value=days)
    else:
        await report.ok("tls", check, left, value=days)


def _days_left(facts: CertificateFacts, probe: Probe) -> int:
    return (date.fromisoformat(facts.not_after) - probe.case.now().astimezone(UTC).date()).days


def fits(domain: str, names: tuple[str, ...]) -> bool:
    """Is one of the names the domain's (RFC 6125 §6.4)? For the report alone: OpenSSL decides what is trusted."""
    return any(_fits(domain.lower(), name) for name in names)


def _fits(domain: str, name: str) -> bool:
    wanted = domain.partition(".")[2] if name.startswith("*.") else domain  # a wildcard stands for one label
    try:
        return a_labels(name.removeprefix("*.")).lower() == wanted
    except ValueError:
        return False


# ── Beside the plan ─────────────────────────────────────────────────────────────────────────────────────────────────


async def check_same(probe: Probe, first: Probe, report: Report) -> None:
    """Another address of a place that was looked at: does it show the same certificate?"""
    await probe.tls_known.wait()
    check = f"handshake {probe.label}"
    if probe.error is not None:
        await report.fail("tls", check, probe.error)
    elif probe.certificate == first.certificate:
        await report.ok("tls", check, f"{probe.mode}, {probe.tls_version}, the same certificate")
    else:
        await report.ok("tls", check, f"{probe.mode}, {probe.tls_version}, another certificate, which is good too")


async def check_spare(case: Case, plan: Plan, places: list[Attempt], report: Report) -> None:
    """The mode that the plan has not: looked at where its default port answers, and never a fault of the domain."""
    modes = {candidate.tls for candidate in plan.candidates}
    if "off" in modes or len(modes) > 1:
        return
    missing: Literal["direct", "starttls"] = "starttls" if modes == {"direct"} else "direct"
    check, source = f"handshake, {MODES[missing]}", plan.steps[0].candidate.source
    if case.options.tls != "auto":
        await report.skip("tls", check, f"--tls {case.options.tls} was given")
        return
    if plan.given == "host":
        await report.skip("tls", check, f"{source} says where to connect, and nothing else is tried")
        return
    port = CLIENTS.port if missing == "starttls" else CLIENTS.direct_ports[0]
    candidate = replace(places[0].candidate, port=port, tls=missing, source="the default port")
    probe = Probe(case, replace(places[0], candidate=candidate), handshake_only=True)
    await probe.run(SPARE_S)
    if probe.is_secured:
        await check_security(probe, report)
    elif missing == "direct" and plan.given == "srv":
        detail = f"no record announces it (XEP-0368), and its default port is of no use: {probe.error}"
        await report.warn("tls", check, detail, f"open one, and name it by _xmpps-client._tcp.{plan.tls_name}")
    else:
        await report.skip("tls", check, f"nothing announces it, and its default port is of no use: {probe.error}")
