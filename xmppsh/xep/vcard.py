"""XEP-0054: a card of somebody, as fields by their paths (`FN`, `N.FAMILY`); XEP-0292 where there is no such card."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import StanzaError, UsageError
from xmppsh.model import Jid
from xmppsh.xep.disco import info
from xmppsh.xep.missing import NotOffered
from xmppsh.xep.pubsub import items_or_none
from xmppsh.xmlio.build import Xml, element
from xmppsh.xmlio.reader import read_element, tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.session.session_port import SessionPort

CARD = f"{{{ns.VCARD}}}vCard"
NO_CARD = ("item-not-found", "service-unavailable", "feature-not-implemented")
LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
MAX_DEPTH = 3
# What a card has (XEP-0054 §5); a server may drop what it does not know, and says nothing.
KNOWN = (
    "ADR", "AGENT", "BDAY", "CATEGORIES", "CLASS", "DESC", "EMAIL", "FN", "GEO", "JABBERID", "KEY", "LABEL", "LOGO",
    "MAILER", "N", "NICKNAME", "NOTE", "ORG", "PHOTO", "PRODID", "REV", "ROLE", "SORT-STRING", "SOUND", "TEL", "TITLE",
    "TZ", "UID", "URL",
)  # fmt: skip
# XEP-0054's elements that hold others, each with the one that is mostly meant: servers drop a text that stands in them.
PARTS = {"N": "FAMILY", "ADR": "STREET", "TEL": "NUMBER", "EMAIL": "USERID", "GEO": "LAT", "ORG": "ORGNAME"}


async def card(session: SessionPort, jid: Jid | None) -> Tree | None:
    """The card (XEP-0054 §3.1, §3.3), of our account where jid is None; None where there is none."""
    try:
        answer = await session.request("get", None if jid is None else jid.bare, element("vCard", {"xmlns": ns.VCARD}))
    except StanzaError as error:
        if error.condition in NO_CARD:
            return None
        raise
    return tree(answer).find(CARD)


async def fields(session: SessionPort, jid: Jid | None) -> list[tuple[str, str]]:
    """Path and value of each field, in order; of the newer card (XEP-0292 §3) where there is no older one."""
    found = await card(session, jid)
    if found is not None and len(found):
        return _flat(found, ())
    newer = await items_or_none(session, session.jid.bare if jid is None else jid.bare, ns.VCARD4_NODE)
    return [] if not newer or newer[-1].xml is None else _flat(tree(read_element(newer[-1].xml)), ())


def _flat(parent: Tree, path: tuple[str, ...]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for child in parent:
        name = child.tag.partition("}")[2].upper()
        # In the newer form the value stands in an element that tells its type, such as <fn><text>.
        own = path if name in ("TEXT", "URI") and path else (*path, name)
        if len(child):
            found += _flat(child, own)
        elif child.text and child.text.strip():  # an empty one says nothing
            found.append((".".join(own), child.text))
    return found


async def change(session: SessionPort, given: Mapping[str, str]) -> list[str]:
    """Change fields of our card, and leave the others; an empty value takes one away. Raises UsageError for a path.

    The fields that the server has not kept as they were given: Prosody leaves out what it does not know.
    """
    before = await card(session, None)
    root = _Node("vCard") if before is None else _node(before)
    for path, value in given.items():
        names = path.upper().split(".")
        if len(names) > MAX_DEPTH or not all(names) or not LETTERS.issuperset("".join(names)):
            raise UsageError(f"{path!r} is not a vCard field", hint="such as FN, NICKNAME, URL, EMAIL.USERID, N.FAMILY")
        known = (*KNOWN, *(one.name for one in root.children))
        if value and names[0] not in known and not names[0].startswith("X-"):
            raise UsageError(f"a vCard has no field {names[0]}", hint=f"one of {', '.join(KNOWN)}")
        if names[-1] in PARTS and value:
            raise UsageError(f"{path} has parts, and no text of its own", hint=f"{path}.{PARTS[names[-1]]}={value}")
        root.put(names, value)
    try:
        await session.request("set", None, root.xml(ns.VCARD))
    except StanzaError as error:
        if error.condition not in NO_CARD:
            raise
        raise _no_cards(session.jid.domainpart) from error
    after = await card(session, None)
    kept = {} if after is None else _values(after)
    return [path for path, value in given.items() if value and value.strip() not in kept.get(path.upper(), ())]


async def require_cards(session: SessionPort) -> None:
    """Raises NotOffered where our server keeps no cards: it answers for ours as if there was none."""
    with suppress(StanzaError):  # one does not know disco
        told = [await info(session, Jid(None, session.jid.domainpart)), await info(session, session.jid.bare)]
        if not any(ns.VCARD in features for _, features in told):
            raise _no_cards(session.jid.domainpart)


def _no_cards(server: str) -> NotOffered:
    return NotOffered(f"{server} does not offer cards (XEP-0054)", hint=f"xmppsh disco info {server}")


def _values(parent: Tree) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path, value in _flat(parent, ()):
        found.setdefault(path, []).append(value.strip())
    return found


class _Node:
    """An element of a card that may be changed."""

    def __init__(self, name: str, text: str = "", children: list[_Node] | None = None) -> None:
        self.name, self.text, self.children = name, text, children or []

    def put(self, path: list[str], value: str) -> None:
        """The value below that path; the first element of a name is the one that is meant."""
        below = next((one for one in self.children if one.name == path[0]), None)
        if below is None:
            if not value:
                return
            below = _Node(path[0])
            self.children.append(below)
        if len(path) > 1:
            below.put(path[1:], value)
        else:
            below.text = value
        if not below.text and not below.children:
            self.children.remove(below)

    def xml(self, namespace: str | None = None) -> Xml:
        """The element."""
        inner = (one.xml() for one in self.children)
        return element(self.name, {"xmlns": namespace}, self.text.strip() if self.children else self.text, *inner)


def _node(found: Tree) -> _Node:
    return _Node(found.tag.partition("}")[2], found.text or "", [_node(one) for one in found])
