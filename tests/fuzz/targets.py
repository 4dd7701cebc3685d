"""The parsers, each with pieces that its inputs are made of and the errors by which it may refuse them."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.exception
import dns.message

from xmppsh.agent import request
from xmppsh.config.document import parsed
from xmppsh.config.load import settings_of
from xmppsh.doctor import check_hostmeta
from xmppsh.errors import XmppshError
from xmppsh.model import Jid
from xmppsh.registry.kinds import parse_uri
from xmppsh.resolve import lookup
from xmppsh.shell.lines.line import classify, pasted
from xmppsh.xep.forms import filled, form_in
from xmppsh.xmlio.reader import StanzaReader, StreamReader, read_element, tree


@dataclass(frozen=True)
class Target:
    """run: reads one input; refusals: what it may raise; pieces: what inputs are joined of, beside random bytes."""

    name: str
    run: Callable[[bytes], Any]
    pieces: tuple[bytes, ...]
    refusals: tuple[type[Exception], ...] = (XmppshError,)

    def read(self, data: bytes) -> None:
        """Give it the input; whatever it raises beside its refusals is a bug."""
        with suppress(*self.refusals):
            self.run(data)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _stanzas(data: bytes) -> None:
    reader = StanzaReader()
    reader.feed(data)
    reader.end()


def _config(data: bytes) -> None:
    document = parsed(Path("config.toml"), data)
    settings_of({}, {}, document)


def _srv(data: bytes) -> None:
    lookup._read(dns.message.from_wire(HEADER + data), "SRV", "192.0.2.1")


def _host_meta(data: bytes) -> None:
    body = check_hostmeta._parsed(b"HTTP/1.1 200 OK\r\n" + data).body
    for check in ("host-meta", "host-meta.json"):
        check_hostmeta._links(check, body)


def _form(data: bytes) -> None:
    form = form_in(
        tree(read_element(f"<q xmlns='q'><x xmlns='jabber:x:data'>{data.decode('utf-8', 'replace')}</x></q>"))
    )
    if form is not None:
        filled(form, {"a": ["1"], "b": ["x@y"]})


HEADER = b"\x00\x01\x81\x80\x00\x01\x00\x02\x00\x01\x00\x00" + b"\x01a\x00\x00\x21\x00\x01"
XML = (
    b"<message",
    b"<iq",
    b"<presence",
    b"</message>",
    b"</iq>",
    b"/>",
    b">",
    b" to='a@b'",
    b" xmlns='jabber:client'",
    b" xmlns:x='u'",
    b"<x:y",
    b"<body>",
    b"</body>",
    b"&amp;",
    b"&#x41;",
    b"&#0;",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"<?x?>",
    b"<!DOCTYPE a>",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\x00",
    b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'",
    b" xmlns='jabber:server'",
    b"</stream:stream>",
    b"\n",
    b"<?xml version='1.0'?>",
    b' id="1"',
    b"a" * 5000,
)
ADDRESS = (
    b"a",
    b"@",
    b"/",
    b".",
    b"[::1]",
    b"\xc2\xb7",
    b"\xe3\x80\x87",
    b"\xd7\x90",
    b"xn--",
    b"%41",
    b"%ff",
    b"?message;body=",
    b"\xe2\x80\x8d",
    b"\xf0\x9f\x92\xa9",
    b" ",
    b"&",
    b"\xed\xa0\x80",
    b"1",
    b"\xef\xbc\xa0",
    b"-",
    b";",
    b"#",
    b"x" * 600,
)
LINE = (
    b"/send",
    b" a@b",
    b"/",
    b"<",
    b"<a",
    b">",
    b"'",
    b'"',
    b"\\",
    b"\n",
    b"/x on",
    b"//",
    b"#",
    b"\t",
    b"--to",
    b"\x1b[",
)
TOML = (
    b"jid",
    b"timeout",
    b"host",
    b"insecure",
    b" = ",
    b"'a@b'",
    b"3",
    b"[",
    b"]",
    b"[profile.default]",
    b"\n",
    b"true",
    b"{",
    b"}",
    b",",
    b'"',
    b'"""',
    b"1979-05-27",
    b"inf",
    b"0x",
    b"profile",
    b".",
    b"-1",
    b"#",
    b"ca",
    b"'socks5h://a:1'",
)
SRV = (
    b"\xc0\x0c",
    b"\x00\x21",
    b"\x00\x01",
    b"\x00\x05",
    b"\x00\x06",
    b"\x00\x00\x00\x3c",
    b"\x00\x08",
    b"\x00\x02",
    b"\x14\x66",
    b"\x01b\x00",
    b"\x3f",
    b"\x00",
    b"\xff\xff",
    b"\xc0\x1d",
    b"\x04host\x00",
)
HOST_META = (
    b"\r\n\r\n",
    b"\r\n",
    b"<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>",
    b"</XRD>",
    b"<Link rel='",
    b"/>",
    b"urn:xmpp:alt-connections:websocket",
    b"' href='",
    b"{",
    b"}",
    b'"links"',
    b":",
    b"[",
    b"]",
    b",",
    b'"rel"',
    b'"href"',
    b"<!DOCTYPE a>",
    b"null",
    b"1e999",
    b'"\\ud800"',
    b"<?xml version='1.0' encoding='utf-16'?>",
    b"location:",
)
FORM = (
    b"<field",
    b" var='a'",
    b" var='b'",
    b" type='",
    b"list-single'",
    b"jid-multi'",
    b"boolean'",
    b"hidden'",
    b">",
    b"/>",
    b"</field>",
    b"<value>",
    b"</value>",
    b"<option>",
    b"</option>",
    b"<required/>",
    b"<title>",
    b"</title>",
    b"<reported>",
    b"</reported>",
    b"<item>",
    b"</item>",
    b"1",
    b"x@y",
    b" label='l'",
)
FRAME = (request.RUN, b"\0", b"1", b"0", b"-1", b"ping", b"/tmp", b"A=b", b"9" * 30, b"\xff", b"status", b"0.1.0", b"=")
TARGETS = [
    Target("stream reader", lambda data: StreamReader().feed(data), XML),
    Target("stanza reader", _stanzas, XML),
    Target("address", lambda data: Jid.parse(_text(data)), ADDRESS),
    Target("xmpp URI", lambda data: parse_uri("xmpp:" + _text(data)), ADDRESS),
    Target("shell line", lambda data: (classify(_text(data)), pasted(_text(data), keeps_lines=False)), LINE),
    Target("config file", _config, TOML),
    Target("SRV answer", _srv, SRV, (dns.exception.DNSException, lookup.Rejected)),
    Target("host-meta", _host_meta, HOST_META, (check_hostmeta.Unusable, ValueError)),
    Target("data form", _form, FORM),
    Target("agent request", lambda data: request._parsed(data, [10**6] * 3), FRAME, (request.BadRequest,)),
]
