"""The session that `doctor` asks the server to keep: it is over with the very write that asks for it."""

from protocol.playbook import FOOTER, JULIET, NS, PASSWORD, GoodServer, feed, step, written

from xmppsh.doctor.check_login import BriefStream
from xmppsh.model import Credentials
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Write
from xmppsh.protocol.negotiation import StreamConfig
from xmppsh.protocol.table import State


def test_a_session_that_may_outlive_us_ends_with_the_write_that_asks_for_it() -> None:
    config = StreamConfig(JULIET.bare, Credentials(PASSWORD), tls="starttls", resumable_s=60, bind_id="bind")
    stream, server = BriefStream(config), GoodServer()
    said = list(stream.open())
    while stream.state is not State.BOUND:
        assert b"<enable" not in written(said)
        said = step(stream, server)
    (asked,) = [one.data for one in said if isinstance(one, Write)]
    assert asked.startswith(b"<enable ")
    assert b'resume="true"' in asked
    assert asked.endswith(b"/></stream:stream>")
    answer = f"<enabled xmlns='{NS['sm']}' resume='true' id='x' max='60'/>"
    live, *end = feed(stream, answer + FOOTER)
    assert isinstance(live, ev.SessionEstablished)
    assert written(end) == b""
    assert stream.is_closed
