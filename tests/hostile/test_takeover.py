"""A session that somebody else left, and a server that refuses to resume it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hostile.misbehaviour import Spec, stanza_error
from hostile.server import DOMAIN, PASSWORD, SM, USER, Server
from xmppsh.connection.options import SessionOptions
from xmppsh.connection.takeover import End, TakenOver, take_over
from xmppsh.errors import StanzaError
from xmppsh.model import Credentials, Jid
from xmppsh.net.tls import TlsPolicy
from xmppsh.outbox.journal import Journal
from xmppsh.outbox.owner import Owner
from xmppsh.protocol.sm import ResumableSession, Resumption
from xmppsh.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from hostile.certificates import Certificates

LEFT = Jid.parse(f"{USER}@{DOMAIN}/left")
LEFT_BEHIND = ResumableSession(Resumption("theirs", max_s=600), 0)


def options_for(server: Server, certificates: Certificates) -> SessionOptions:
    return SessionOptions(
        Jid.parse(f"{USER}@{DOMAIN}"),
        Credentials(PASSWORD),
        hosts=(("127.0.0.1", server.port),),
        policy=TlsPolicy(certificates.ca),
    )


async def taken_over(condition: str, certificates: Certificates, text: str = "") -> tuple[TakenOver, list[bytes]]:
    """What became of the session, and what each stream had bound, when `<resume/>` is refused with this condition."""
    stanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"
    refusal = f"<failed xmlns='{SM}'><{condition} xmlns='{stanzas}'/><text xmlns='{stanzas}'>{text}</text></failed>"
    with Server(Spec({"resume": refusal}), certificates.contexts) as server:
        options = options_for(server, certificates)
        taken = await take_over(options, lambda *_: None, LEFT, LEFT_BEHIND.management())
        bound = [bytes(connection.encrypted).partition(b"<resource>")[2] for connection in server.connections]
    return taken, [resource.partition(b"<")[0] for resource in bound]


@pytest.mark.parametrize("condition", ["resource-constraint", "undefined-condition", "internal-server-error"])
async def test_a_session_that_is_there_and_cannot_be_resumed_is_replaced(
    condition: str, certificates: Certificates
) -> None:
    taken, bound = await taken_over(condition, certificates)
    assert taken == TakenOver(End.REPLACED)
    assert bound[-1] == b"left"


async def test_the_address_of_a_session_that_is_gone_is_left_to_whoever_has_it_by_now(
    certificates: Certificates,
) -> None:
    taken, bound = await taken_over("item-not-found", certificates, "Previous session not found")
    assert taken == TakenOver(End.GONE)
    assert len(bound) == 1
    assert bound[0] != b"left"


async def test_a_session_whose_former_stream_the_server_did_not_wait_for_is_not_proved_to_be_over(
    certificates: Certificates,
) -> None:
    taken, _ = await taken_over("item-not-found", certificates, "Session state copying timed out")
    assert taken == TakenOver(End.GONE, is_proof=False)


async def test_a_session_whose_resource_the_server_does_not_take_leaves_nothing_to_close(
    certificates: Certificates, tmp_path: Path
) -> None:
    refused = f"<iq type='error' id='{{id}}'>{stanza_error('bad-request', 'modify')}</iq>"
    with Server(Spec({"bind": refused}), certificates.contexts) as server:
        options = replace(options_for(server, certificates), jid=LEFT, resumable_s=60)
        journal = Journal(tmp_path / "outbox.sqlite", Owner(tmp_path / "locks"), str(LEFT.bare))
        session = Session(options, lambda *_: None, journal=journal)
        with pytest.raises(StanzaError, match="bad-request"):
            await session.open()
        await session.close()
        assert session.is_closed_at_server
        assert await take_over(options, lambda *_: None, LEFT, None) == TakenOver(End.GONE)
