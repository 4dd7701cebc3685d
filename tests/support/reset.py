"""A connection that its peer resets behind its last words."""

import fcntl
import socket
import struct
import termios
import time

DEADLINE_S = 10.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER 0: close() sends RST
ESTABLISHED, CLOSE_WAIT = 1, 8  # linux/include/net/tcp_states.h


def reset(sock: socket.socket) -> None:
    """Close by RST, which drops what the other side's kernel has not taken: so once that has everything.

    On a busy machine that is later than the end of a write, also within one machine.
    """
    deadline = time.monotonic() + DEADLINE_S
    while _stands(sock) and _unacknowledged(sock):
        assert time.monotonic() < deadline, "the other side takes nothing"
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    sock.close()


def _stands(sock: socket.socket) -> bool:
    """Is the other side there? Where it has reset the connection first, what it has not taken counts for ever."""
    (state,) = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return state in (ESTABLISHED, CLOSE_WAIT)


def _unacknowledged(sock: socket.socket) -> int:
    """Bytes (tcp(7), SIOCOUTQ)."""
    (count,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
    return int(count)
