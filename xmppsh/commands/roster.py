"""`roster`: the account's contacts (RFC 6121 §2)."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import field
from typing import TYPE_CHECKING, Literal

import click

from xmppsh.app.sources import contents
from xmppsh.errors import DataError, ExitCode, Partial, StanzaError, UsageError, XmppshError
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.registry.base import command
from xmppsh.registry.kinds import parse_address
from xmppsh.registry.params import FILE, JID
from xmppsh.session.outcome import no_answer
from xmppsh.tasks import running
from xmppsh.xep.roster import Contact, contacts, removing, setting
from xmppsh.xmlio.stanzas import presence

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from xmppsh.app.app import App
    from xmppsh.model import Jid
    from xmppsh.session.session_port import SessionPort

AT_ONCE = 50  # changes that are on their way together: the round trip is paid once for them
SEEN = ("to", "both")


@dataclass(frozen=True, slots=True)
class RosterContact(Record):
    """A contact of the roster; `roster import` reads the same."""

    kind: Literal["contact"] = field(default="contact", init=False)
    """What it is."""
    jid: str
    """The address."""
    name: str | None
    """The name that the account has given it."""
    groups: tuple[str, ...]
    """The groups that it is in."""
    subscription: str
    """none, to (we see its presence), from (it sees ours) or both."""
    ask: bool
    """Is our request to see its presence unanswered?"""

    def text(self) -> str:
        """One line."""
        groups = f"  [{', '.join(self.groups)}]" if self.groups else ""
        state = self.subscription + (", asked" if self.ask else "")
        return safe.line(f"{self.jid}  {state}  {self.name or ''}".rstrip() + groups)


class NoSuchContact(XmppshError):
    """The roster has no contact with that address."""

    exit_code = ExitCode.NOUSER
    layer = "stanza"
    default_hint = "xmppsh roster list"


def _record(one: Contact) -> RosterContact:
    return RosterContact(one.jid, one.name, one.groups, one.subscription, one.asks)


async def _existing(session: SessionPort, jid: Jid) -> Contact:
    for one in await contacts(session):
        if one.jid in (str(jid), str(jid.bare)):  # ejabberd keeps what another client adds with a resource
            return one
    raise NoSuchContact(f"{jid.bare} is not in the roster")


@command("roster", "list")
async def roster_list(app: App) -> AsyncIterator[RosterContact]:
    """Show the contacts.

    Example:  xmppsh roster list
    """
    async with app.sessions.one_shot() as session:
        found = await contacts(session)
    for one in found:
        yield _record(one)


@command("roster", "add")
@click.argument("contact", metavar="JID", type=JID)
@click.option("--name", metavar="NAME", help="Its name.")
@click.option("--group", "groups", multiple=True, metavar="G", help="A group it belongs to; repeatable.")
async def roster_add(app: App, contact: Jid, name: str | None, groups: tuple[str, ...]) -> None:
    """Add a contact, or change the name and groups of one; what is not given stays as it is. `presence subscribe` asks
    to see its presence.

    Example:  xmppsh roster add juliet@example.org --name Juliet --group Friends
    """
    if not all(groups):
        raise UsageError("a group has a name", hint="--group NAME")  # RFC 6121 §2.3.3; Prosody keeps one without
    async with app.sessions.one_shot() as session, app.storage.changing(app.settings.timeout):
        if name is None or not groups:  # what an item does not say is taken away (RFC 6121 §2.4)
            one = next((one for one in await contacts(session) if one.jid == str(contact.bare)), Contact(""))
            name, groups = one.name if name is None else name, groups or one.groups
        try:
            await session.request("set", None, setting(str(contact.bare), name or None, groups))
        except StanzaError as error:
            raise _not_added(error, contact.bare, session.jid.bare) from error


def _not_added(error: StanzaError, contact: Jid, own: Jid) -> StanzaError:
    """The same refusal, which names whom it is about."""
    if contact == own:
        why = f"which {own.domainpart} keeps out of your roster: {error.condition}"
        error.args, error.hint = (f"{contact} is your own address, {why}",), None
    else:
        error.args = (f"{contact} is not added to the roster: {error}",)
    return error


@command("roster", "rename")
@click.argument("contact", metavar="JID", type=JID)
@click.argument("name")
async def roster_rename(app: App, contact: Jid, name: str) -> None:
    """Give a contact another name; its groups stay the same.

    Example:  xmppsh roster rename juliet@example.org "Juliet Capulet"
    """
    async with app.sessions.one_shot() as session, app.storage.changing(app.settings.timeout):
        one = await _existing(session, contact)
        await session.request("set", None, setting(one.jid, name or None, one.groups))


@command("roster", "remove")
@click.argument("contact", metavar="JID", type=JID)
async def roster_remove(app: App, contact: Jid) -> None:
    """Remove a contact; neither of you will see the other's presence any more.

    Example:  xmppsh roster remove juliet@example.org
    """
    async with app.sessions.one_shot() as session:
        one = await _existing(session, contact)
        await session.request("set", None, removing(one.jid))


@command("roster", "export")
async def roster_export(app: App) -> AsyncIterator[RosterContact]:
    """Print the contacts as JSON, one per line, for `roster import`.

    Example:  xmppsh roster export > roster.ndjson
    """
    app.printer.format = "json"
    async with app.sessions.one_shot() as session:
        found = await contacts(session)
    for one in found:
        yield _record(one)


@command("roster", "import")
@click.argument("file", type=FILE, required=False)
async def roster_import(app: App, file: str | None) -> None:
    """Add the contacts in FILE or stdin, as printed by `roster export`. Existing contacts keep their name and groups.

    A contact whose presence you saw (subscription to or both) or had asked to see is asked again, once. Contacts that
    the server refuses are reported and the others are added; the exit code is then 80. Run again, it continues.

    Example:  xmppsh roster import roster.ndjson
    """
    wanted = _parsed(await contents(app.console, file), app.console.warn)
    async with app.sessions.one_shot() as session:
        refused = await _import(app, session, wanted)
        await session.acked(session.sent_count)
    if refused:
        raise Partial(f"{refused} of {len(wanted)} contacts were refused", hint="mend these lines, and run it again")


async def _import(app: App, session: SessionPort, wanted: list[Contact]) -> int:
    """Add what is not there, many at once; returns how many the server refused. Whatever ends it says how far it is."""
    from xmppsh.app.progress import Progress

    there = {one.jid: one for one in await contacts(session)}
    dealt_with = refused = 0
    try:
        with Progress(app, "contacts", len(wanted)) as advance:
            for begin in range(0, len(wanted), AT_ONCE):
                some = [(one, there.get(one.jid)) for one in wanted[begin : begin + AT_ONCE]]
                async with aclosing(_added(session, some)) as outcomes:
                    async for refusal in outcomes:
                        if refusal is not None:
                            app.console.warn(refusal)
                            refused += 1
                        dealt_with += 1
                        advance(1)
    finally:
        if dealt_with < len(wanted):
            app.console.warn(f"{dealt_with} of {len(wanted)} contacts are dealt with; run again, it goes on")
    return refused


async def _added(session: SessionPort, some: list[tuple[Contact, Contact | None]]) -> AsyncGenerator[str | None]:
    """Add these at once; the outcomes as they come.

    A server that stores one after the other (Prosody writes the whole roster each time) is waited for as long as it
    answers something within --timeout.
    """
    silence_s = session.options.timeout_s
    async with running(*(_add(session, *one, silence_s * len(some)) for one in some)) as adding:
        waiting = set(adding)
        while waiting:
            done, waiting = await asyncio.wait(waiting, timeout=silence_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise no_answer(session.jid.domainpart, silence_s)
            for one in done:
                yield one.result()


async def _add(session: SessionPort, one: Contact, known: Contact | None, timeout_s: float) -> str | None:
    """Add a contact that is not there in that way, and ask for its presence where we had seen it; why it is refused."""
    # Only what is empty is filled in: a name that was given here is not lost to one of an older export.
    name, groups = (one.name, one.groups) if known is None else (known.name or one.name, known.groups or one.groups)
    if known is None or (known.name, set(known.groups)) != (name, set(groups)):
        try:
            await session.request("set", None, setting(one.jid, name, groups), timeout_s)
        except StanzaError as error:
            return f"{one.jid}: {error}"
    is_seen = known is not None and (known.subscription in SEEN or known.asks)
    if (one.subscription in SEEN or one.asks) and not is_seen:
        session.send(presence("subscribe", to=one.jid), kind="presence", to=one.jid)
    return None


def _parsed(text: str, warn: Callable[[str], None]) -> list[Contact]:
    """The contacts; every line is checked before the first is added."""
    found: dict[str, Contact] = {}
    twice: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):  # a name may hold U+2028, where splitlines() would cut
        if not line.strip():
            continue
        try:
            given = json.loads(line)
            name, groups = given.get("name"), given.get("groups") or []
            texts = (given["jid"], name or "", *groups)
            if not isinstance(groups, list) or not all(isinstance(one, str) for one in texts):
                raise DataError("jid and name are texts, and groups a list of texts")
            address = parse_address(given["jid"])
            jid = str(address.bare)
            groups = tuple(filter(None, groups))  # a server that keeps one without a name exports it
            asks = given.get("ask") is True
            # ejabberd keeps an item with a resource beside that of the bare address, which is the contact's own.
            if address.resourcepart is None or jid not in found:
                one = Contact(jid, name, groups, str(given.get("subscription") or "none"), asks)
                if address.resourcepart is None and found.get(jid, one) != one:
                    twice.append(f"line {number}: {jid} was there before; what this line says counts")
                found[jid] = one
        except (ValueError, KeyError, TypeError, XmppshError) as error:
            why = str(error) if isinstance(error, XmppshError) else "it is not a contact as `roster export` prints it"
            raise DataError(f"line {number}: {why}") from error
    for told in twice:
        warn(told)
    return list(found.values())
