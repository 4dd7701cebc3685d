"""The examination: every group in order; what comes after a failure is skipped and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.doctor.check_certificate import check_protocols
from xmppsh.doctor.check_dane import check_tlsa
from xmppsh.doctor.check_dns import check_names
from xmppsh.doctor.check_hostmeta import PATHS, check_host_meta
from xmppsh.doctor.check_login import REDIRECTED, check_stream_management, visiting
from xmppsh.doctor.check_services import check_services
from xmppsh.doctor.check_stream import check_sasl, check_stream
from xmppsh.doctor.check_tcp import MODES, check_connections
from xmppsh.doctor.check_tls import check_same, check_security, check_spare
from xmppsh.doctor.dnssec import Dnssec
from xmppsh.doctor.probe import Probe
from xmppsh.doctor.report import CHECKS, because
from xmppsh.resolve.options import CLIENTS, SERVERS
from xmppsh.tasks import running

if TYPE_CHECKING:
    from xmppsh.doctor.case import Case
    from xmppsh.doctor.report import Group, Report
    from xmppsh.net.attempts import Attempt
    from xmppsh.resolve.plan import Plan

FOR_ALL: tuple[Group, ...] = ("tls", "stream")
FOR_CLIENTS: tuple[Group, ...] = ("sasl", "bind", "session")
DRY = "--dry-run opens no connection"
NOT_BEHIND_A_LOGIN = tuple(PATHS)


async def examine(case: Case, report: Report) -> None:
    """Make every check; raises only what the command line or a file is at fault for."""
    behind = FOR_ALL if case.side is SERVERS else (*FOR_ALL, *FOR_CLIENTS)
    dnssec = Dnssec(case)
    plan = await check_names(case, dnssec, report)
    if plan is None or not case.dials:
        await report.skip_groups(("tcp", *behind), DRY if plan is not None else report.because)
        return
    places = await check_connections(case, plan, report)
    if not places:
        await report.skip_groups(behind, report.because)
        return
    usable = await _look(case, plan, places, dnssec, report)
    if case.side is SERVERS:
        return
    reason = report.because if usable is None else case.no_login
    if reason or usable is None:
        await report.skip("sasl", "login", reason)
        await report.skip_groups(("bind",), reason)
        await _skip_services(report, reason)
    else:
        await _visit(case, usable, report)
    await check_host_meta(case, report)


async def _look(case: Case, plan: Plan, places: list[Attempt], dnssec: Dnssec, report: Report) -> Attempt | None:
    """TLS, stream and SASL at every place: whole at its first address, at others as far as TLS.

    Gives the first place where one could log in.
    """
    firsts: dict[tuple[str, int, str], Probe] = {}
    others: list[tuple[Probe, Probe]] = []
    labels: set[str] = set()
    for place in places:
        candidate = place.candidate
        key = (candidate.host, candidate.port, candidate.tls)
        # Where one port serves both modes, the second one is called by its mode too.
        label = f"{place}, {MODES[candidate.tls]}" if str(place) in labels else str(place)
        labels.add(label)
        if key not in firsts:
            firsts[key] = Probe(case, place, label=label)
        elif candidate.tls != "off":
            others.append((Probe(case, place, handshake_only=True, label=label), firsts[key]))
    probes = [*firsts.values(), *(probe for probe, _ in others)]
    async with running(*(probe.run() for probe in probes)) as tasks:
        for probe in firsts.values():
            await check_security(probe, report)
            await check_protocols(probe, report)
            await check_tlsa(probe, plan, dnssec, report)
        for probe, first in others:
            await check_same(probe, first, report)
        if case.side is CLIENTS:
            await check_spare(case, plan, places, report)
        good = []
        for probe, task in zip(firsts.values(), tasks, strict=False):
            await task
            good.append(await check_stream(probe, report))
        for index, probe in enumerate(firsts.values() if case.side is CLIENTS else ()):
            good[index] &= await check_sasl(probe, report)
    return next((probe.place for probe, is_good in zip(firsts.values(), good, strict=True) if is_good), None)


async def _visit(case: Case, place: Attempt, report: Report) -> None:
    async with visiting(case, place, report) as visit:
        if visit is None:
            await _skip_services(report, REDIRECTED if report.failed is None else report.because)
            return
        await check_services(case, visit, report)
    await check_stream_management(case, place, visit, report)


async def _skip_services(report: Report, reason: str) -> None:
    done = report.failed.check if report.failed is not None and report.failed.group == "session" else ""
    for check in CHECKS["session"]:
        if check not in (done, *NOT_BEHIND_A_LOGIN):
            await report.skip("session", check, because(done) if done else reason)
