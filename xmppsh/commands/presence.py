"""`presence`: what others see of us, and whom we see (RFC 6121 §3, §4)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from xmppsh import ns
from xmppsh.commands.appearing import SHOWS, availability
from xmppsh.commands.collecting import reading_from
from xmppsh.errors import DeadlineExceeded, ExitCode, StanzaError, XmppshError
from xmppsh.model import Jid
from xmppsh.protocol.conditions import OUT_OF_REACH, stanza_error
from xmppsh.registry.base import command
from xmppsh.registry.params import JID
from xmppsh.session.requests import FENCE_TIMEOUT_S, may_refuse
from xmppsh.texts import to_run
from xmppsh.xep.roster import contacts
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree
from xmppsh.xmlio.stanzas import presence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.app.app import App
    from xmppsh.output.records import StanzaRecord
    from xmppsh.session.session_port import SessionPort
    from xmppsh.xmlio.build import Xml

NO_WAY = (*OUT_OF_REACH, "not-allowed", "forbidden")  # the last two: our server talks to no others, or not to this one
SILENCE_S = 2.0  # after the server's answer to a ping that was sent after the probe


class Unseen(XmppshError):
    """Nobody tells of somebody's presence: it is away, or we may not see it."""

    exit_code = ExitCode.NOUSER
    layer = "stanza"


@command("presence", "set")
@click.option("--show", type=click.Choice(SHOWS), help="away, chat, dnd or xa.")
@click.option("--status", metavar="TEXT", help="A status text.")
@click.option("--priority", type=click.IntRange(-128, 127), metavar="N", help="-128 to 127 [0].")
@click.option("--to", type=JID, metavar="JID", help="Send it to JID only (directed presence).")
async def presence_set(app: App, show: str | None, status: str | None, priority: int | None, to: Jid | None) -> None:
    """Send your presence. It lasts as long as the session: in the shell until you leave it, elsewhere for a moment.

    Example:  xmppsh presence set --show away --status "back at five"
    """
    if app.sessions.shared is None and not app.settings.dry_run:
        app.console.warn("this presence ends with the command; in the shell, and with listen, it stays")
    async with app.sessions.one_shot() as session:
        if to is None:
            await session.acked(session.broadcast_presence(availability(show, status, priority)))
        else:
            available = presence(to=str(to), show=show, status=status, priority=priority)
            if not await _unrefused(session, available, to):
                app.console.warn(f"{to.domainpart} does not answer: whether {to} has this presence is not known")


async def _send(app: App, stanza_type: str, jid: Jid) -> None:
    async with app.sessions.one_shot() as session:
        if await _unrefused(session, presence(stanza_type, to=str(jid.bare)), jid.bare):
            if stanza_type == "subscribed" and not await _sees_us(session, jid):
                app.console.warn(
                    f"{jid.bare} has not asked to see your presence: approve it again when it has, "
                    "unless your server keeps this until then"
                )
            return
        what = "this"
        if stanza_type == "subscribe" and any(one.jid == str(jid.bare) and one.asks for one in await contacts(session)):
            what = "the request, which your server keeps,"  # RFC 6121 §3.1.2
        app.console.warn(f"{jid.domainpart} does not answer: whether {jid.bare} has {what} is not known")


async def _sees_us(session: SessionPort, jid: Jid) -> bool:
    return any(one.jid == str(jid.bare) and one.sees_us for one in await contacts(session))


async def _unrefused(session: SessionPort, stanza: Xml, to: Jid) -> bool:
    """Send it, and raise what their server, or ours in its place, says against it (RFC 6120 §8.3).

    False where their server is silent.
    """
    async with reading_from(session.subscribe("presence")) as presences:
        await session.acked(session.send(stanza, kind="presence", to=str(to)))
        answers = await _reached(session, to)
        presences.finish()
        async for answer in presences:
            if answer.attributes.get("type") == "error" and may_refuse(answer.sender, to, session.jid):
                raise stanza_error(tree(answer), answer.sender or session.jid.domainpart)
        return answers


async def _reached(session: SessionPort, to: Jid) -> bool:
    """Wait until their server answers what follows what was sent to it; raises StanzaError where ours cannot reach it.

    Not every server tells a client of a presence that came back; whatever answers the ping is no error. False for
    silence.
    """
    limit_s = min(FENCE_TIMEOUT_S, session.options.timeout_s)
    try:
        await session.request("get", Jid(None, to.domainpart), element("ping", {"xmlns": ns.PING}), limit_s)
    except StanzaError as error:
        if error.condition in NO_WAY:
            raise
    except DeadlineExceeded:
        return False
    return True


@command("presence", "probe")
@click.argument("contact", metavar="JID", type=JID)
async def presence_probe(app: App, contact: Jid) -> AsyncIterator[StanzaRecord]:
    """Ask for the presence of JID now, and print what its server answers (RFC 6121 §4.3).

    Example:  xmppsh presence probe juliet@example.org
    """
    to, answers = str(contact.bare), 0
    async with app.sessions.one_shot() as session, reading_from(session.subscribe("presence")) as presences:
        session.send(presence("probe", to=to), kind="presence", to=to)
        await session.requests.fence({contact.domainpart})
        silence = asyncio.get_running_loop().call_later(SILENCE_S, presences.finish)
        async for stanza in presences:
            if stanza.attributes.get("type") == "error" and may_refuse(stanza.sender, contact.bare, session.jid):
                raise stanza_error(tree(stanza), stanza.sender or session.jid.domainpart)
            if stanza.sender.partition("/")[0] != to:
                continue  # somebody else, who can see us
            answers += 1
            yield app.record(stanza)
            presences.finish()  # the others have come with it
        silence.cancel()
    if not answers:
        raise Unseen(f"the server says nothing about {to}", hint=to_run("presence", "subscribe", to))


@command("presence", "subscribe")
@click.argument("contact", metavar="JID", type=JID)
async def presence_subscribe(app: App, contact: Jid) -> None:
    """Ask JID to let you see its presence. Until JID answers, `roster list` shows that you have asked.

    Example:  xmppsh presence subscribe juliet@example.org
    """
    await _send(app, "subscribe", contact)


@command("presence", "approve")
@click.argument("contact", metavar="JID", type=JID)
async def presence_approve(app: App, contact: Jid) -> None:
    """Let JID see your presence.

    Example:  xmppsh presence approve juliet@example.org
    """
    await _send(app, "subscribed", contact)


@command("presence", "deny")
@click.argument("contact", metavar="JID", type=JID)
async def presence_deny(app: App, contact: Jid) -> None:
    """Do not let JID see your presence, or stop letting it.

    Example:  xmppsh presence deny juliet@example.org
    """
    await _send(app, "unsubscribed", contact)
