"""HTTP PUT of a file (RFC 9110 §9.3.4), by the standard library and in a thread: uploads are rare and long."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from xmppsh.errors import ConnectError, DeadlineExceeded, ExitCode, IoError, NoInputError, ProtocolError
from xmppsh.model import is_address
from xmppsh.net.tls import why_failed
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import BinaryIO

CHUNK_BYTES = 64 * 1024
OK = (200, 201, 202, 204)
CUTS = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
BUSY = (429, 503)  # Too Many Requests, Service Unavailable: later it may take it


class UploadFailed(ProtocolError):
    """The server that was to take the file did not."""

    layer = "stanza"


def check_url(url: str) -> None:
    """Raise UploadFailed for a URL that is not HTTPS, except on a loopback address: it would carry the file openly."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise UploadFailed(f"the server named {url!r} for the upload, which is not an address") from None
    loopback = host == "localhost" or (is_address(host) and host.startswith(("127.", "::1")))
    if not host or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not loopback):
        raise UploadFailed(f"the server named {url!r} for the upload, which is not an HTTPS address")


def put(
    url: str,
    headers: Mapping[str, str],
    path: Path,
    size: int,
    tls: Callable[[], ssl.SSLContext],
    timeout_s: float,
    progress: Callable[[int], None],
) -> None:
    """Send the first `size` bytes of the file; blocks. progress: is told the bytes as they leave.

    Raises UploadFailed, DeadlineExceeded, ConnectError, NoInputError, IoError.
    """
    check_url(url)
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = (
        http.client.HTTPSConnection(host, port, timeout=timeout_s, context=tls())
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=timeout_s)
    )
    try:
        with _opened(path) as file:
            connection.putrequest("PUT", target, skip_accept_encoding=True)
            for name, value in {**headers, "Content-Length": str(size)}.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = _answer(connection, file, path, size, progress)
        if answer.status not in OK:
            raise _refused(host, answer)
    except TimeoutError as error:
        raise DeadlineExceeded(
            f"{host} did not take the file: nothing moved for {timeout_s:.3g} s",
            layer="io",
            hint="--timeout S waits longer",
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise UploadFailed(f"{host} is not sent the file: {error.verify_message}", layer="tls") from error
    except (OSError, UnicodeError) as error:
        what = f"the connection to {host}, which was to take the file, failed: {why_failed(error)}"
        is_protocol = isinstance(error, (ssl.SSLError, UnicodeError)) and not isinstance(error, CUTS)
        raise (UploadFailed if is_protocol else ConnectError)(what) from error
    except http.client.HTTPException as error:
        raise UploadFailed(f"{host} answered with what is no HTTP: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise NoInputError(f"{path}: {os_reason(error)}") from error


def _answer(
    connection: http.client.HTTPConnection, file: BinaryIO, path: Path, size: int, progress: Callable[[int], None]
) -> http.client.HTTPResponse:
    """What the server says of the file, which may be before it has all of it."""
    broken: OSError | None = None
    while size and broken is None:
        try:
            chunk = file.read(min(CHUNK_BYTES, size))
        except OSError as error:
            raise IoError(f"{path}: {os_reason(error)}") from error
        if not chunk:
            raise NoInputError(f"{path}: it has become shorter while it was sent")
        try:
            connection.send(chunk)
        except CUTS as error:
            broken = error  # who refuses a file closes without reading the rest, and has said why
        size -= len(chunk)
        progress(len(chunk))
    try:
        answer = connection.getresponse()
        answer.read(CHUNK_BYTES)
    except OSError:
        if broken is not None:
            raise broken from None
        raise
    return answer


def _refused(host: str, answer: http.client.HTTPResponse) -> UploadFailed:
    error = UploadFailed(f"{host} refused the file: {answer.status} {answer.reason}")
    if answer.status in BUSY:
        error.exit_code = ExitCode.TEMPFAIL
    return error
