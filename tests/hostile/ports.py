"""Ports of 127.0.0.1 that no scenario of this run has had.

What a scenario has left, as the guard of a program that was killed, asks at its old port for minutes, and must not be
taken for the client of another scenario.
"""

import itertools
import os
import random
import socket

PORTS, OF_A_WORKER = range(10_000, 20_000), 2_500  # below those that the system gives
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_taken = itertools.count(_worker * OF_A_WORKER + random.randrange(OF_A_WORKER // 10))


def bound_to_a_fresh_port() -> socket.socket:
    """A socket on the next one that is free."""
    while True:
        sock = socket.socket()
        try:
            sock.bind(("127.0.0.1", PORTS[next(_taken) % len(PORTS)]))
        except OSError:
            sock.close()
        else:
            return sock
