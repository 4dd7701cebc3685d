"""`doctor`: one report on a server, from the DNS to stream management."""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from xmppsh.app.account import NO_CHECKS
from xmppsh.app.produced import produced
from xmppsh.config.schema import MONITORS
from xmppsh.config.secrets import find_password
from xmppsh.errors import SaslError
from xmppsh.model import Credentials, Jid, u_labels
from xmppsh.registry.base import command
from xmppsh.registry.params import JID
from xmppsh.tasks import apart
from xmppsh.undumpable import keep_memory_private

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from xmppsh.app.account import Account
    from xmppsh.app.app import App
    from xmppsh.app.console import Console
    from xmppsh.doctor.case import Case
    from xmppsh.doctor.report import Check
    from xmppsh.doctor.shown import Shown
    from xmppsh.output.record import Record

NO_PASSWORD = "no password is given"


@command("doctor")
@click.option("--s2s", is_flag=True, help="As other servers see it: names, TLS, certificate, stream.")
@click.argument("account", metavar="[JID or DOMAIN]", type=JID, required=False)
async def doctor(app: App, account: Jid | None, s2s: bool) -> AsyncIterator[Record]:
    """Diagnose the server of JID or DOMAIN, or of your own account: dns, tcp, tls, stream, sasl, bind, session.

    Each check is ok, warn, fail or skip. The exit code is 0 if none failed, otherwise that of the first that did. Text
    has one row per layer, each fault once, and a summary; -v and --format json have every check.

    --format nagios prints and exits as a plugin does (0 all well, 1 a warning, 2 a failure), and --format openmetrics
    prints metrics for Prometheus.

    No password is needed up to the list of SASL mechanisms, and there is no prompt for one: the login and what follows
    it are checked if there is an account whose password is found without a prompt (--password-file, --password-command,
    --password-fd, XMPPSH_PASSWORD, the config file, keyring, netrc). The resource is random; no presence is sent. With
    --dry-run, names are looked up but no connection is made.

    For an account other than your own, your secrets are not used unless given as options; for another domain, what the
    config file says about your own server (host, tls, ca, pin, …) is not used either, nor is XMPPSH_HOST.

    --s2s checks what other servers find: their SRV records, else port 5269, and what answers there, up to the stream
    features. Nothing is sent and nobody logs in.

    \b
    Example:  xmppsh doctor example.org
              xmppsh doctor example.org --format nagios
              xmppsh doctor --s2s example.org
              xmppsh --password-file secret doctor romeo@example.org
    """
    from xmppsh.doctor.examine import examine
    from xmppsh.doctor.report import Report

    case = await (_case_of_servers(app, account) if s2s else _case(app, account))
    reports, began = list[Report](), time.monotonic()
    shown = _shown(app, case)

    async def work(emit: Callable[[Check], Awaitable[None]]) -> None:
        reports.append(Report(emit))
        await examine(case, reports[0])

    async with aclosing(produced(work)) as checks:
        async for check in checks:
            for record in shown.add(check):
                yield record
    failure = reports[0].failure
    for record in shown.end(time.monotonic() - began, 0 if failure is None else failure.exit_code):
        yield record
    app.code = shown.code
    if failure is not None and shown.code is None:
        # Rows on a terminal have told it already, right above.
        failure.reported = app.console.stdout.is_terminal and not app.printer.is_for_programs
        raise failure


def _shown(app: App, case: Case) -> Shown:
    from xmppsh.doctor.shown import EachCheck, ForMonitor, InRows
    from xmppsh.resolve.options import SERVERS

    jid = case.options.jid
    printer, whom = app.printer, u_labels(jid.domainpart)
    if case.side is SERVERS:
        whom += ", as other servers see it"
    if printer.format in MONITORS:
        return ForMonitor(printer.format, whom)
    if printer.is_for_programs or app.console.verbosity > 0:
        return EachCheck(with_summary=not printer.is_for_programs)
    return InRows(whom if jid.localpart is None else f"{whom} as {jid}", app.console.stdout.columns)


async def _case(app: App, account: Jid | None) -> Case:
    from xmppsh.doctor.case import Case

    jid = (account or app.settings.jid or app.account.jid).bare
    own = app.account.another(jid)
    credentials, no_login = await _login(own, app.console, jid)
    options = own.options_for(jid, credentials)
    if options.policy.insecure:
        app.console.warn(NO_CHECKS)
    options = replace(options, resumable_s=own.resumable_s)
    host_by, dials = own.settings.source("host"), not app.settings.dry_run
    return Case(options, app.console.log, app.account.trace, app.console.now, no_login, dials=dials, host_by=host_by)


async def _case_of_servers(app: App, account: Jid | None) -> Case:
    from xmppsh.doctor.case import Case
    from xmppsh.net.tls import ALPN_OF_SERVERS
    from xmppsh.resolve.options import SERVERS

    jid = Jid(None, (account or app.settings.jid or app.account.jid).domainpart)
    options = app.account.another(jid).for_servers().options_for(jid, Credentials())
    options = replace(options, policy=replace(options.policy, alpn=ALPN_OF_SERVERS))
    if options.policy.insecure:
        app.console.warn(NO_CHECKS)
    dials = not app.settings.dry_run
    return Case(options, app.console.log, app.account.trace, app.console.now, dials=dials, side=SERVERS)


async def _login(own: Account, console: Console, jid: Jid) -> tuple[Credentials, str]:
    """What to log in with as `jid`; else nothing, and why there is no login."""
    keep_memory_private()
    settings = own.settings
    nothing = Credentials(mechanism=settings.mechanism)
    if own.session is not None and own.session.jid.bare == jid:
        return own.session.options.credentials, ""
    if settings.anonymous or (settings.cert is not None and jid.localpart is not None):
        return Credentials(None, settings.cert is not None, settings.anonymous, settings.mechanism), ""
    if jid.localpart is None:
        return nothing, f"{jid} is a domain, not an account"
    if settings.dry_run:
        return nothing, "--dry-run opens no connection"
    try:
        found = await apart(lambda: find_password(settings, jid, console.env, may_prompt=False))
    except SaslError:
        return nothing, NO_PASSWORD
    return Credentials(found.text, mechanism=settings.mechanism, source=found.source), ""
