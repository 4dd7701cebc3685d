"""`pubsub`: nodes of a service or an account, and their items (XEP-0060, XEP-0163)."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, contextmanager, suppress
from typing import TYPE_CHECKING

import click

from xmppsh.app.progress import listed
from xmppsh.commands.disco import DiscoItem
from xmppsh.commands.form_records import FormField, completed, field_record
from xmppsh.commands.pubsub_records import Published, PubsubEvent, PubsubItem, Subscription
from xmppsh.errors import DataError, ExitCode, StanzaError, XmppshError
from xmppsh.registry.base import command
from xmppsh.registry.params import FILE, ITEM, JID, SECONDS
from xmppsh.registry.params import NODE as NODE_NAME
from xmppsh.texts import to_run
from xmppsh.xep import disco, pubsub
from xmppsh.xep.forms import split
from xmppsh.xep.missing import NotOffered, offered
from xmppsh.xmlio.build import verbatim
from xmppsh.xmlio.reader import read_element

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from xmppsh.app.app import App
    from xmppsh.model import Jid
    from xmppsh.session.ports import Interceptor
    from xmppsh.session.session import Session
    from xmppsh.session.session_port import SessionPort
    from xmppsh.xep.room_gaps import RoomGaps

SERVICE = click.argument("service", type=JID)
NODE = click.argument("node", type=NODE_NAME)
GOODBYE_S = 3.0  # for the end of a subscription that ends with the session anyway


@contextmanager
def _asking(service: Jid, node: str, item: str | None = None) -> Iterator[None]:
    """Run the requests about a node in here: what is not there is named, with how to see what is."""
    with offered(pubsub.WHAT, str(service)):
        try:
            yield
        except StanzaError as error:
            if error.condition == "item-not-found":  # of several, a service does not say which
                what = f"node {node!r}" if item is None else f"item {item!r} of a node {node!r}"
                error.args = (f"{service} shows you no {what}: item-not-found",)
                error.hint = to_run("pubsub", *(("nodes", service) if item is None else ("get", service, node)))
            elif error.exit_code == ExitCode.NOPERM:
                error.args = (f"{service} does not let you do that with the node {node!r}: {error.condition}",)
                is_account = service.localpart is not None  # whose nodes are for its contacts by default (XEP-0163)
                error.hint = "ask its owner" + ("; contacts alone may read most of an account's" if is_account else "")
            raise


@command("pubsub", "nodes")
@SERVICE
async def pubsub_nodes(app: App, service: Jid) -> AsyncIterator[DiscoItem]:
    """Show the nodes of SERVICE, a service or an account.

    Example:  xmppsh pubsub nodes pubsub.example.org
    """
    async with app.sessions.one_shot() as session:
        await pubsub.features(session, service)
        async with aclosing(listed(app, "nodes", disco.pages_of_items(session, service))) as found:
            async for one in found:
                if one.node is not None:
                    yield DiscoItem(one.jid, one.node, one.name, 0)


class NoItem(XmppshError):
    """The node has no item with the id that was asked for."""

    exit_code = ExitCode.NOUSER
    layer = "stanza"


@command("pubsub", "get")
@SERVICE
@NODE
@click.argument("item", type=ITEM, required=False)
async def pubsub_get(app: App, service: Jid, node: str, item: str | None) -> AsyncIterator[PubsubItem]:
    """Show the items of NODE, or the one with the id ITEM.

    Example:  xmppsh pubsub get juliet@example.org urn:xmpp:avatar:metadata
    """
    is_there = False
    async with app.sessions.one_shot() as session:
        with _asking(service, node):
            async with aclosing(listed(app, "items", pubsub.pages_of_items(session, service, node, item))) as found:
                async for one in found:
                    yield PubsubItem(str(service), node, one.item_id, one.xml)
                    is_there = True
    if item is not None and not is_there:
        raise NoItem(f"{node} of {service} has no item {item!r}", hint=to_run("pubsub", "get", service, node))


@command("pubsub", "publish")
@SERVICE
@NODE
@click.argument("payload")
@click.option("--id", "item_id", type=ITEM, metavar="ID", help="The item's id; an existing item is replaced.")
async def pubsub_publish(
    app: App, service: Jid, node: str, payload: str, item_id: str | None
) -> AsyncIterator[Published]:
    """Publish PAYLOAD (one XML element; - is stdin) on NODE, and print the item's id.

    Example:  xmppsh pubsub publish pubsub.example.org news "<e xmlns='urn:n'/>"
    """
    if payload == "-":
        data = await app.console.stdin.read_all(app.limits.pending_bytes)
        payload = data.decode("utf-8", "surrogateescape")
    content = read_element(payload.strip(), app.limits)
    if content.is_stanza:
        raise DataError(f"PAYLOAD goes inside an item: it cannot be <{content.kind}>", hint="xmppsh raw sends stanzas")
    async with app.sessions.one_shot() as session:
        with _asking(service, node):
            made = await pubsub.publish(session, service, node, verbatim(content), item_id)
    yield Published(str(service), node, made)


@command("pubsub", "retract")
@SERVICE
@NODE
@click.argument("item", type=ITEM)
async def pubsub_retract(app: App, service: Jid, node: str, item: str) -> None:
    """Retract the item with the id ITEM, and notify the subscribers.

    Example:  xmppsh pubsub retract pubsub.example.org news 17
    """
    async with app.sessions.one_shot() as session:
        with _asking(service, node, item):
            await pubsub.retract(session, service, node, item)


@command("pubsub", "create")
@SERVICE
@NODE
@click.argument("pairs", metavar="[FIELD=VALUE]…", nargs=-1)
async def pubsub_create(app: App, service: Jid, node: str, pairs: tuple[str, ...]) -> None:
    """Create NODE, with these fields of its configuration.

    Example:  xmppsh pubsub create pep.example.org news pubsub#access_model=open
    """
    given = split(pairs)
    async with app.sessions.one_shot() as session:
        await pubsub.features(session, service)
        form = None
        if given:
            what = "the configuration of new nodes (XEP-0060 §8.3)"
            with offered(what, str(service)):
                form = await pubsub.default_form(session, service)
            if form is None:  # a node that was to be closed would be open
                raise NotOffered(f"{service} does not offer {what}", hint=to_run("disco", "info", service))
        await pubsub.create(session, service, node, form, given)


@command("pubsub", "config")
@SERVICE
@NODE
@click.argument("pairs", metavar="[FIELD=VALUE]…", nargs=-1)
async def pubsub_config(app: App, service: Jid, node: str, pairs: tuple[str, ...]) -> AsyncIterator[FormField]:
    """Show the configuration of NODE, or change its fields.

    \b
    Example:  xmppsh pubsub config pep.example.org news
              xmppsh pubsub config pep.example.org news pubsub#access_model=open
    """
    given = split(pairs)
    async with app.sessions.one_shot() as session:
        with _asking(service, node):
            form = await pubsub.configuration(session, service, node)
            if form is None:
                raise NotOffered(f"{service} does not offer the configuration of nodes (XEP-0060 §8.2)")
            if given:
                values = await completed(app, form, given)
                await pubsub.set_configuration(session, service, node, values)
    if not given:
        for one in form.asked:
            yield field_record(one)


@command("pubsub", "delete")
@SERVICE
@NODE
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
async def pubsub_delete(app: App, service: Jid, node: str, yes: bool) -> None:
    """Delete NODE and all its items.

    Example:  xmppsh pubsub delete pubsub.example.org news --yes
    """
    if not (yes or app.settings.dry_run or await app.console.confirm(f"Delete {node} of {service}?", "--yes")):
        return
    async with app.sessions.one_shot() as session:
        with _asking(service, node):
            await pubsub.delete(session, service, node)


@command("pubsub", "subscribe")
@SERVICE
@NODE
async def pubsub_subscribe(app: App, service: Jid, node: str) -> AsyncIterator[Subscription]:
    """Subscribe the account to NODE: its clients get what is published.

    Example:  xmppsh pubsub subscribe pubsub.example.org news
    """
    async with app.sessions.one_shot() as session:
        own = session.jid.bare
        with _asking(service, node):
            state = await pubsub.subscribe(session, service, node, own)
    yield Subscription(str(service), node, str(own), state)


@command("pubsub", "unsubscribe")
@SERVICE
@NODE
async def pubsub_unsubscribe(app: App, service: Jid, node: str) -> None:
    """Cancel the subscription to NODE.

    Example:  xmppsh pubsub unsubscribe pubsub.example.org news
    """
    async with app.sessions.one_shot() as session:
        with _asking(service, node):
            await pubsub.unsubscribe(session, service, node, session.jid.bare)


# ── Watching ────────────────────────────────────────────────────────────────────────────────────────────────────────


@command("pubsub", "watch")
@SERVICE
@NODE
@click.option("-C", "--count", type=click.IntRange(min=1), metavar="N", help="End after N events.")
@click.option("-W", "--wait", "wait_s", type=SECONDS, metavar="S", help="End after S seconds.")
@click.option("--ready-file", type=FILE, help="Create FILE once the subscription is active.")
async def pubsub_watch(
    app: App, service: Jid, node: str, count: int | None, wait_s: float | None, ready_file: str | None
) -> AsyncIterator[PubsubEvent]:
    """Print the events of NODE until Ctrl-C. It stays subscribed for that long, also after a session was lost.

    Example:  xmppsh pubsub watch pubsub.example.org news --format json
    """
    from xmppsh.commands.appearing import WITHOUT_MESSAGES
    from xmppsh.commands.listen.ending import tell_ready, until
    from xmppsh.xep.greeting import Watching

    watching: list[Watching] = []

    def plug(session: Session, _: RoomGaps) -> Sequence[Interceptor]:
        watching.append(Watching(session, service, node))
        return watching

    async def begin(session: SessionPort) -> None:
        if watching:
            # ejabberd tells of an account's node those clients alone that are available.
            session.broadcast_presence(WITHOUT_MESSAGES)
        with _asking(service, node):
            state = await (
                watching[0].subscribed if watching else pubsub.subscribe(session, service, node, session.jid)
            )
        if state != "subscribed":  # XEP-0060 §4.2: pending, unconfigured
            app.console.warn(f"the subscription to {node} is {state}: until its owner accepts it, no event comes")
        await tell_ready(app.console, ready_file, None)

    shown = 0
    async with app.sessions.reading("pubsub watch", "message", plug=plug) as (session, arrivals):
        try:
            async with until(wait_s, begin(session), arrivals) as ending:
                async for message in arrivals:
                    for one in pubsub.events_in(message, service, node):
                        yield PubsubEvent(one.kind, str(service), node, one.item_id, one.xml)
                        shown += 1
                    if count is not None and shown >= count:
                        break
                else:
                    await ending.judge(session, shown, count)
            arrivals.cancel()
        finally:
            arrivals.stop()
            with suppress(XmppshError, TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await pubsub.unsubscribe(session, service, node, session.jid)
