"""Stanzas as the server moves them: who sent them, to whom, and the XML that goes out.

What a client wrote is passed on verbatim; only the start tag's addresses are replaced.
"""

from __future__ import annotations

import re
import time
from dataclasses import field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.model import Element, Jid
from xmppsh.plain import dataclass
from xmppsh.texts import rfc3339
from xmppsh.xmlio.build import Xml, element, escape
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

MESSAGE_TYPES = frozenset({"normal", "chat", "groupchat", "headline", "error"})  # RFC 6121 §5.2.2
DEFAULT_TYPES = {"message": "normal", "presence": "available", "iq": ""}

_TAG_NAME = re.compile(r"<[^\s/>]+")
_START_TAG = re.compile(r"""<(?:[^>"']|"[^"]*"|'[^']*')*>""")
_ATTRIBUTE = re.compile(r"""\s+([^\s=]+)\s*=\s*(?:"[^"]*"|'[^']*')""")

# The error type that fits a condition (RFC 6120 §8.3.3); "cancel" where none stands here.
ERROR_TYPES = {
    "bad-request": "modify",
    "jid-malformed": "modify",
    "not-acceptable": "modify",
    "policy-violation": "modify",
    "resource-constraint": "wait",
    "forbidden": "auth",
    "not-authorized": "auth",
    "registration-required": "auth",
}

parse_jid = lru_cache(maxsize=4096)(Jid.parse)


@dataclass(frozen=True, slots=True)
class Stanza:
    """One stanza on its way through the server.

    type: with the default filled in (`normal`, `available`); sender: a full JID, or the bare JID of an account or
    service; xml: complete, `from` included; source: what the client wrote, where a client wrote it;
    received_at: seconds since the epoch.
    """

    kind: str
    type: str
    id: str | None
    sender: Jid
    to: Jid | None
    xml: Xml
    source: Element | None = None
    received_at: float = field(default_factory=time.time)

    @property
    def is_request(self) -> bool:
        """Is it an IQ that wants an answer (RFC 6120 §8.2.3)?"""
        return self.kind == "iq" and self.type in ("get", "set")

    def tree(self) -> Tree:
        """The stanza as an ElementTree."""
        return tree(self.source or Element(f"{{{ns.CLIENT}}}{self.kind}", {}, self.xml))

    def addressed(self, to: Jid, sender: Jid | None = None) -> Stanza:
        """The same stanza to another address, or as sent from another one."""
        sender = sender or self.sender
        return replace(self, to=to, sender=sender, xml=readdressed(self.xml, sender, to))


def incoming(source: Element, sender: Jid) -> Stanza:
    """What a client sent, stamped with its full JID (RFC 6120 §8.1.2.1); raises MalformedJid for a wrong `to`."""
    attributes = source.attributes
    to_text = attributes.get("to")
    to = parse_jid(to_text) if to_text else None
    kind = source.kind
    stanza_type = attributes.get("type") or DEFAULT_TYPES[kind]
    if kind == "message" and stanza_type not in MESSAGE_TYPES:
        stanza_type = "normal"  # RFC 6121 §5.2.2: as if it had none
    return Stanza(kind, stanza_type, source.id, sender, to, readdressed(source.xml, sender), source)


def made(
    kind: str,
    stanza_type: str | None,
    sender: Jid,
    to: Jid,
    *children: Xml | None,
    stanza_id: str | None = None,
) -> Stanza:
    """A stanza of the server's own."""
    attributes = {"from": str(sender), "to": str(to), "type": stanza_type, "id": stanza_id}
    xml = element(kind, attributes, *children)
    return Stanza(kind, stanza_type or DEFAULT_TYPES[kind], stanza_id, sender, to, xml)


def result(request: Stanza, payload: Xml | None = None) -> Stanza:
    """The answer to an IQ (RFC 6120 §8.2.3)."""
    return made("iq", "result", _answerer(request), request.sender, payload, stanza_id=request.id)


def error_reply(stanza: Stanza, condition: str, text: str | None = None) -> Stanza:
    """The stanza comes back with an error (RFC 6120 §8.3), from the address it was sent to."""
    detail = element("text", {"xmlns": ns.STANZA_ERRORS, "xml:lang": "en"}, text) if text else None
    error = element(
        "error",
        {"type": ERROR_TYPES.get(condition, "cancel")},
        element(condition, {"xmlns": ns.STANZA_ERRORS}),
        detail,
    )
    return made(stanza.kind, "error", _answerer(stanza), stanza.sender, error, stanza_id=stanza.id)


def _answerer(stanza: Stanza) -> Jid:
    return stanza.to or stanza.sender.bare  # RFC 6120 §10.3.3: no `to` means the own account


def delayed(stanza: Stanza, domain: str) -> Stanza:
    """The stanza with the time it came (XEP-0203), said once however often it had to wait."""
    stamp = rfc3339(datetime.fromtimestamp(stanza.received_at, UTC))
    note = element("delay", {"xmlns": ns.DELAY, "from": domain, "stamp": stamp})
    return stanza if note in stanza.xml else replace(stanza, xml=_with_child(stanza.xml, note))


def archived(stanza: Stanza, by: Jid, stanza_id: str) -> Stanza:
    """The stanza with the id that it has in an archive (XEP-0359)."""
    child = element("stanza-id", {"xmlns": ns.SID, "by": str(by), "id": stanza_id})
    return replace(stanza, xml=_with_child(stanza.xml, child))


def forwarded(stanza: Stanza, delay: Xml | None = None) -> Xml:
    """The stanza inside another one (XEP-0297), where it has to name its namespace."""
    tag, name = _START_TAG.match(stanza.xml), _TAG_NAME.match(stanza.xml)
    assert tag is not None
    assert name is not None
    named = re.search(r"\sxmlns\s*=", tag.group()) is not None
    xml = stanza.xml if named else Xml(f'{name.group()} xmlns="{ns.CLIENT}"{stanza.xml[name.end() :]}')
    return element("forwarded", {"xmlns": ns.FORWARD}, delay, xml)


def form_values(parent: Tree) -> dict[str, str]:
    """The first value of each field of the form below an element (XEP-0004)."""
    form = f"{{{ns.DATA_FORMS}}}"
    fields = parent.iterfind(f"{form}x/{form}field")
    return {one.get("var", ""): one.findtext(f"{form}value") or "" for one in fields}


def random_id() -> str:
    """A random id that no other client can guess."""
    return new_id()


def readdressed(xml: str, sender: Jid, to: Jid | None = None) -> Xml:
    """The element with another `from`, and another `to` when one is given."""
    tag, name = _START_TAG.match(xml), _TAG_NAME.match(xml)
    assert tag is not None
    assert name is not None
    addresses = {"from": sender} if to is None else {"from": sender, "to": to}
    new = "".join(f' {key}="{escape(str(jid))}"' for key, jid in addresses.items())
    attributes = _ATTRIBUTE.finditer(xml, name.end(), tag.end())
    kept = "".join(match.group() for match in attributes if match.group(1) not in addresses)
    end = "/>" if tag.group().endswith("/>") else ">"
    return Xml(name.group() + new + kept + end + xml[tag.end() :])


def _with_child(xml: str, child: Xml) -> Xml:
    if xml.endswith("/>"):
        name = _TAG_NAME.match(xml)
        assert name is not None
        return Xml(f"{xml[:-2]}>{child}</{name.group()[1:]}>")
    end = xml.rindex("</")
    return Xml(xml[:end] + child + xml[end:])
