"""Three machines of a test's own: a cable that is pulled is silent, and one that is plugged in again works."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from support.namespaces import ADDRESSES, Machine, Network

LISTEN = """
import socket, sys
listener = socket.create_server((sys.argv[1], 5222))
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"x")
    connection.close()
"""
CONNECT = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 5222), timeout=float(sys.argv[2]))
sys.exit(connection.recv(1) != b"x")
"""
SOON_S, SILENT_S = 10.0, 0.5


@pytest.fixture
def network() -> Iterator[Network]:
    if missing := Network.missing():
        pytest.skip(missing)
    with Network() as made:
        listening = subprocess.Popen(
            made.command("server", sys.executable, "-c", LISTEN, ADDRESSES["server"]), stdout=subprocess.PIPE
        )
        assert listening.stdout is not None
        assert listening.stdout.readline() == b"ready\n"
        yield made
        listening.kill()
        listening.communicate()


def reaches(network: Network, machine: Machine, within_s: float = SOON_S) -> bool:
    command = network.command(machine, sys.executable, "-I", "-S", "-c", CONNECT, ADDRESSES["server"], str(within_s))
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def comes_to_reach(network: Network, machine: Machine) -> bool:
    deadline = time.monotonic() + SOON_S
    while time.monotonic() < deadline:
        if reaches(network, machine):
            return True
    return False


@pytest.mark.parametrize(("end", "begin"), [("pull", "plug"), ("lose", "restore")])
def test_one_machine_is_cut_off_and_comes_back_while_the_others_see_nothing(
    network: Network, end: str, begin: str
) -> None:
    assert reaches(network, "client")
    getattr(network, end)()
    assert not reaches(network, "client", SILENT_S)
    assert reaches(network, "witness")
    getattr(network, begin)()
    assert comes_to_reach(network, "client")


def test_nothing_is_left_of_it(network: Network) -> None:
    network.close()
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert network.name not in left
