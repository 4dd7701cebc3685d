"""`doctor` reads a domain's host-meta over HTTPS, here through a proxy that leads to a web server of the test's own."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from support.ca import Authority
from support.dns import HOST
from support.program import Program
from support.proxies import ProxyServer, serving
from support.servers import Server

XRD = """<?xml version='1.0' encoding='utf-8'?>
<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>
<Link rel='urn:xmpp:alt-connections:websocket' href='wss://example.org/ws'/><Link rel='other' href='https://x'/></XRD>"""
JSON = {"links": [{"rel": "urn:xmpp:alt-connections:xbosh", "href": "https://example.org/bosh"}]}


@asynccontextmanager
async def https(folder: Path, domain: str, answers: dict[str, str]) -> AsyncIterator[tuple[int, Path]]:
    """A web server of the domain, and whom to trust for it; a path that it does not know is 404."""
    authority = Authority(folder)
    certificate = authority.issue("good", domain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert f"\r\nHost: {domain}\r\n" in head
        answer = answers.get(head.split(" ")[1], "HTTP/1.1 404 Not Found\r\n\r\n")
        with suppress(OSError):  # nobody reads an endless one to its end
            writer.write(answer.encode())
            while answer.endswith(ENDLESS) and not writer.is_closing():
                writer.write(ENDLESS.encode())
                await writer.drain()
                await asyncio.sleep(0)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0, ssl=context)
    yield server.sockets[0].getsockname()[1], authority.pem
    server.close()


def found(body: str) -> str:
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/xrd+xml\r\n\r\n{body}"


def moved(place: str) -> str:
    return f"HTTP/1.1 301 Moved Permanently\r\nLocation: {place}\r\n\r\n"


MOVED = moved("/meta")
ENDLESS = "and so on for ever\n"
PATH = "/.well-known/host-meta"
WEBSOCKET, NONE = ("ok", "websocket wss://example.org/ws"), ("skip", "the domain has none (HTTP 404)")
WITHOUT_TLS = ("skip", "it leads to a place without TLS")
COMMENTED = XRD.replace("<XRD", "<!-- RFC 6415 -->\n<?xml-stylesheet href='x'?><XRD").replace("<Link", "<!-- --><Link")
LAUGHS = "<!DOCTYPE x [<!ENTITY a 'ha'>]><XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>&a;</XRD>"
SURROGATE = '{"links": [{"rel": "urn:xmpp:alt-connections:xbosh", "href": "\\ud800"}]}'
NESTED = '{"links": [{"rel": "urn:xmpp:alt-connections:xbosh", "href": ' + "[" * 900 + "]" * 900 + "}]}"
HOST_META = [
    ({PATH: found(XRD), f"{PATH}.json": found(json.dumps(JSON))},
     ("ok", "websocket wss://example.org/ws"), ("ok", "xbosh https://example.org/bosh")),
    ({PATH: MOVED, "/meta": found(XRD)}, ("ok", "websocket wss://example.org/ws"), ("skip", "HTTP 404")),
    ({PATH: found("<html>"), f"{PATH}.json": found("[]")}, ("warn", "cannot be read"), ("warn", "no list of links")),
    ({PATH: found("<!DOCTYPE x><x/>"), f"{PATH}.json": found("{")}, ("warn", "cannot"), ("warn", "cannot be read")),
    ({PATH: found(COMMENTED), f"{PATH}.json": found("[" * 60_000)}, WEBSOCKET, ("warn", "cannot be read")),
    ({PATH: found(LAUGHS), f"{PATH}.json": found(SURROGATE)}, ("warn", "document type declaration"), ("ok", "xbosh")),
    ({PATH: found(XRD.replace("utf-8", "x-none")), f"{PATH}.json": found(NESTED)},
     ("warn", "cannot be read"), ("ok", "no link for XMPP")),
    ({PATH: found("<a>" * 20_000)}, ("warn", "cannot be read"), NONE),
    # Each file is told by itself, whatever the other one's fault is.
    ({PATH: "nonsense\r\n\r\n"}, ("skip", "not HTTP"), NONE),
    ({PATH: moved("http://x/")}, ("skip", "without TLS"), NONE),
    ({PATH: moved(PATH)}, ("skip", "redirected more than 3 times"), NONE),
    ({PATH: moved("/there"), "/there": moved("/back"), "/back": moved("/there")},
     ("skip", "redirected more than 3 times"), NONE),
    *(
        ({PATH: moved(place), f"{PATH}.json": MOVED, "/meta": moved(place)}, WITHOUT_TLS, WITHOUT_TLS)
        for place in ("http://example.org/meta", "HTTP://example.org/meta", "file:///etc/passwd", "ftp://example.org/x",
                      "data:application/json,{}", "wss://example.org/")
    ),
    ({PATH: moved(""), f"{PATH}.json": "HTTP/1.1 302 Found\r\n\r\n"}, ("skip", "redirected more than 3 times"),
     ("skip", "redirected more than 3 times")),
    ({PATH: moved("//[::1]:1/x")}, ("skip", "cannot be fetched"), NONE),
    ({PATH: found("x" * 70_000)}, ("skip", "longer than"), NONE),
    ({PATH: found(ENDLESS), f"{PATH}.json": f"HTTP/1.1 200 OK\r\nX: {ENDLESS}"}, ("skip", "longer than"),
     ("skip", "longer than")),
    ({f"{PATH}.json": "nonsense\r\n\r\n"}, NONE, ("skip", "host-meta.json cannot be fetched: ")),
    # Places that cannot be.
    ({PATH: moved("https://[bad"), f"{PATH}.json": moved("https://x:y/")}, ("skip", "not an address"),
     ("skip", "not an address")),
    ({PATH: moved(f"https://{'a' * 64}.example/"), f"{PATH}.json": moved("https://a..b/")}, ("skip", "not an address"),
     ("skip", "not an address")),
    # What the server says is not that the domain has none.
    ({PATH: "HTTP/1.1 403 Forbidden\r\n\r\n", f"{PATH}.json": "HTTP/1.1 500 Oh\r\n\r\n"},
     ("skip", "cannot be fetched: the answer is HTTP 403"), ("skip", "cannot be fetched: the answer is HTTP 500")),
    ({PATH: "HTTP/1.1 020 Oh\r\n\r\n", f"{PATH}.json": "HTTP/1.1 410 Gone\r\n\r\n"},
     ("skip", "the answer is HTTP 020"), ("skip", "the domain has none (HTTP 410)")),
    ({PATH: "HTTP/1.1 20 OK\r\n\r\n", f"{PATH}.json": "HTTP/1.1 2000 OK\r\n\r\n"},
     ("skip", "the answer's status is '20'"), ("skip", "the answer's status is '2000'")),
]  # fmt: skip


@pytest.mark.parametrize(("answers", "xml", "as_json"), HOST_META)
async def test_host_meta_is_read_over_https(
    tmp_path: Path, prosody: Server, answers: dict[str, str], xml: tuple[str, str], as_json: tuple[str, str]
) -> None:
    program = Program(tmp_path)
    async with https(tmp_path, prosody.domain, answers) as (port, authority):
        both = tmp_path / "both.pem"
        both.write_text(prosody.ca.read_text() + authority.read_text())
        routes = {(prosody.domain, 5222): (prosody.host, prosody.port), (prosody.domain, 443): (HOST, port)}
        routes["a..b", 443] = (HOST, port)  # no such name can be, and this proxy does not mind
        async with serving(ProxyServer("http", routes=routes)) as proxy:
            arguments = ("--proxy", proxy.url, "--ca", str(both), "--format", "json")
            outcome = await program.run(*arguments, "doctor", prosody.domain)
    assert outcome.code == 0, outcome.stderr
    for check, (status, says) in (("host-meta", xml), ("host-meta.json", as_json)):
        record = next(record for record in outcome.records if record["check"] == check)
        assert (record["status"], says in record["detail"]) == (status, True), record
