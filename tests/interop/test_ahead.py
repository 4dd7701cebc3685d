"""What goes ahead of real servers' answers, and that each message arrives once."""

from pathlib import Path

import pytest
from support.program import Program
from support.repeated import sent
from support.servers import Server

RUNS = 3  # the first learns, the second tries without a stanza, the third has all of it in one flight


@pytest.mark.either_server
async def test_the_third_session_takes_a_message_before_the_server_has_answered(server: Server, tmp_path: Path) -> None:
    traces = await sent(Program(tmp_path, server, server.account()), server, RUNS, "-vvv")
    # What is written in one packet is told before its answer, however fast that is; the message follows by itself.
    binds = [trace.index("xmpp-bind") < trace.rindex("< <stream:features") for trace in traces]
    opens = [trace.index("xmppsh: session") < trace.index("<jid>") for trace in traces]
    assert (binds, opens) == ([False, True, True], [False, False, True])
