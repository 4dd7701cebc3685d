"""What a server does not offer is told by its name, and not as a bare stanza error."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from xmppsh.errors import ExitCode, StanzaError, XmppshError
from xmppsh.protocol.conditions import UNKNOWN
from xmppsh.texts import to_run
from xmppsh.xep.disco import info

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xmppsh.model import Jid
    from xmppsh.session.session_port import SessionPort


class NotOffered(XmppshError):
    """Somebody who was asked does not know the protocol."""

    exit_code = ExitCode.PROTOCOL
    layer = "stanza"


async def require(session: SessionPort, to: Jid, feature: str, what: str) -> None:
    """Ask `to` by disco (XEP-0030) for a feature; raises NotOffered where it does not say that it has it."""
    _, features = await info(session, to)
    if feature not in features:
        raise NotOffered(f"{to} does not offer {what}", hint=to_run("disco", "info", to))


@contextmanager
def offered(what: str, by: str) -> Iterator[None]:
    """Run the requests of a protocol in here; raises NotOffered when `by` knows none of it."""
    try:
        yield
    except StanzaError as error:
        if error.condition == "subscription-required":  # ejabberd tells only who may see the presence
            error.hint = to_run("presence", "subscribe", by.partition("/")[0])
        if error.condition not in UNKNOWN or error.exit_code == ExitCode.NOUSER:
            raise
        raise NotOffered(f"{by} does not offer {what}", hint=to_run("disco", "info", by)) from error
