"""Messages and presence of our own making (RFC 6121 §4, §5)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.plain import dataclass
from xmppsh.xmlio.build import Xml, attribute_xml, element, escape, with_child
from xmppsh.xmlio.reader import END, tree

if TYPE_CHECKING:
    from xmppsh.model import Element
    from xmppsh.xmlio.ids import Series
    from xmppsh.xmlio.plain import Plain

ORIGIN_ID = f"{{{ns.SID}}}origin-id"
MESSAGE_TYPES = ("chat", "normal", "headline", "groupchat")


def origin_id(value: str) -> Xml:
    """XEP-0359 §3: our own id, by which the archive can tell whether a message has arrived."""
    if value.isascii() and value.isalnum():  # one of ours: there is nothing to escape, and `pipe` makes many
        return Xml(f'<origin-id xmlns="{ns.SID}" id="{value}"/>')
    return element("origin-id", {"xmlns": ns.SID, "id": value})


def with_origin_id(message: Element, xml: Xml, value: str) -> Xml:
    """`xml`, which is that message with an id, with our origin-id; one that brings its own keeps that alone, since a
    stanza may have only one."""
    brings_one = ns.SID in message.xml and tree(message).find(ORIGIN_ID) is not None
    return xml if brings_one else with_child(xml, origin_id(value))


def numbered(plain: Plain, ids: Series) -> list[bytes]:
    """Plain messages, each with an origin-id of our own as its last child, which is its id where it has none."""
    prefix, first = ids.take(len(plain.messages))
    messages = plain.messages
    if not plain.have_ids:
        messages = [
            message if start else message.replace(b"<message", b'<message id="%b%d"' % (prefix.encode(), n), 1)
            for n, (message, start) in enumerate(zip(messages, plain.starts, strict=True), first)
        ]
    before, after = origin_id(prefix).removesuffix('"/>').encode(), b'"/>' + END
    return [b"%b%b%d%b" % (message, before, n, after) for n, message in enumerate(messages, first)]


@dataclass(frozen=True, slots=True)
class Message:
    """What a message of ours may hold; None leaves a part out. oob: URLs (XEP-0066); lang: RFC 5646."""

    body: str | None = None
    type: str = "chat"
    subject: str | None = None
    thread: str | None = None
    lang: str | None = None
    oob: tuple[str, ...] = ()
    receipt: bool = False  # ask for a receipt (XEP-0184)
    payloads: tuple[Xml, ...] = ()  # more extension elements (payloads.py)

    def xml(self, to: str, stanza_id: str, origin: str | None = None) -> Xml:
        """The stanza for one recipient; raises DataError for characters outside XML 1.0.

        origin: its origin-id, which no other stanza has; None for an id that no other has.
        """
        return self._xml(to, stanza_id, origin_id(origin or stanza_id))

    def bare(self, to: str, stanza_id: str | None) -> Xml:
        """The same without an origin-id, and perhaps without an id: whoever sends it gives it these."""
        return self._xml(to, stanza_id, None)

    def _xml(self, to: str, stanza_id: str | None, last: Xml | None) -> Xml:
        parts: list[Xml | None] = [
            None if self.subject is None else element("subject", None, self.subject),
            None if self.body is None else element("body", None, self.body),
            None if self.thread is None else element("thread", None, self.thread),
            *(element("x", {"xmlns": ns.OOB}, element("url", None, url)) for url in self.oob),
            element("request", {"xmlns": ns.RECEIPTS}) if self.receipt else None,
            *self.payloads,
            last,
        ]
        stanza_type = None if self.type == "normal" else self.type
        return element("message", {"to": to, "type": stanza_type, "id": stanza_id, "xml:lang": self.lang}, *parts)


def with_body(
    body: str, to: str, stanza_type: str = "chat", lang: str | None = None, stanza_id: str | None = None
) -> Xml:
    """What `bare` gives of a message with a body alone, for many that differ in that and the id; raises DataError."""
    tag, before, after = _around_body(to, stanza_type, lang)
    given = "" if stanza_id is None else attribute_xml("id", stanza_id)
    return Xml(f"{tag}{given}{before}{escape(body)}{after}")


@lru_cache(maxsize=1000)
def _around_body(to: str, stanza_type: str, lang: str | None) -> tuple[str, str, str]:
    tag, before, after = Message("@", stanza_type, lang=lang).bare(to, None).partition("><body>")
    return tag, before, after.removeprefix("@")


def presence(
    presence_type: str | None = None,
    *,
    to: str | None = None,
    show: str | None = None,
    status: str | None = None,
    priority: int | None = None,
) -> Xml:
    """Available, or `unavailable` and the like by its type (RFC 6121 §4.7). priority: -128 to 127."""
    return element(
        "presence",
        {"to": to, "type": presence_type},
        None if show is None else element("show", None, show),
        None if status is None else element("status", None, status),
        None if priority is None else element("priority", None, str(priority)),
    )
