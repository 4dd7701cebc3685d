"""A program that was stopped on its way to a session: the server was not silent meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from hostile.misbehaviour import Spec
from hostile.scenario import _environment
from hostile.server import Connection, Server

if TYPE_CHECKING:
    from pathlib import Path

    from hostile.certificates import Certificates

CONNECT_S, STOPPED_S = 4.0, 7.0


def test_the_time_in_which_it_was_stopped_is_not_the_servers_silence(
    certificates: Certificates, tmp_path: Path
) -> None:
    running: list[subprocess.Popen[bytes]] = []
    began = threading.Event()

    def stops(_connection: Connection, good: str) -> str:
        began.wait(CONNECT_S)
        running[0].send_signal(signal.SIGSTOP)
        threading.Timer(STOPPED_S, running[0].send_signal, (signal.SIGCONT,)).start()
        return good  # it lies unread until then

    with Server(Spec({"auth": stops}), certificates.contexts) as server:
        place = {"XMPPSH_CA": str(certificates.ca), "XMPPSH_HOST": f"127.0.0.1:{server.port}"}
        env = _environment(tmp_path, place)
        words = [sys.executable, "-m", "xmppsh", "ping", "--connect-timeout", str(CONNECT_S)]
        running.append(
            subprocess.Popen(words, env=env, cwd=env["HOME"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        )
        began.set()
        _, said = running[0].communicate(timeout=60)
    assert (running[0].returncode, said) == (0, b"")
