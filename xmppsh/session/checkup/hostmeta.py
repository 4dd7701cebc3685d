"""Where a domain says that it can be reached by other ways: host-meta over HTTPS (XEP-0156, XEP-0487, RFC 6415).

A small GET of our own: the dialler already knows the addresses, the proxy and the deadline, and one answer is all.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from xmppsh.errors import XmlError, XmppshError
from xmppsh.model import Candidate, a_labels, is_address
from xmppsh.net.attempts import Attempt
from xmppsh.net.tls import client_context, explain
from xmppsh.resolve.plan import DIRECT_TLS_PORTS
from xmppsh.session.checkup.report import brief
from xmppsh.xmlio.reader import Limits, read_element, tree

if TYPE_CHECKING:
    from xmppsh.session.checkup.case import Case
    from xmppsh.session.checkup.report import Report

HTTPS_PORT = DIRECT_TLS_PORTS[1]
PATHS = {"host-meta": "/.well-known/host-meta", "host-meta.json": "/.well-known/host-meta.json"}
XRD = "http://docs.oasis-open.org/ns/xri/xrd-1.0"
PREFIX = "urn:xmpp:alt-connections:"  # XEP-0156 §3, XEP-0487 §2
MAX_BYTES = 64 * 1024
MAX_REDIRECTS = 3  # RFC 6415 §2
REDIRECTS = (301, 302, 303, 307, 308)


class Unusable(Exception):
    """The file cannot be fetched, for a reason that says nothing of XMPP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came by HTTP; headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


async def check_host_meta(case: Case, report: Report) -> None:
    """Fetch both files and read their links; where that is not possible, there is nothing to say."""
    reason = _not_asked(case)
    for check, path in PATHS.items():
        if reason:
            await report.skip("session", check, reason)
            continue
        url = f"https://{case.options.jid.dial_name}{path}"
        try:
            async with asyncio.timeout_at(case.deadline()):
                answer = await _fetch(case, url)
        except (Unusable, TimeoutError) as error:
            reason = f"{url} cannot be fetched: {str(error) or 'it took too long'}"
            await report.skip("session", check, reason)
            continue
        if answer.status != 200:
            await report.skip("session", check, f"the domain has none (HTTP {answer.status})")
            continue
        try:
            links = _links(check, answer.body)
        except (XmlError, ValueError) as error:
            await report.warn("session", check, f"{url} cannot be read: {error}", "see XEP-0156 and RFC 6415")
        else:
            await report.ok("session", check, brief(links) or "no link for XMPP")


def _not_asked(case: Case) -> str:
    options = case.options
    if options.hosts:
        return "--host says where to dial, and nothing else is dialled"
    if is_address(options.jid.domainpart):
        return "the domain is an address"
    if options.jid.dial_name.endswith(".onion"):
        return "not for a domain in Tor"
    return ""


async def _fetch(case: Case, url: str) -> Answer:
    for _ in range(MAX_REDIRECTS + 1):
        answer = await _get(case, url)
        if answer.status not in REDIRECTS:
            return answer
        url = urljoin(url, answer.headers.get("location", ""))
        if not url.startswith("https://"):
            raise Unusable("it leads to a place without TLS")
    raise Unusable(f"it is redirected more than {MAX_REDIRECTS} times")


async def _get(case: Case, url: str) -> Answer:
    try:
        parts = urlsplit(url)
        host, port = a_labels(parts.hostname or ""), parts.port or HTTPS_PORT
    except ValueError as error:
        raise Unusable("it leads to what is no address") from error
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    if not host or not (host + path).isascii() or any(ord(sign) <= 32 for sign in host + path):
        raise Unusable("it leads to what is no address")
    return await _ask(case, host, port, path)


async def _ask(case: Case, host: str, port: int, path: str) -> Answer:
    place = Attempt(Candidate(host, port, "direct", "host-meta"))
    try:
        connected = await case.dial(place, case.deadline())
        # Pins and the client's certificate are for the XMPP server.
        policy = replace(case.options.policy, pins=(), certificate=None, key=None)
        context = client_context(policy, direct=False)
    except XmppshError as error:
        raise Unusable(str(error)) from error
    if connected is None:
        raise Unusable(f"{place} {place.outcome}")
    try:
        reader, writer = await asyncio.open_connection(sock=connected.sock, ssl=context, server_hostname=host)
    except (OSError, ssl.SSLError) as error:
        connected.sock.close()
        raise Unusable(str(explain(error, host))) from error
    except BaseException:  # whatever ends it, a cancellation too: the socket does not stay open
        connected.sock.close()
        raise
    try:
        # By HTTP 1.0 the answer is in one piece and ends with the connection (RFC 1945).
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: */*\r\n\r\n".encode("ascii"))
        return _parsed(await _read(reader))
    except OSError as error:
        raise Unusable((error.strerror or str(error)).lower()) from error
    finally:
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> bytes:
    data = bytearray()
    while chunk := await reader.read(MAX_BYTES):
        data += chunk
        if len(data) > MAX_BYTES:
            raise Unusable(f"it is longer than {MAX_BYTES} bytes")
    return bytes(data)


def _parsed(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not (status.isascii() and status.isdigit()):
        raise Unusable("the answer is not HTTP")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
    return Answer(int(status), headers, body)


# ── What stands in them ─────────────────────────────────────────────────────────────────────────────────────────────


def _links(check: str, body: bytes) -> list[str]:
    """The alternative ways, in order; raises XmlError or ValueError."""
    found = _json_links(body) if check == "host-meta.json" else _xml_links(body)
    ways = [(link.get("rel"), link.get("href") or link.get("port")) for link in found]
    return [f"{rel.removeprefix(PREFIX)} {where}" for rel, where in ways if isinstance(rel, str) and PREFIX in rel]


def _xml_links(body: bytes) -> list[dict[str, Any]]:
    document = tree(read_element(body.decode("utf-8"), Limits()))
    if document.tag != f"{{{XRD}}}XRD":
        raise ValueError("it is no XRD document")
    return [dict(link.attrib) for link in document.iterfind(f"{{{XRD}}}Link")]


def _json_links(body: bytes) -> list[dict[str, Any]]:
    document = json.loads(body)
    links = document.get("links", []) if isinstance(document, dict) else None
    if not isinstance(links, list):
        raise ValueError("it holds no list of links")
    return [link for link in links if isinstance(link, dict)]
