"""Where a domain says that it can be reached by other ways: host-meta over HTTPS (XEP-0156, XEP-0487, RFC 6415).

A small GET of our own: the dialler already knows the addresses, the proxy and the deadline, and one answer is all.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit
from xml.etree.ElementTree import ParseError, TreeBuilder, XMLParser, fromstring

from xmppsh import ns
from xmppsh.errors import XmppshError
from xmppsh.model import Candidate, a_labels, brief, is_address
from xmppsh.net.attempts import Attempt
from xmppsh.net.tls import client_context, explain
from xmppsh.plain import dataclass
from xmppsh.resolve.options import CLIENTS
from xmppsh.tasks import running
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from xmppsh.doctor.case import Case
    from xmppsh.doctor.report import Report

HTTPS_PORT = CLIENTS.direct_ports[1]
PATHS = {"host-meta": "/.well-known/host-meta", "host-meta.json": "/.well-known/host-meta.json"}
XRD = "http://docs.oasis-open.org/ns/xri/xrd-1.0"
PREFIX = f"{ns.ALT_CONNECTIONS}:"  # XEP-0156 §3, XEP-0487 §2
MAX_BYTES = 64 * 1024
MAX_REDIRECTS = 3  # RFC 6415 §2
REDIRECTS = ("301", "302", "303", "307", "308")
MISSING = ("404", "410")
NOWHERE = "it leads to what is not an address"


class Unusable(Exception):
    """The file cannot be fetched, for a reason that says nothing of XMPP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came by HTTP; headers in lower case."""

    status: str
    headers: dict[str, str]
    body: bytes


async def check_host_meta(case: Case, report: Report) -> None:
    """Fetch both files and read their links; where that is not possible, there is nothing to say."""
    if reason := _not_asked(case):
        for check in PATHS:
            await report.skip("session", check, reason)
        return
    urls = {check: f"https://{case.options.jid.dial_name}{path}" for check, path in PATHS.items()}
    async with running(*(_fetch(case, url) for url in urls.values())) as tasks:
        for (check, url), task in zip(urls.items(), tasks, strict=True):
            await _tell(check, url, task, report)


async def _tell(check: str, url: str, work: asyncio.Task[Answer], report: Report) -> None:
    try:
        answer = await work
    except Unusable as error:
        await report.skip("session", check, f"{url} cannot be fetched: {error}")
        return
    if answer.status != "200":
        none = f"the domain has none (HTTP {answer.status})"
        other = f"{url} cannot be fetched: the answer is HTTP {answer.status}"
        await report.skip("session", check, none if answer.status in MISSING else other)
        return
    try:
        links = _links(check, answer.body)
    except ValueError as error:
        await report.warn("session", check, f"{url} cannot be read: {error}", "see XEP-0156 and RFC 6415")
    else:
        await report.ok("session", check, brief(links) or "no link for XMPP")


def _not_asked(case: Case) -> str:
    options = case.options
    if options.hosts:
        return "--host says where to connect, and nothing else is tried"
    if is_address(options.jid.domainpart):
        return "the domain is an address"
    if options.jid.dial_name.endswith(".onion"):
        return "not for a domain in Tor"
    return ""


async def _fetch(case: Case, url: str) -> Answer:
    """What stands there, in the end; raises Unusable."""
    try:
        async with asyncio.timeout_at(case.deadline()):
            return await _follow(case, url)
    except TimeoutError as error:
        raise Unusable("it took too long") from error


async def _follow(case: Case, url: str) -> Answer:
    for _ in range(MAX_REDIRECTS + 1):
        answer = await _get(case, url)
        if answer.status not in REDIRECTS:
            return answer
        try:
            url = urljoin(url, answer.headers.get("location", ""))
        except ValueError as error:
            raise Unusable(NOWHERE) from error
        if not url.startswith("https://"):
            raise Unusable("it leads to a place without TLS")
    raise Unusable(f"it is redirected more than {MAX_REDIRECTS} times")


async def _get(case: Case, url: str) -> Answer:
    try:
        parts = urlsplit(url)
        host, port = a_labels(parts.hostname or ""), parts.port or HTTPS_PORT
        host.encode("idna")  # OpenSSL is given the name so: labels have 1 to 63 characters
    except ValueError as error:
        raise Unusable(NOWHERE) from error
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    if not host or not (host + path).isascii() or any(ord(sign) <= 32 for sign in host + path):
        raise Unusable(NOWHERE)
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
        raise Unusable(os_reason(error)) from error
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
    status = rest.partition(" ")[0]
    if not version.startswith("HTTP/1."):
        raise Unusable("the answer is not HTTP")
    if not (len(status) == 3 and status.isascii() and status.isdigit()):  # RFC 9112 §4
        raise Unusable(f"the answer's status is {status[:20]!r}")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
    return Answer(status, headers, body)


# ── What stands in them ─────────────────────────────────────────────────────────────────────────────────────────────


def _links(check: str, body: bytes) -> list[str]:
    """The alternative ways, in order; raises ValueError."""
    found = _json_links(body) if check == "host-meta.json" else _xml_links(body)
    ways = [(link.get("rel"), link.get("href") or link.get("port")) for link in found]
    return [
        f"{rel.removeprefix(PREFIX)} {where}"
        for rel, where in ways
        if isinstance(rel, str) and PREFIX in rel and isinstance(where, (str, int))
    ]


class _NoDoctype(TreeBuilder):
    """Builds the tree of a document that declares nothing: a DTD could hold entities that grow without end."""

    def doctype(self, _name: str, _public_id: str | None, _system_id: str | None) -> None:
        raise ValueError("it has a document type declaration")


def _xml_links(body: bytes) -> list[dict[str, Any]]:
    # Not the stream's reader: comments and processing instructions are legal here.
    try:
        document = fromstring(body, XMLParser(target=_NoDoctype()))
    except (ParseError, LookupError) as error:  # LookupError: nobody knows its encoding
        raise ValueError(str(error)) from error
    if document.tag != f"{{{XRD}}}XRD":
        raise ValueError("it is not an XRD document")
    return [dict(link.attrib) for link in document.iterfind(f"{{{XRD}}}Link")]


def _json_links(body: bytes) -> list[dict[str, Any]]:
    try:
        document = json.loads(body)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    links = document.get("links", []) if isinstance(document, dict) else None
    if not isinstance(links, list):
        raise ValueError("it holds no list of links")
    return [link for link in links if isinstance(link, dict)]
