"""What `listen` and the shell show of a stanza: one record each (cli.md, section 5.1)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from xmppsh.xmlio.reader import tree
from xmppsh.xmlio.splitter import CLIENT_NS

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Element

OOB = "{jabber:x:oob}"  # XEP-0066
PRIORITY = re.compile(r"[+-]?[0-9]{1,3}")  # RFC 6121 §4.7.2.3: -128 to 127; anybody can send more
DELAY = "{urn:xmpp:delay}delay"  # XEP-0203
ENCRYPTION = "{urn:xmpp:eme:0}encryption"  # XEP-0380
ENCRYPTED = frozenset(
    {"eu.siacs.conversations.axolotl", "urn:xmpp:omemo:2", "jabber:x:encrypted", "urn:xmpp:openpgp:0"}
)
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


def record(stanza: Element, now: Callable[[], datetime]) -> dict[str, Any]:
    """The record of a message, presence or IQ; `now` gives the time of arrival, in UTC, where the stanza has none."""
    root = tree(stanza)
    if stanza.arrived is not None:
        now = partial(datetime.fromtimestamp, stanza.arrived, UTC)
    match stanza.kind:
        case "message":
            return _message(stanza, root, now)
        case "presence":
            return _presence(stanza, root, now)
        case _:
            return {**_head(stanza), "type": root.get("type"), "id": root.get("id"), "payloads": _payloads(root)}


def _head(stanza: Element) -> dict[str, Any]:
    return {"kind": stanza.kind, "from": stanza.attributes.get("from"), "to": stanza.attributes.get("to")}


def _message(stanza: Element, root: Tree, now: Callable[[], datetime]) -> dict[str, Any]:
    delay = root.find(DELAY)
    found = _payloads(root)
    body = root.find(f"{{{CLIENT_NS}}}body")
    return {
        **_head(stanza),
        "type": root.get("type", "normal"),  # RFC 6121 §5.2.2
        "id": root.get("id"),
        "body": None if body is None else body.text or "",
        "subject": root.findtext(f"{{{CLIENT_NS}}}subject"),
        "thread": root.findtext(f"{{{CLIENT_NS}}}thread"),
        "lang": root.get(LANGUAGE) if body is None else body.get(LANGUAGE, root.get(LANGUAGE)),
        "stamp": _stamp(delay, now),
        "delayed": delay is not None,
        "carbon": None,
        "room": root.get("type") == "groupchat",
        "encrypted": root.find(ENCRYPTION) is not None
        or any(name[1:].partition("}")[0] in ENCRYPTED for name in found),
        "oob": [url.text or "" for url in root.iterfind(f"{OOB}x/{OOB}url")],
        "payloads": found,
    }


def _presence(stanza: Element, root: Tree, now: Callable[[], datetime]) -> dict[str, Any]:
    priority = PRIORITY.fullmatch((root.findtext(f"{{{CLIENT_NS}}}priority") or "").strip())
    return {
        **_head(stanza),
        "type": root.get("type", "available"),
        "show": root.findtext(f"{{{CLIENT_NS}}}show"),
        "status": root.findtext(f"{{{CLIENT_NS}}}status"),
        "priority": int(priority.group()) if priority else 0,
        "stamp": _stamp(root.find(DELAY), now),
    }


def _payloads(root: Tree) -> list[str]:
    """The names of the extension elements: children outside the stanza's own namespace."""
    return [child.tag for child in root if not child.tag.startswith(f"{{{CLIENT_NS}}}")]


def _stamp(delay: Tree | None, now: Callable[[], datetime]) -> str:
    """When it was sent, RFC 3339 in UTC: by its delay stamp as claimed there (XEP-0082), else now."""
    moment = _parsed(delay.get("stamp", "")) if delay is not None else None
    return (moment or now()).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _parsed(stamp: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(stamp)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None  # a stamp that no calendar knows; anybody can send one
