"""The connection of a one-shot command that waits by itself."""

import _socket
import socket
import time

import pytest
from support.reset import reset

from xmppsh.express.link import Link
from xmppsh.express.waits import Waits


def test_what_a_peer_said_before_it_reset_the_connection_is_read_although_a_write_fails_first() -> None:
    deadline = time.monotonic() + 5
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        ours.connect(listener.getsockname())
        ours.setblocking(False)
        theirs, _ = listener.accept()
        waits = Waits()
        link = Link(ours, b"", waits)
        theirs.sendall(b"<conflict/>")
        reset(theirs)
        link.write(b"<presence/>")
        assert link.receive(deadline) == b"<conflict/>"
        with pytest.raises(ConnectionResetError):
            link.receive(deadline)
        link.close()
        waits.close()
