"""Nodes of an account (XEP-0060 by way of XEP-0163): bookmarks, pictures, and what else its clients keep there.

Who is told of an event has subscribed to the node; filters by caps (XEP-0163 §4) are not known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import MalformedJid
from xmppsh.playground.accounts import Node
from xmppsh.playground.stanza import error_reply, form_values, made, parse_jid, random_id, result
from xmppsh.xmlio.build import Xml, element
from xmppsh.xmlio.reader import children, read_element

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Jid
    from xmppsh.playground.accounts import Account
    from xmppsh.playground.ports import Routes
    from xmppsh.playground.stanza import Stanza

QUERY, OWNER_QUERY = f"{{{ns.PUBSUB}}}pubsub", f"{{{ns.PUBSUB_OWNER}}}pubsub"
FEATURES = [
    ns.PUBSUB,
    *(
        f"{ns.PUBSUB}#{name}"
        for name in (
            "publish", "publish-options", "auto-create", "retrieve-items", "retract-items", "persistent-items",
            "access-open", "access-presence", "access-whitelist", "create-nodes", "create-and-configure",
            "config-node", "config-node-max", "delete-nodes", "item-ids", "subscribe",
        )
    ),
]  # fmt: skip
MAX_ITEMS = 100  # of a node; then the oldest go
MAX_NODES = 100  # of an account
ACCESS, COUNT = "pubsub#access_model", "pubsub#max_items"
MODELS = ("open", "presence", "whitelist")
DEFAULTS = {ACCESS: "presence", COUNT: "max", "pubsub#persist_items": "1", "pubsub#send_last_published_item": "never"}
KINDS = {ACCESS: "list-single", COUNT: "text-single", "pubsub#persist_items": "boolean"}
BOOLEANS = {"true": "1", "false": "0"}


def _is_friend(owner: Account, reader: Jid) -> bool:
    """Who may see the owner's presence, as the owner may."""
    contact = owner.roster.get(reader.bare)
    return reader.bare == owner.jid or (contact is not None and contact.from_)


def _may_read(owner: Account, node: Node, reader: Jid) -> bool:
    """XEP-0060 §4.5."""
    match node.config[ACCESS]:
        case "open":
            return True
        case "presence":
            return _is_friend(owner, reader)
        case _:
            return reader.bare == owner.jid


class Refused(Exception):
    """The request cannot be carried out: the condition of its error, and why."""

    def __init__(self, condition: str, why: str | None = None) -> None:
        super().__init__(why or "")
        self.condition = condition


def answer(router: Routes, owner: Account, iq: Stanza) -> Stanza:
    """Carry out what somebody asks of the account's nodes."""
    asked = next(iter(iq.tree()[0]), None)
    handler = None if asked is None else TABLE.get((iq.type, str(asked.tag)))
    if handler is None or asked is None:
        return error_reply(iq, "feature-not-implemented")
    try:
        return result(iq, handler(router, owner, iq, asked))
    except Refused as error:
        return error_reply(iq, error.condition, str(error))


def listed(owner: Account, reader: Jid) -> list[str]:
    """The names of the nodes that somebody may read."""
    return [name for name, node in owner.nodes.items() if _may_read(owner, node, reader)]


def _own(owner: Account, iq: Stanza) -> None:
    if iq.sender.bare != owner.jid:
        raise Refused("forbidden", "the node is somebody else's")


def _readable(owner: Account, iq: Stanza, asked: Tree) -> tuple[str, Node]:
    name = asked.get("node", "")
    node = owner.nodes.get(name)
    if node is None and _is_friend(owner, iq.sender):
        raise Refused("item-not-found", "there is no such node")
    if node is None or not _may_read(owner, node, iq.sender):
        raise Refused("forbidden", "the node is not for you")
    return name, node


def _configured(config: Mapping[str, str], asked: Tree | None) -> dict[str, str]:
    """The configuration with the fields of a form put into it; fields that are not known here are left out."""
    given = {} if asked is None else form_values(asked)
    changed = {name: BOOLEANS.get(text, text) for name, text in given.items() if name in config}
    found = {**config, **changed}
    if found[ACCESS] not in MODELS:
        raise Refused("not-acceptable", f"{ACCESS} is one of {', '.join(MODELS)}")
    if found[COUNT] != "max" and not (found[COUNT].isdecimal() and 1 <= int(found[COUNT]) <= MAX_ITEMS):
        raise Refused("not-acceptable", f"{COUNT} is max, or from 1 to {MAX_ITEMS}")
    return found


def _form(config: Mapping[str, str]) -> Xml:
    kind = element("field", {"var": "FORM_TYPE", "type": "hidden"}, element("value", {}, ns.PUBSUB_NODE_CONFIG))
    options = [element("option", {}, element("value", {}, one)) for one in MODELS]
    fields = (
        element(
            "field",
            {"var": name, "type": KINDS.get(name, "text-single")},
            element("value", {}, value),
            *(options if name == ACCESS else ()),
        )
        for name, value in config.items()
    )
    return element("x", {"xmlns": ns.DATA_FORMS, "type": "form"}, kind, *fields)


# ── Items ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _items(_router: Routes, owner: Account, iq: Stanza, asked: Tree) -> Xml:
    name, node = _readable(owner, iq, asked)
    wanted = [one.get("id", "") for one in asked] or list(node.items)
    found = (element("item", {"id": one}, node.items[one]) for one in wanted if one in node.items)
    return element("pubsub", {"xmlns": ns.PUBSUB}, element("items", {"node": name}, *found))


def _publish(router: Routes, owner: Account, iq: Stanza, asked: Tree) -> Xml:
    _own(owner, iq)
    name, payload = asked.get("node", ""), _payload(iq)
    options = _find(iq, "publish-options")
    if (node := owner.nodes.get(name)) is None:
        node = _made(owner, name, options)
    elif _configured(node.config, options) != node.config:
        raise Refused("conflict", "the node is configured in another way")  # XEP-0060 §7.1.5
    item_id = next((one.get("id") for one in asked), None) or random_id()
    node.items.pop(item_id, None)
    node.items[item_id] = payload
    while len(node.items) > (MAX_ITEMS if node.config[COUNT] == "max" else int(node.config[COUNT])):
        del node.items[next(iter(node.items))]
    _tell(router, owner, node, element("items", {"node": name}, element("item", {"id": item_id}, payload)))
    told = element("publish", {"node": name}, element("item", {"id": item_id}))
    return element("pubsub", {"xmlns": ns.PUBSUB}, told)


def _payload(iq: Stanza) -> Xml:
    """The XML of the one item, as its client wrote it."""
    assert iq.source is not None
    found = read_element(children(iq.source)[0])
    for _ in ("publish", "item"):
        inner = children(found)
        if not inner:
            raise Refused("bad-request", "there is no item")
        found = read_element(inner[0])
    payloads = children(found)
    if len(payloads) != 1:
        raise Refused("bad-request", "an item has one payload")
    return Xml(payloads[0])


def _retract(router: Routes, owner: Account, iq: Stanza, asked: Tree) -> None:
    _own(owner, iq)
    name, node = _readable(owner, iq, asked)
    item_id = next((one.get("id", "") for one in asked), "")
    if node.items.pop(item_id, None) is None:
        raise Refused("item-not-found", "there is no such item")
    _tell(router, owner, node, element("items", {"node": name}, element("retract", {"id": item_id})))


def _tell(router: Routes, owner: Account, node: Node, what: Xml) -> None:
    event = element("event", {"xmlns": ns.PUBSUB_EVENT}, what)
    for jid in node.subscribers:
        router.route(made("message", "headline", owner.jid, jid, event, stanza_id=random_id()))


# ── Nodes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _made(owner: Account, name: str, asked: Tree | None) -> Node:
    if not name:
        raise Refused("not-acceptable", "a node has a name")
    if len(owner.nodes) >= MAX_NODES:
        raise Refused("resource-constraint", f"an account has {MAX_NODES} nodes at most")
    return owner.nodes.setdefault(name, Node(_configured(DEFAULTS, asked)))


def _create(_router: Routes, owner: Account, iq: Stanza, asked: Tree) -> None:
    _own(owner, iq)
    if asked.get("node") in owner.nodes:
        raise Refused("conflict", "the node is there already")
    _made(owner, asked.get("node", ""), _find(iq, "configure"))


def _find(iq: Stanza, name: str) -> Tree | None:
    return iq.tree()[0].find(f"{{{ns.PUBSUB}}}{name}")


def _default(_router: Routes, owner: Account, iq: Stanza, _asked: Tree) -> Xml:
    _own(owner, iq)
    return element("pubsub", {"xmlns": ns.PUBSUB_OWNER}, element("default", {}, _form(DEFAULTS)))


def _configuration(_router: Routes, owner: Account, iq: Stanza, asked: Tree) -> Xml:
    _own(owner, iq)
    name, node = _readable(owner, iq, asked)
    return element("pubsub", {"xmlns": ns.PUBSUB_OWNER}, element("configure", {"node": name}, _form(node.config)))


def _configure(_router: Routes, owner: Account, iq: Stanza, asked: Tree) -> None:
    _own(owner, iq)
    _, node = _readable(owner, iq, asked)
    node.config = _configured(node.config, asked)


def _delete(router: Routes, owner: Account, iq: Stanza, asked: Tree) -> None:
    _own(owner, iq)
    name, node = _readable(owner, iq, asked)
    del owner.nodes[name]
    _tell(router, owner, node, element("delete", {"node": name}))


def _subscribe(_router: Routes, owner: Account, iq: Stanza, asked: Tree) -> Xml:
    name, node = _readable(owner, iq, asked)
    jid = _subscriber(iq, asked)
    node.subscribers.add(jid)
    told = {"node": name, "jid": str(jid), "subscription": "subscribed"}
    return element("pubsub", {"xmlns": ns.PUBSUB}, element("subscription", told))


def _unsubscribe(_router: Routes, owner: Account, iq: Stanza, asked: Tree) -> None:
    _, node = _readable(owner, iq, asked)
    jid = _subscriber(iq, asked)
    if jid not in node.subscribers:
        raise Refused("unexpected-request", "there is no such subscription")
    node.subscribers.discard(jid)


def _subscriber(iq: Stanza, asked: Tree) -> Jid:
    try:
        jid = parse_jid(asked.get("jid", ""))
    except MalformedJid as error:
        raise Refused("jid-malformed", str(error)) from error
    if jid not in (iq.sender, iq.sender.bare):
        raise Refused("bad-request", "one subscribes oneself")  # XEP-0060 §6.1.3.1
    return jid


TABLE: dict[tuple[str, str], Callable[[Routes, Account, Stanza, Tree], Xml | None]] = {
    ("get", f"{{{ns.PUBSUB}}}items"): _items,
    ("set", f"{{{ns.PUBSUB}}}publish"): _publish,
    ("set", f"{{{ns.PUBSUB}}}retract"): _retract,
    ("set", f"{{{ns.PUBSUB}}}create"): _create,
    ("set", f"{{{ns.PUBSUB}}}subscribe"): _subscribe,
    ("set", f"{{{ns.PUBSUB}}}unsubscribe"): _unsubscribe,
    ("get", f"{{{ns.PUBSUB_OWNER}}}default"): _default,
    ("get", f"{{{ns.PUBSUB_OWNER}}}configure"): _configuration,
    ("set", f"{{{ns.PUBSUB_OWNER}}}configure"): _configure,
    ("set", f"{{{ns.PUBSUB_OWNER}}}delete"): _delete,
}
