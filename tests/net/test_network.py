"""A machine without a network: each command says so at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TAKES_AWAY = ["unshare", "--mount", "--net"]
pytestmark = pytest.mark.skipif(
    subprocess.run([*TAKES_AWAY, "true"], capture_output=True, check=False).returncode != 0,
    reason="namespaces are for root, where there are any",
)
QUESTION = "  try: is this machine connected to a network? "


@pytest.mark.parametrize(
    "words",
    [
        "ping",
        "explain",
        "doctor",
        "doctor --s2s example.org",
        "doctor --host 192.0.2.1",
        "send --host 192.0.2.1 a@b.example x",
    ],
)
def test_without_a_network_it_is_asked_for(tmp_path: Path, words: str) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    command = f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec {sys.executable} -m xmppsh {words}"
    env = {"HOME": str(tmp_path), "XMPPSH_JID": "a@example.org", "XMPPSH_PASSWORD": "p", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [*TAKES_AWAY, "sh", "-c", command],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    sentence, hint = done.stderr.splitlines()
    assert done.returncode in (69, 75)
    assert sentence.endswith("network is unreachable)")
    assert hint.startswith(QUESTION)
