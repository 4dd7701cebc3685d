"""`explain`: where a connection would go, in which order and why. Names are looked up; nothing is dialled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xmppsh.commands.base import command
from xmppsh.commands.params import JID
from xmppsh.model import is_address, place
from xmppsh.output import safe

if TYPE_CHECKING:
    from xmppsh.commands.app import App
    from xmppsh.model import Jid
    from xmppsh.resolve.plan import Plan, Step

TLS = {"direct": "direct TLS", "starttls": "STARTTLS", "off": "no TLS"}


@command("explain")
@click.argument("account", metavar="[JID]", type=JID, required=False)
async def explain(app: App, account: Jid | None) -> None:
    """Show every place that would be dialled for JID, or for your own account: dials nothing, needs no password.

    The order, where each place comes from, the name that its certificate must have, its addresses in the order in
    which they are dialled, and who knew them. With -vv also what was asked. For another domain than your own, what the
    config file says of your server (host, tls) is not used.

    Example:  xmppsh explain romeo@example.net
    """
    plan = await plan_of(app, account)
    for number, step in enumerate(plan.steps, 1):
        await app.emit(_record(app, plan, number, step), shown(app, plan, number, step))
    if plan.error is not None:
        raise plan.error


async def plan_of(app: App, account: Jid | None = None) -> Plan:
    """The whole plan of an account or a domain, ours by default; raises what dialling would fail with."""
    from xmppsh.resolve.plan import draw_plan

    account = account or app.settings.jid or app.jid
    settings = app.for_account(account).settings
    lookup, limit_s = app.lookup_options(), settings.connect_timeout
    return await draw_plan(account, settings.host, settings.tls, limit_s, lookup, app.log, patient=True)


def _proxy(app: App) -> str | None:
    return None if app.settings.proxy is None else str(app.settings.proxy)


def _source(app: App, step: Step) -> str:
    source = step.candidate.source
    return app.settings.source("host") if source == "--host" else source


def _known_by(step: Step) -> str:
    """Who knew the addresses; a proxy looks up names alone."""
    return "it is an address" if step.known_by and is_address(step.candidate.host) else step.known_by


def _addresses(step: Step) -> list[str]:
    from xmppsh.net.dial import interleaved

    return list(interleaved(step.candidate.addresses))


def _record(app: App, plan: Plan, number: int, step: Step) -> dict[str, Any]:
    candidate = step.candidate
    return {
        "kind": "candidate",
        "order": number,
        "host": candidate.host,
        "port": candidate.port,
        "tls": candidate.tls,
        "tls_name": None if candidate.tls == "off" else plan.tls_name,
        "source": _source(app, step),
        "why": step.why,
        "addresses": _addresses(step),
        "known_by": _known_by(step) or None,
        "trouble": None if step.trouble is None else str(step.trouble),
        "proxy": _proxy(app),
        "remembered": plan.remembered,
        "asked": list(plan.asked),
    }


def shown(app: App, plan: Plan, number: int, step: Step) -> str:
    """One place in three lines, safe for a terminal."""
    candidate, proxy = step.candidate, _proxy(app)
    tls = TLS[candidate.tls] if candidate.tls == "off" else f"{TLS[candidate.tls]}, certificate for {plan.domain}"
    remembered = ", remembered" if plan.remembered and candidate.source.startswith("SRV ") else ""
    if step.trouble is not None:
        where = f"is not dialled: it {step.trouble}"
    elif proxy is not None:
        where = f"by the proxy {proxy}" + ("" if is_address(candidate.host) else ", which looks the name up")
    else:
        addresses = ", ".join(f"[{address}]" if ":" in address else address for address in _addresses(step))
        where = f"at {addresses} ({step.known_by})"
    lines = [
        f"{number}. {place(candidate.host, candidate.port)}, {tls}",
        f"{_source(app, step)}{remembered}: {step.why}",
        where,
    ]
    return "\n   ".join(safe.line(line) for line in lines)
