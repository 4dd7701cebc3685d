"""The thin client: hands a command line over to the agent of this user, and waits for its exit code.

It is imported before anything else of ours, and itself imports next to nothing. Whatever is not as it should be (no
socket, nobody who serves it, another version, another user, a command that is none for the agent) ends here without a
word, and the command goes the ordinary way. It can: until the client has said `GO`, the agent has begun nothing.

    agent → client   READY: what is sent to one that never reads it (it was stopped) would keep the streams open
    client → agent   the length of the request (4 bytes), the request, with the three standard streams beside it
    agent → client   TAKEN or NOT_MINE
    client → agent   GO, then the number of each signal that comes
    agent → client   the exit code: one byte
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # what `signal` wraps: that one costs as much as all of ours
import os
import sys
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_STREAM, SOL_SOCKET, socket

from xmppsh import __version__

READY, TAKEN, NOT_MINE, GO = b"r", b"t", b"n", b"\xff"  # no signal has the number 255
RUN, STATUS, STOP = b"run", b"status", b"stop"  # what a request wants, its first field
MAX_REQUEST_BYTES = 4 * 1024 * 1024  # twice what Linux lets a command line and its environment have
PATIENCE_S = 5.0  # for an agent that does not answer, before GO
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STREAMS = (0, 1, 2)
PEER_CREDENTIALS = 17  # SO_PEERCRED, on Linux; elsewhere the folder alone tells whose socket it is
ON_DESCRIPTORS = (b"/dev/fd/", b"/dev/std", b"/dev/tty", b"/proc/self/")  # names that mean another file over there
IN_A_HURRY = 2  # signals: the first asks for a clean end, the second for a quick one; one more ends the client itself
SIGNAL_BASE = 128


def runtime_folder(env: dict[str, str] | os._Environ[str]) -> str:
    """The folder of the agent's socket: systemd's, that of the login session, or one in /tmp."""
    given, login = env.get("RUNTIME_DIRECTORY", "").partition(":")[0], env.get("XDG_RUNTIME_DIR", "")
    if given.startswith("/"):
        return given
    return f"{login}/xmppsh" if login.startswith("/") else f"/tmp/xmppsh-{os.getuid()}"


def socket_path(env: dict[str, str] | os._Environ[str]) -> str:
    """Where the agent listens."""
    return runtime_folder(env) + "/agent.sock"


def is_private(folder: str) -> bool:
    """Is it a folder of ours that nobody else may enter? Raises OSError where there is none."""
    found = os.lstat(folder)
    return found.st_mode & 0o170077 == 0o040000 and found.st_uid == os.getuid()


def is_own_user(sock: socket) -> bool:
    """Does the process at the other end run as we do?"""
    if not sys.platform.startswith("linux"):
        return True
    credentials = sock.getsockopt(SOL_SOCKET, PEER_CREDENTIALS, 12)  # pid, uid, gid
    return int.from_bytes(credentials[4:8], sys.byteorder) == os.getuid()


def connected(env: dict[str, str] | os._Environ[str]) -> socket | None:
    """A connection to the agent; None where there is none that we may trust."""
    try:
        if not is_private(runtime_folder(env)):
            return None
        sock = socket(AF_UNIX, SOCK_STREAM)
        sock.settimeout(PATIENCE_S)
        sock.connect(socket_path(env))
        if is_own_user(sock):
            return sock
        sock.close()
    except OSError:
        pass
    return None


def request(*fields: bytes) -> bytes:
    """A request with its length in front."""
    text = b"\0".join(fields)
    return len(text).to_bytes(4, "big") + text


def send(sock: socket, data: bytes, descriptors: tuple[int, ...] = ()) -> None:
    """Send a request, and descriptors with its first bytes; raises OSError."""
    numbers = b"".join(one.to_bytes(4, sys.byteorder) for one in descriptors)
    sent = sock.sendmsg([data], [(SOL_SOCKET, SCM_RIGHTS, numbers)] if numbers else [])
    if rest := data[sent:]:  # to send nothing would fail once the agent has answered and gone
        sock.sendall(rest)


def hand_over(arguments: list[str]) -> int | None:
    """Have the agent carry a command line out; its exit code, or None when it goes the ordinary way."""
    words = [os.fsencode(word) for word in arguments]
    if not _is_for_agents(words) or (sock := connected(os.environ)) is None:
        return None
    if _is_taken(sock, words) and (signals := _begun(sock)) is not None:
        signals.pass_on()
        if (code := _exit_code(sock)) is None:
            return _lost(arguments)
        if code - SIGNAL_BASE in FORWARDED:
            _die(code - SIGNAL_BASE)
        return code
    sock.close()
    return None


def _die(number: int) -> None:
    """Die of the signal that ended the command, as it does without an agent (cli/run.py)."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


class _Signals:
    """Takes the signals over that end a command; the agent is told of each, once it has begun."""

    def __init__(self, sock: socket) -> None:
        self._sock, self._told, self._going = sock, 0, False
        self._caught: list[int] = []
        self._before = {number: signal.getsignal(number) for number in FORWARDED}
        for number, handler in self._before.items():
            if number != signal.SIGHUP or handler != signal.SIG_IGN:  # nohup holds
                signal.signal(number, self._catch)

    def _catch(self, number: int, _frame: object) -> None:
        self._caught.append(number)
        if self._going:
            self.pass_on()

    def pass_on(self) -> None:
        """Tell what came so far, and from now on what comes."""
        self._going = True
        while self._told < len(self._caught):
            at, self._told = self._told, self._told + 1
            try:
                self._sock.sendall(bytes([self._caught[at]]))
            except OSError:
                return  # the agent has ended; the wait for its exit code tells
        if self._told >= IN_A_HURRY:
            for number in FORWARDED:
                signal.signal(number, signal.SIG_DFL)  # an agent that is stopped would hold us for ever

    def give_back(self) -> None:
        """The command goes the ordinary way, and so does what came meanwhile."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for caught in self._caught[:1]:
            os.kill(os.getpid(), caught)


def _is_for_agents(words: list[bytes]) -> bool:
    """Is a command line worth asking the agent for? It sees for itself what is none for it."""
    environment = [name + b"=" + value for name, value in os.environb.items() if name.startswith(b"XMPPSH_")]
    if b"XMPPSH_AGENT=no" in environment or b"--agent=no" in words:
        return False
    if words[:1] == [b"agent"] or os.environ.get("LISTEN_PID") == str(os.getpid()):  # whom systemd starts is the agent
        return False
    if b"--agent" in words and b"no" in words[words.index(b"--agent") + 1 :][:1]:
        return False
    return bool(words) and not any(name in one for one in (*words, *environment) for name in ON_DESCRIPTORS)


def _is_taken(sock: socket, words: list[bytes]) -> bool:
    environment = [name + b"=" + value for name, value in os.environb.items()]
    try:
        count = str(len(words)).encode()
        data = request(RUN, __version__.encode(), os.getcwdb(), count, *words, *environment)
        if len(data) > MAX_REQUEST_BYTES or sock.recv(1) != READY:
            return False
        send(sock, data, STREAMS)
        return sock.recv(1) == TAKEN
    except OSError:
        return False


def _begun(sock: socket) -> _Signals | None:
    """Let the agent begin; None where it has gone. Up to here a signal ends the client alone, as it always does."""
    signals = _Signals(sock)
    try:
        sock.settimeout(None)
        sock.sendall(GO)
    except OSError:
        signals.give_back()
        return None
    return signals


def _exit_code(sock: socket) -> int | None:
    """None where the agent has ended before it told one: it was killed."""
    try:
        code = sock.recv(1)
    except OSError:
        return None
    return code[0] if code else None


def _lost(arguments: list[str]) -> int:
    """Tell of an agent that has ended in the middle of a command. Only now is anything else of ours loaded."""
    from contextlib import suppress

    from xmppsh.errors import Unconfirmed
    from xmppsh.output.failure import error_text, wants_json

    hint = "xmppsh outbox list, if it was sending, shows what nobody has acknowledged"
    error = Unconfirmed("the agent has ended, and nobody knows how far the command came", hint=hint)
    with suppress(OSError):  # there may be nobody left to tell
        os.write(2, error_text(error, as_json=wants_json(arguments)).encode())
    return int(error.exit_code)
