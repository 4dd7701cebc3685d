"""`explain`: where a connection would go, in which order and why. Names are looked up; nothing is dialled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from xmppsh.app.candidates import Candidate, candidates, plan_of
from xmppsh.registry.base import command
from xmppsh.registry.params import JID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.app.app import App
    from xmppsh.model import Jid


@command("explain")
@click.argument("account", metavar="[JID]", type=JID, required=False)
async def explain(app: App, account: Jid | None) -> AsyncIterator[Candidate]:
    """Show every server that would be tried for JID, or for your own account: connects to nothing, needs no password.

    It shows the order, where each one comes from, the name that its certificate must have, its addresses in the order
    in which they are tried, and the source of those. With -vv, also the queries. For a domain other than your own, what
    the config file says about your server (host, tls) is not used, nor is XMPPSH_HOST.

    Example:  xmppsh explain romeo@example.net
    """
    plan = await plan_of(app.account, app.console, account)
    for candidate in candidates(app.account, plan):
        yield candidate
    if plan.error is not None:
        raise plan.error
