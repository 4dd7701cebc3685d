"""A file that is put on a server: what keeps it from being taken is told in one sentence, with its exit code."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hostile.certificates import Certificates

from xmppsh.errors import XmppshError
from xmppsh.net.put import put

SIZE = 4 * 1024 * 1024  # more than the system's buffers hold

Behaviour = Callable[[socket.socket], None]


def head_of(sock: socket.socket) -> bytes:
    """The request's head, and what came with it."""
    data = b""
    while b"\r\n\r\n" not in data and (more := sock.recv(65536)):
        data += more
    return data


def answering(status: str, *, reads: bool = True) -> Behaviour:
    """Answers so. reads: once it has the whole file; else at once, and closes."""

    def behave(sock: socket.socket) -> None:
        (cut_at_the_end if reads else cut)(sock)
        sock.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    return behave


def cut(sock: socket.socket) -> None:
    head_of(sock)


def cut_at_the_end(sock: socket.socket) -> None:
    got = len(head_of(sock).partition(b"\r\n\r\n")[2])
    while got < SIZE and (more := sock.recv(65536)):
        got += len(more)


def silent(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


def no_http(sock: socket.socket) -> None:
    head_of(sock)
    sock.sendall(b"<?xml version='1.0'?>\r\n")


@contextlib.contextmanager
def serving(behave: Behaviour, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server that takes one connection."""

    def serve() -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as sock:
            secured = sock if context is None else context.wrap_socket(sock, server_side=True)
            behave(secured)
            secured.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def fate(port: int, file: Path, scheme: str = "http", timeout_s: float = 60.0) -> tuple[int, str]:
    """The exit code, and the sentence."""
    url = f"{scheme}://127.0.0.1:{port}/slot"
    try:
        put(url, {}, file, SIZE, ssl.create_default_context, timeout_s, lambda _: None)
    except XmppshError as error:
        return error.exit_code, str(error)
    return 0, ""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (path := tmp_path / "file").write_bytes(bytes(SIZE))
    return path


FAILED = "the connection to 127.0.0.1, which was to take the file, failed: "
CASES: dict[str, tuple[Behaviour, int, str]] = {
    "taken": (answering("201 Created"), 0, ""),
    "not allowed": (answering("403 Forbidden"), 76, "127.0.0.1 refused the file: 403 Forbidden"),
    "too large": (answering("413 Content Too Large"), 76, "127.0.0.1 refused the file: 413 Content Too Large"),
    "broken": (answering("500 Oops"), 76, "127.0.0.1 refused the file: 500 Oops"),
    "busy": (answering("503 Later"), 75, "127.0.0.1 refused the file: 503 Later"),
    "cut": (cut, 69, FAILED),
    "cut before the answer": (cut_at_the_end, 69, f"{FAILED}remote end closed connection without response"),
    "no HTTP": (no_http, 76, "127.0.0.1 answered with what is no HTTP"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_the_server_does_is_told(name: str, file: Path) -> None:
    behave, code, says = CASES[name]
    with serving(behave) as port:
        found, said = fate(port, file)
    assert found == code
    assert said.startswith(says)


def test_a_refusal_that_comes_before_the_whole_file_is_there_is_told_as_one(file: Path) -> None:
    with serving(answering("413 Content Too Large", reads=False)) as port:
        assert fate(port, file) == (76, "127.0.0.1 refused the file: 413 Content Too Large")


def test_a_server_that_does_not_answer_is_a_matter_of_time(file: Path) -> None:
    with serving(silent) as port:
        assert fate(port, file, timeout_s=0.5) == (75, "127.0.0.1 did not take the file: nothing moved for 0.5 s")


def test_a_server_that_is_not_there_cannot_be_reached(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert fate(port, file) == (69, f"{FAILED}connection refused")


def test_a_server_whose_certificate_does_not_fit_is_sent_nothing(file: Path, tmp_path: Path) -> None:
    contexts = Certificates(tmp_path).contexts
    with serving(silent, contexts["self-signed"]) as port:
        assert fate(port, file, "https") == (76, "127.0.0.1 is not sent the file: self-signed certificate")


def test_a_file_that_becomes_shorter_is_not_uploaded(file: Path) -> None:
    file.write_bytes(b"short")
    with serving(silent) as port:
        assert fate(port, file) == (66, f"{file}: it has become shorter while it was sent")


def test_of_a_file_that_grows_what_was_announced_is_uploaded(file: Path) -> None:
    got = bytearray()

    def take(sock: socket.socket) -> None:
        head, _, body = head_of(sock).partition(b"\r\n\r\n")
        assert f"Content-Length: {SIZE}".encode() in head
        got.extend(body)
        while len(got) < SIZE and (more := sock.recv(65536)):
            got.extend(more)
        sock.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

    file.write_bytes(bytes(SIZE) + b"more")
    with serving(take) as port:
        assert fate(port, file) == (0, "")
    assert bytes(got) == bytes(SIZE)
