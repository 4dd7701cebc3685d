"""HTTP PUT of a file (RFC 9110 §9.3.4), by the standard library and in a thread: uploads are rare and long."""

from __future__ import annotations

import http.client
import os
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from xmppsh.errors import IoError, NoInputError, ProtocolError, XmppshError
from xmppsh.model import is_address
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

CHUNK_BYTES = 64 * 1024
OK = (200, 201, 202, 204)


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
    tls: Callable[[], ssl.SSLContext],
    timeout_s: float,
    progress: Callable[[int], None],
) -> None:
    """Send the file; blocks. progress: is told the bytes as they leave. Raises UploadFailed, NoInputError, IoError."""
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
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            connection.putrequest("PUT", target, skip_accept_encoding=True)
            for name, value in {**headers, "Content-Length": str(size)}.items():
                connection.putheader(name, value)
            connection.endheaders()
            left = size
            while left and (chunk := file.read(min(CHUNK_BYTES, left))):
                connection.send(chunk)
                left -= len(chunk)
                progress(len(chunk))
            if left:
                raise NoInputError(f"{path}: it has become shorter while it was sent")
            answer = connection.getresponse()
            answer.read(CHUNK_BYTES)
            if answer.status not in OK:
                raise UploadFailed(f"{host} refused the file: {answer.status} {answer.reason}")
    except XmppshError:
        raise
    except (http.client.HTTPException, ssl.SSLError, TimeoutError, UnicodeError) as error:
        raise UploadFailed(f"{host} did not take the file: {str(error).lower() or type(error).__name__}") from error
    except OSError as error:
        raise IoError(f"{path} to {host}: {os_reason(error)}") from error
    finally:
        connection.close()
