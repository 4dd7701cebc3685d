"""`doctor`: one report on a server, from the DNS to stream management."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from xmppsh.apart import apart
from xmppsh.commands.base import command
from xmppsh.commands.params import JID
from xmppsh.config.secrets import find_password
from xmppsh.errors import SaslError
from xmppsh.model import Credentials
from xmppsh.output import safe

if TYPE_CHECKING:
    from xmppsh.commands.app import App
    from xmppsh.doctor.case import Case
    from xmppsh.doctor.report import Check
    from xmppsh.model import Jid

GROUP_WIDTH, STATUS_WIDTH, CHECK_WIDTH = 7, 4, 31
NO_PASSWORD = "no password is given"


@command("doctor")
@click.argument("account", metavar="[JID or DOMAIN]", type=JID, required=False)
async def doctor(app: App, account: Jid | None) -> None:
    """Examine the server of JID or DOMAIN, or of your own account: dns, tcp, tls, stream, sasl, bind, session.

    Each check is ok, warn, fail or skip. The exit code is 0 when none failed, otherwise the one of the first that did.

    No password is needed as far as the list of SASL mechanisms, and none is asked for: the login and what stands behind
    it are examined where there is an account whose password is found without a prompt (--password-file,
    --password-command, --password-fd, XMPPSH_PASSWORD, the config file, keyring, netrc). The resource is
    random, no presence is sent. With --dry-run names are looked up and nothing is dialled.

    For another account than your own its secrets are not used, unless they are given as options; for another domain,
    what the config file says of your own server (host, tls, ca, pin, …) is not used either.

    \b
    Example:  xmppsh doctor example.org
              xmppsh --password-file secret doctor romeo@example.org
    """
    from xmppsh.doctor.examine import examine
    from xmppsh.doctor.report import Report

    async def emit(check: Check) -> None:
        await app.emit(check.record(), _shown(check))

    report = Report(emit)
    await examine(await _case(app, account), report)
    if report.failure is not None:
        raise report.failure


def _shown(check: Check) -> str:
    """One aligned line, safe for a terminal."""
    hint = f"; try: {check.hint}" if check.hint else ""
    columns = f"{check.group:{GROUP_WIDTH}}  {check.status:{STATUS_WIDTH}}  {safe.line(check.check):{CHECK_WIDTH}}"
    return f"{columns}  {safe.line(check.detail + hint)}"


async def _case(app: App, account: Jid | None) -> Case:
    from xmppsh.doctor.case import Case

    jid = (account or app.settings.jid or (app.jid if app.shared is None else app.shared.jid)).bare
    app = app.for_account(jid)
    credentials, no_login = await _login(app, jid)
    options = app.options_for(jid, credentials)
    if options.policy.insecure:
        app.warn("certificates are not checked (--insecure): anybody can read and change what is sent")
    options = replace(options, resumable_s=app.resumable_s)
    return Case(options, app.log, app.trace, app.now, no_login, dials=not app.settings.dry_run)


async def _login(app: App, jid: Jid) -> tuple[Credentials, str]:
    """What to log in with as `jid`; else nothing, and why there is no login."""
    settings = app.settings
    nothing = Credentials(mechanism=settings.mechanism)
    if app.shared is not None and app.shared.jid.bare == jid:
        return app.shared.options.credentials, ""
    if settings.anonymous or (settings.cert is not None and jid.localpart is not None):
        return Credentials(None, settings.cert is not None, settings.anonymous, settings.mechanism), ""
    if jid.localpart is None:
        return nothing, f"{jid} is a domain, not an account"
    if settings.dry_run:
        return nothing, "--dry-run opens no connection"
    try:
        password = await apart(lambda: find_password(settings, jid, app.env, may_prompt=False))
    except SaslError:
        return nothing, NO_PASSWORD
    return Credentials(password, mechanism=settings.mechanism), ""
