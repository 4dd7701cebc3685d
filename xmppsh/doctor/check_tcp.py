"""Group tcp: does each address of each place take a connection, and how fast."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from xmppsh.errors import ConnectError, ProtocolError
from xmppsh.model import place as shown
from xmppsh.model import split_host_port
from xmppsh.net.attempts import Attempt, no_answer
from xmppsh.net.dial import interleaved
from xmppsh.resolve.plan import dial_plan
from xmppsh.tasks import running

if TYPE_CHECKING:
    from collections.abc import Collection

    from xmppsh.doctor.case import Case
    from xmppsh.doctor.report import Report
    from xmppsh.errors import XmppshError
    from xmppsh.resolve.plan import Plan

MODES = {"direct": "direct TLS", "starttls": "STARTTLS", "off": "no TLS"}
DEAD = "let the server listen there, or take the address out of the DNS: who tries it first waits"
MAX_PLACES = 100  # that are looked at; a stranger's zone decides how many there are
Outcome = float | ConnectError | None  # seconds that it took; what is wrong with the proxy; nothing stands


def places_of(plan: Plan) -> list[Attempt]:
    """Every address of every place in both modes, in the order in which they are dialled; a proxy dials names."""
    found: dict[tuple[str, str], Attempt] = {}
    for candidate in plan.candidates:
        for address in interleaved(candidate.addresses) or [""]:
            place = Attempt(replace(candidate, addresses=(address,) if address else ()), address)
            found.setdefault((str(place), candidate.tls), place)
    return list(found.values())


async def check_connections(case: Case, plan: Plan, report: Report) -> list[Attempt]:
    """The addresses that take a connection, in the plan's order.

    One that does not is a warning as long as another one does: this machine may have no IPv6.
    """
    every, deadline = places_of(plan), case.deadline()
    places = every[:MAX_PLACES]
    if len(every) > len(places):
        await report.skip("tcp", "connection", f"{len(every) - len(places)} more addresses are not looked at")
    ports: dict[str, Attempt] = {}
    for place in places:
        ports.setdefault(str(place), place)  # one may serve both modes
    async with running(*(_touch(case, place, deadline) for place in ports.values())) as tasks:
        for (check, place), task in zip(ports.items(), tasks, strict=True):
            took_s = await task
            if isinstance(took_s, float):
                await report.ok("tcp", check, f"{took_s * 1000:.1f} ms ({_way(case, place)})", value=took_s)
                continue
            detail = f"{place.outcome} ({_way(case, place)})"
            if await _any_stands(tasks):
                await report.warn("tcp", check, detail, None if case.options.hosts else DEAD)
                continue
            error = took_s or no_answer(plan.domain, list(ports.values()), _hint(case), case.options.proxy)
            await report.fail("tcp", check, error, detail)
        standing = {check for check, task in zip(ports, tasks, strict=True) if isinstance(task.result(), float)}
    return [place for place in places if str(place) in standing]


async def _touch(case: Case, place: Attempt, deadline: float) -> Outcome:
    try:
        connected = await case.dial(place, deadline)
    except ConnectError as error:
        place.outcome = str(error)
        return error
    if connected is None:
        return None
    connected.sock.close()
    return connected.took_s


async def _any_stands(tasks: Collection[asyncio.Task[Outcome]]) -> bool:
    """Wait for the first connection that stands, or for the end of all attempts."""
    waiting = set(tasks)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if any(isinstance(task.result(), float) for task in done):
            return True
    return False


def _way(case: Case, place: Attempt) -> str:
    candidate = place.candidate
    words = [MODES[candidate.tls]]
    if place.address and candidate.host != place.address:
        words.insert(0, shown(candidate.host, candidate.port))
    if case.options.proxy is not None:
        words.append(f"by {case.options.proxy}")
    return ", ".join(words)


def _hint(case: Case) -> str:
    if case.options.hosts:
        return f"check {case.host_by}, and that the server listens there"
    return "check that the server runs and no firewall is in the way; --host HOST:PORT connects elsewhere"


# ── Where the server redirects to ───────────────────────────────────────────────────────────────────────────────────


async def dead_end(case: Case, target: str) -> XmppshError | None:
    """What keeps every command from following the redirect; None when something takes a connection there."""
    options, deadline = case.options, case.deadline()
    try:
        there = split_host_port(target)
    except ValueError as error:
        return ProtocolError(f"the server redirects to what is not an address: {error}", condition="see-other-host")
    begins, source = f"{options.jid.domainpart} redirects to {target}", "the server's redirect"
    try:
        plan = await dial_plan(
            options.jid, (there,), options.tls, options.connect_timeout_s, case.lookup, case.log, redirect=source
        )
    except ConnectError as error:
        error.args = (f"{begins}: {error}",)
        return error
    places = places_of(plan)
    async with running(*(_touch(case, place, deadline) for place in places)) as tasks:
        if await _any_stands(tasks):
            return None
        useless = [fault for task in tasks if isinstance(fault := task.result(), ConnectError)]  # the proxy
    hint = "tell the server's operator; --host HOST[:PORT] connects to a server of your choice"
    return useless[0] if useless else no_answer(begins, places, hint, options.proxy)
