"""XEP-0060: nodes, their items, and what happens to them; with XEP-0163 those of an account, ours or another's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from xmppsh import ns
from xmppsh.errors import ExitCode, MalformedJid, StanzaError, XmppshError
from xmppsh.model import Jid
from xmppsh.texts import to_run
from xmppsh.xep.disco import info
from xmppsh.xep.forms import Form, filled, form_in, submitted
from xmppsh.xep.missing import NotOffered
from xmppsh.xep.paging import RESULT_SET, all_of, pages
from xmppsh.xmlio.build import Xml, element
from xmppsh.xmlio.reader import children, read_element, tree

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Element
    from xmppsh.session.session_port import SessionPort
    from xmppsh.xep.paging import Page

WHAT = "nodes (XEP-0060)"


class Item(NamedTuple):
    """An item of a node. xml: its payload, None where there is none."""

    item_id: str
    xml: str | None


class Event(NamedTuple):
    """What happened to a node: published, retracted, purged, deleted or configured; with the item where it is one."""

    kind: str
    node: str
    item_id: str | None = None
    xml: str | None = None


class NotSubscribed(XmppshError):
    """There is no subscription (§4.2): none that could end (§6.2.3.2), or none was made."""

    exit_code = ExitCode.NOUSER
    layer = "stanza"


async def features(session: SessionPort, service: Jid) -> list[str]:
    """What the service can do; raises NotOffered where it has no nodes.

    Empty where it tells strangers nothing: there the request itself will tell.
    """
    try:
        identities, found = await info(session, service)
    except StanzaError:
        return []
    if "pubsub" not in [one.category for one in identities] and not any(one.startswith(ns.PUBSUB) for one in found):
        raise NotOffered(f"{service} does not offer {WHAT}", hint=to_run("disco", "info", service))
    return found


def _query(child: Xml, *others: Xml, owner: bool = False) -> Xml:
    return element("pubsub", {"xmlns": ns.PUBSUB_OWNER if owner else ns.PUBSUB}, child, *others)


# ── Items ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def items(session: SessionPort, service: Jid, node: str, item_id: str | None = None) -> list[Item]:
    """The items of a node (§6.5) on all pages, or that one."""
    return await all_of(pages_of_items(session, service, node, item_id))


def pages_of_items(
    session: SessionPort, service: Jid, node: str, item_id: str | None = None
) -> AsyncGenerator[Page[Item]]:
    """The items of a node (§6.5), or that one; page by page where they come in pages (XEP-0059)."""
    wanted = None if item_id is None else element("item", {"id": item_id})

    async def ask(position: Xml | None) -> tuple[list[Item], Tree | None]:
        query = _query(element("items", {"node": node}, wanted), *([] if position is None else [position]))
        answer = await session.request("get", service, query)
        return _items_below(answer, ns.PUBSUB, node), tree(answer).find(f"{{{ns.PUBSUB}}}pubsub/{RESULT_SET}")

    return pages(ask)


async def items_or_none(session: SessionPort, service: Jid, node: str, item_id: str | None = None) -> list[Item]:
    """The same; nothing where there is no such node, or it is closed to us."""
    try:
        return await items(session, service, node, item_id)
    except StanzaError as error:
        if error.condition in ("item-not-found", "service-unavailable", "feature-not-implemented", "forbidden"):
            return []
        raise


def _items_below(stanza: Element, namespace: str, node: str) -> list[Item]:
    """The items in an answer or event; those of another node than that are left out."""
    found = []
    for child in map(read_element, children(stanza)):
        for listed in map(read_element, children(child)):
            if listed.name == f"{{{namespace}}}items" and listed.attributes.get("node") == node:
                for item in map(read_element, children(listed)):
                    if item.kind == "item":
                        payloads = children(item)
                        found.append(Item(item.attributes.get("id", ""), payloads[0] if payloads else None))
    return found


async def publish(
    session: SessionPort, service: Jid, node: str, payload: Xml, item_id: str | None = None, **options: str
) -> str | None:
    """Publish an item (§7.1), and give its id; None where the service does not tell.

    options: how the node must be configured (§7.1.5); one that is there and is not so is changed, since its items would
    be seen by others than they are meant for.
    """
    item = element("publish", {"node": node}, element("item", {"id": item_id}, payload))
    facts: dict[str, tuple[str, ...]] = {f"pubsub#{name}": (value,) for name, value in options.items()}
    form = submitted({"FORM_TYPE": (ns.PUBLISH_OPTIONS,), **facts})
    wanted = [element("publish-options", None, form)] if options else []
    try:
        answer = await session.request("set", service, _query(item, *wanted))
    except StanzaError as error:
        if not options or error.condition != "conflict":
            raise
        await configure(session, service, node, facts)
        answer = await session.request("set", service, _query(item, *wanted))
    told = tree(answer).find(f"{{{ns.PUBSUB}}}pubsub/{{{ns.PUBSUB}}}publish/{{{ns.PUBSUB}}}item")
    return item_id if told is None else told.get("id", item_id)


async def retract(session: SessionPort, service: Jid, node: str, item_id: str) -> None:
    """Take an item back, and tell who has subscribed (§7.2)."""
    item = element("retract", {"node": node, "notify": "true"}, element("item", {"id": item_id}))
    await session.request("set", service, _query(item))


# ── Nodes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def create(session: SessionPort, service: Jid, node: str, form: Form | None, given: dict[str, list[str]]) -> None:
    """Make a node (§8.1); given: what its configuration shall be, checked by the service's form of the defaults."""
    wanted = []
    if given and form is not None:
        values = {"FORM_TYPE": (ns.PUBSUB_NODE_CONFIG,), **filled(form, given)}
        wanted = [element("configure", None, submitted(values))]
    try:
        await session.request("set", service, _query(element("create", {"node": node}), *wanted))
    except StanzaError as error:
        if error.condition == "conflict":
            error.hint = f"the node is there already: {to_run('pubsub', 'get', service, node)}"
        raise


async def default_form(session: SessionPort, service: Jid) -> Form | None:
    """How a new node would be configured (§8.3)."""
    answer = await session.request("get", service, _query(element("default"), owner=True))
    return form_in(tree(answer).find(f"{{{ns.PUBSUB_OWNER}}}pubsub/{{{ns.PUBSUB_OWNER}}}default"))


async def configuration(session: SessionPort, service: Jid, node: str) -> Form | None:
    """How a node is configured (§8.2)."""
    answer = await session.request("get", service, _query(element("configure", {"node": node}), owner=True))
    return form_in(tree(answer).find(f"{{{ns.PUBSUB_OWNER}}}pubsub/{{{ns.PUBSUB_OWNER}}}configure"))


async def set_configuration(session: SessionPort, service: Jid, node: str, values: dict[str, tuple[str, ...]]) -> None:
    """Answer the form of a node's configuration (§8.2.4)."""
    wanted = element("configure", {"node": node}, submitted(values))
    await session.request("set", service, _query(wanted, owner=True))


async def configure(session: SessionPort, service: Jid, node: str, values: Mapping[str, tuple[str, ...]]) -> None:
    """Change fields of a node's configuration, those that its form has (§8.2)."""
    form = await configuration(session, service, node)
    there = {} if form is None else {one.name: one.values for one in form.fields}
    other = {name: list(texts) for name, texts in values.items() if there.get(name, texts) != texts}
    if form is not None and other:
        await set_configuration(session, service, node, filled(form, other))


async def delete(session: SessionPort, service: Jid, node: str) -> None:
    """Delete a node with its items (§8.4)."""
    await session.request("set", service, _query(element("delete", {"node": node}), owner=True))


# ── Subscriptions ───────────────────────────────────────────────────────────────────────────────────────────────────


async def subscribe(session: SessionPort, service: Jid, node: str, jid: Jid) -> str:
    """Subscribe (§6.1): what is published goes to `jid`; the state: subscribed, pending or unconfigured.

    Raises NotSubscribed for an answer that says "none".
    """
    wanted = element("subscribe", {"node": node, "jid": str(jid)})
    answer = tree(await session.request("set", service, _query(wanted)))
    found = answer.find(f"{{{ns.PUBSUB}}}pubsub/{{{ns.PUBSUB}}}subscription")
    state = "subscribed" if found is None else found.get("subscription", "subscribed")
    if state == "none":
        raise NotSubscribed(f"{service} did not subscribe {jid} to {node}")
    return state


async def unsubscribe(session: SessionPort, service: Jid, node: str, jid: Jid) -> None:
    """Subscribe no more (§6.2); raises NotSubscribed where there is no subscription."""
    try:
        await session.request("set", service, _query(element("unsubscribe", {"node": node, "jid": str(jid)})))
    except StanzaError as error:
        if error.condition != "unexpected-request":
            raise
        raise NotSubscribed(f"{jid} has not subscribed to {node} of {service}", condition=error.condition) from error


def events_in(message: Element, service: Jid, node: str) -> list[Event]:
    """What a message tells of a node (§7.1.2.1, §7.2.2, §8); nothing where it is not from that very service.

    Anybody can send what looks like an event.
    """
    try:
        is_theirs = bool(message.sender) and Jid.parse(message.sender) == service
    except MalformedJid:
        return []
    event = tree(message).find(f"{{{ns.PUBSUB_EVENT}}}event") if is_theirs else None
    if event is None or message.attributes.get("type") == "error":
        return []
    found = [Event("published", node, *one) for one in _items_below(message, ns.PUBSUB_EVENT, node)]
    for child in event:
        name = child.tag.partition("}")[2]
        if child.get("node") != node:
            continue
        if name == "items":
            gone = child.iterfind(f"{{{ns.PUBSUB_EVENT}}}retract")
            found += [Event("retracted", node, one.get("id")) for one in gone]
        elif name in KINDS:
            found.append(Event(KINDS[name], node))
    return found


KINDS = {"purge": "purged", "delete": "deleted", "configuration": "configured"}
