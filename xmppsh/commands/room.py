"""`room`: rooms, who is in them, what they are about, and who may do what (XEP-0045)."""

from __future__ import annotations

from contextlib import aclosing, suppress
from dataclasses import field
from typing import TYPE_CHECKING, Literal

import click

from xmppsh import ns
from xmppsh.app.progress import listed
from xmppsh.commands.collecting import reading_from, send_unrefused
from xmppsh.commands.form_records import FormField, completed, field_record
from xmppsh.errors import ExitCode, Partial, StanzaError, UsageError, XmppshError
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.registry.base import command
from xmppsh.registry.params import JID, ROOM
from xmppsh.registry.params import NICK as WHO
from xmppsh.texts import to_run
from xmppsh.xep import disco
from xmppsh.xep.forms import form_in, split, submitted
from xmppsh.xep.missing import NotOffered, offered, require
from xmppsh.xep.muc import WHAT, inside, is_room, is_subject
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from xmppsh.app.app import App
    from xmppsh.model import Jid
    from xmppsh.session.session_port import SessionPort

AFFILIATIONS = ("owner", "admin", "member", "none", "outcast")  # §5.2
ROLES = ("moderator", "participant", "visitor", "none")  # §5.1
NICK = click.option("--nick", metavar="NICK", help="Your nickname in the room [that of the account].")
PASSWORD = click.option("--room-password", metavar="PASSWORD", help="The room's password.")
REASON = click.option("--reason", metavar="TEXT", help="The reason.")


@dataclass(frozen=True, slots=True)
class Room(Record):
    """A room of a service."""

    kind: Literal["room"] = field(default="room", init=False)
    """What it is."""
    jid: str
    """Its address."""
    name: str | None
    """Its name."""

    def text(self) -> str:
        """One line."""
        return safe.line(f"{self.jid}  {self.name or ''}".rstrip())


@dataclass(frozen=True, slots=True)
class Occupant(Record):
    """Somebody in a room."""

    kind: Literal["occupant"] = field(default="occupant", init=False)
    """What it is."""
    nick: str
    """The name in the room."""
    jid: str | None
    """The address, where the room tells us."""

    def text(self) -> str:
        """One line."""
        return safe.line(f"{self.nick}  {self.jid or ''}".rstrip())


@dataclass(frozen=True, slots=True)
class Affiliation(Record):
    """What somebody is to a room."""

    kind: Literal["affiliation"] = field(default="affiliation", init=False)
    """What it is."""
    jid: str
    """Whose it is."""
    affiliation: str
    """owner, admin, member or outcast (banned)."""
    reason: str | None
    """The reason, where the room tells one."""

    def text(self) -> str:
        """One line."""
        return safe.line(f"{self.jid}  {self.affiliation}  {self.reason or ''}".rstrip())


@dataclass(frozen=True, slots=True)
class Subject(Record):
    """What a room is about."""

    kind: Literal["subject"] = field(default="subject", init=False)
    """What it is."""
    from_: str
    """The room."""
    subject: str
    """The subject; empty where there is none."""

    def text(self) -> str:
        """The subject."""
        return safe.block(self.subject)


@command("room", "list")
@click.argument("service", type=JID)
async def room_list(app: App, service: Jid) -> AsyncIterator[Room]:
    """Show the public rooms of SERVICE.

    Example:  xmppsh room list conference.example.org
    """
    async with app.sessions.one_shot() as session:
        with offered(WHAT, str(service)):
            await require(session, service, ns.MUC, WHAT)
            async with aclosing(listed(app, "rooms", disco.pages_of_items(session, service))) as found:
                async for one in found:
                    yield Room(one.jid, one.name)


@command("room", "who")
@click.argument("room", type=ROOM)
@NICK
@PASSWORD
async def room_who(app: App, room: Jid, nick: str | None, room_password: str | None) -> AsyncIterator[Occupant]:
    """Show who is in ROOM. If it does not say so to outsiders (XEP-0045 §6.5), join it for a moment.

    Example:  xmppsh room who team@conference.example.org
    """
    async with app.sessions.one_shot() as session:
        await is_room(session, room)  # what a user has are no occupants
        are_told = False
        async with aclosing(listed(app, "occupants", disco.pages_of_items(session, room.bare))) as found:
            async for one in found:
                yield Occupant(one.jid.partition("/")[2] or one.name or one.jid, None)
                are_told = True
        if are_told:
            return
        reading, entering = (
            reading_from(session.subscribe("presence")),
            _inside(app, session, room, nick, room_password),
        )
        async with reading as presences, entering as own:
            presences.finish()  # ours is the last one (§7.2.3)
            async for stanza in presences:
                bare, _, name = stanza.sender.partition("/")
                if bare == str(room.bare) and name not in ("", own) and "type" not in stanza.attributes:
                    item = tree(stanza).find(f"{{{ns.MUC_USER}}}x/{{{ns.MUC_USER}}}item")
                    yield Occupant(name, None if item is None else item.get("jid"))


@command("room", "subject")
@click.argument("room", type=ROOM)
@click.argument("text", required=False)
@NICK
@PASSWORD
async def room_subject(
    app: App, room: Jid, text: str | None, nick: str | None, room_password: str | None
) -> AsyncIterator[Subject]:
    """Show the subject of ROOM, or change it to TEXT.

    Example:  xmppsh room subject team@conference.example.org "Release on Friday"
    """
    async with app.sessions.one_shot() as session:
        entering = _inside(app, session, room, nick, room_password)
        async with reading_from(session.subscribe("message")) as messages, entering:
            if text is None:
                with suppress(StanzaError):
                    await disco.info(session, room.bare)  # answered after the subject, which it tells who enters
                messages.finish()
                said = ""
                async for stanza in messages:
                    if stanza.sender.partition("/")[0] == str(room.bare) and is_subject(stanza):
                        said = tree(stanza).findtext(f"{{{ns.CLIENT}}}subject") or ""
                yield Subject(str(room.bare), said)
            else:
                about = element("subject", None, text)
                await send_unrefused(session, room.bare, {"type": "groupchat"}, about, str(room.bare))


@command("room", "invite")
@click.argument("room", type=ROOM)
@click.argument("guest", metavar="JID", type=JID)
@REASON
@click.option("--direct", is_flag=True, help="Invite JID yourself, not through the room; you need not join it.")
@NICK
@PASSWORD
async def room_invite(
    app: App, room: Jid, guest: Jid, reason: str | None, direct: bool, nick: str | None, room_password: str | None
) -> None:
    """Invite JID to ROOM: through the room (XEP-0045 §7.8.2), which also admits JID to a members-only room, or directly
    (XEP-0249). A --direct invitation includes the --room-password.

    Example:  xmppsh room invite team@conference.example.org juliet@example.org
    """
    async with app.sessions.one_shot() as session:
        if direct:
            facts = {"xmlns": ns.CONFERENCE, "jid": str(room.bare), "reason": reason, "password": room_password}
            return await send_unrefused(session, guest, {}, element("x", facts), guest.domainpart)
        why = None if reason is None else element("reason", None, reason)
        asked = element("x", {"xmlns": ns.MUC_USER}, element("invite", {"to": str(guest)}, why))
        async with _inside(app, session, room, nick, room_password):
            await send_unrefused(session, room.bare, {}, asked, str(room.bare))


@command("room", "affiliation")
@click.argument("room", type=ROOM)
@click.argument("who", metavar="[JID]", type=JID, required=False)
@click.argument("affiliation", type=click.Choice(AFFILIATIONS), required=False)
@REASON
async def room_affiliation(
    app: App, room: Jid, who: Jid | None, affiliation: str | None, reason: str | None
) -> AsyncIterator[Affiliation]:
    """Make JID an owner, admin, member, none or outcast (banned) of ROOM. Without JID, show who is what.

    \b
    Example:  xmppsh room affiliation team@rooms.example.org
              xmppsh room affiliation team@rooms.example.org bob@example.org none
    """
    if who is not None and affiliation is None:
        raise UsageError(f"what {who} is to be is missing", hint=f"one of {', '.join(AFFILIATIONS)}")
    async with app.sessions.one_shot() as session:
        await is_room(session, room)
        if who is None:
            async with aclosing(_affiliations(session, room)) as found:
                async for one in found:
                    yield one
            return
        await _administer(session, room, {"jid": str(who.bare), "affiliation": affiliation}, reason)


async def _affiliations(session: SessionPort, room: Jid) -> AsyncGenerator[Affiliation]:
    """Who is what, list by list (§9.5, §9.8, §10.5, §10.8); raises Partial where some lists are not for us."""
    hidden: list[str] = []
    wanted = [one for one in AFFILIATIONS if one != "none"]
    for affiliation in wanted:
        query = element("query", {"xmlns": ns.MUC_ADMIN}, element("item", {"affiliation": affiliation}))
        try:
            answer = tree(await session.request("get", room.bare, query))
        except StanzaError as error:
            if error.condition not in ("forbidden", "not-allowed"):
                raise
            hidden.append(affiliation)
            if hidden == wanted:
                raise
            continue
        for item in answer.iterfind(f"{{{ns.MUC_ADMIN}}}query/{{{ns.MUC_ADMIN}}}item"):
            reason = item.findtext(f"{{{ns.MUC_ADMIN}}}reason")
            yield Affiliation(item.get("jid", ""), item.get("affiliation", affiliation), reason or None)
    if hidden:
        raise Partial(f"{room.bare} does not tell you who is {' or '.join(hidden)}", hint="ask its owner")


class NobodyThere(XmppshError):
    """The room has no occupant with that nickname."""

    exit_code = ExitCode.NOUSER
    layer = "stanza"


@command("room", "role")
@click.argument("room", type=ROOM)
@click.argument("nick", type=WHO)
@click.argument("role", type=click.Choice(ROLES))
@REASON
@click.option("--nick", "own_nick", metavar="NICK", help="Your nickname in the room [that of the account].")
@PASSWORD
async def room_role(
    app: App, room: Jid, nick: str, role: str, reason: str | None, own_nick: str | None, room_password: str | None
) -> None:
    """Make NICK a moderator, participant or visitor of ROOM, which is joined for that; none kicks NICK out.

    Example:  xmppsh room role team@conference.example.org Juliet moderator
    """
    # A role is given by an occupant (§8.4).
    async with app.sessions.one_shot() as session, _inside(app, session, room, own_nick, room_password):
        await _administer(session, room, {"nick": nick, "role": role}, reason)


async def _administer(session: SessionPort, room: Jid, facts: dict[str, str | None], reason: str | None) -> None:
    item = element("item", facts, None if reason is None else element("reason", None, reason))
    try:
        await session.request("set", room.bare, element("query", {"xmlns": ns.MUC_ADMIN}, item))
    except StanzaError as error:
        # §8.4 does not say how; Prosody and ejabberd.
        if "nick" in facts and error.condition in ("item-not-found", "not-acceptable"):
            text = f"nobody in {room.bare} is called {facts['nick']!r}"
            raise NobodyThere(text, hint=to_run("room", "who", room.bare)) from error
        raise


@command("room", "config")
@click.argument("room", type=ROOM)
@click.argument("pairs", metavar="[FIELD=VALUE]…", nargs=-1)
async def room_config(app: App, room: Jid, pairs: tuple[str, ...]) -> AsyncIterator[FormField]:
    """Show the configuration of ROOM, or change its fields.

    \b
    Example:  xmppsh room config team@muc.example.org
              xmppsh room config team@muc.example.org muc#roomconfig_publicroom=0
    """
    given = split(pairs)
    async with app.sessions.one_shot() as session:
        await is_room(session, room)
        answer = tree(await session.request("get", room.bare, element("query", {"xmlns": ns.MUC_OWNER})))
        form = form_in(answer.find(f"{{{ns.MUC_OWNER}}}query"))
        if form is None:
            raise NotOffered(f"{room.bare} has no configuration")
        if given:
            values = await completed(app, form, given)
            await session.request("set", room.bare, element("query", {"xmlns": ns.MUC_OWNER}, submitted(values)))
    if not given:
        for one in form.asked:
            yield field_record(one)


@command("room", "destroy")
@click.argument("room", type=ROOM)
@REASON
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
async def room_destroy(app: App, room: Jid, reason: str | None, yes: bool) -> None:
    """Destroy ROOM for everyone.

    Example:  xmppsh room destroy team@conference.example.org --yes
    """
    if not (yes or app.settings.dry_run or await app.console.confirm(f"Destroy {room.bare}?", "--yes")):
        return
    why = element("destroy", None, None if reason is None else element("reason", None, reason))
    async with app.sessions.one_shot() as session:
        await is_room(session, room)
        await session.request("set", room.bare, element("query", {"xmlns": ns.MUC_OWNER}, why))


def _inside(
    app: App, session: SessionPort, room: Jid, nick: str | None, password: str | None
) -> AbstractAsyncContextManager[str]:
    return inside(session, [room], nick, password, waits=not app.settings.dry_run)
