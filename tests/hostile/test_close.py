"""How long the end of a session waits for the server's: for one that writes longer than for one that is silent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from hostile.misbehaviour import SILENCE, Spec
from hostile.server import DOMAIN, FOOTER, PASSWORD, SM, USER, Connection, Server
from xmppsh.connection.driver import CLOSE_BEHIND_S, CLOSE_WAIT_S
from xmppsh.connection.options import SessionOptions
from xmppsh.model import Credentials, Jid
from xmppsh.net.tls import TlsPolicy
from xmppsh.outbox.journal import Journal
from xmppsh.outbox.owner import Owner
from xmppsh.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hostile.certificates import Certificates
    from hostile.misbehaviour import Reply

PACE_S = 0.25


def behind(for_s: float) -> Callable[[Connection, str], Reply]:
    """What a server does that has still to write what came before our footer, for so long."""

    def write(connection: Connection, _good: str) -> Reply:
        for _ in range(int(for_s / PACE_S)):
            connection.send(b"<message from='romeo@example.net'><body>late</body></message>")
            time.sleep(PACE_S)
        return FOOTER

    return write


@pytest.mark.parametrize(
    ("footer", "is_closed"),
    [
        pytest.param(FOOTER, True, id="at once"),
        pytest.param(behind(CLOSE_WAIT_S + 1), True, id="behind"),
        pytest.param(behind(10 * CLOSE_BEHIND_S), False, id="behind for ever"),
        pytest.param(SILENCE, False, id="silent"),
    ],
)
async def test_a_server_that_still_writes_is_waited_for(
    certificates: Certificates, tmp_path: Path, footer: Reply, is_closed: bool
) -> None:
    steps = {"enable": f"<enabled xmlns='{SM}' id='theirs' resume='true'/>", "close": footer}
    with Server(Spec(steps), certificates.contexts) as server:
        options = SessionOptions(
            Jid.parse(f"{USER}@{DOMAIN}"),
            Credentials(PASSWORD),
            hosts=(("127.0.0.1", server.port),),
            policy=TlsPolicy(certificates.ca),
            resumable_s=60,
        )
        journal = Journal(tmp_path / "outbox.sqlite", Owner(tmp_path / "locks"), str(options.jid))
        session = Session(options, lambda *_: None, journal=journal)
        await session.open()
        await session.close()
        assert session.is_closed_at_server == is_closed
