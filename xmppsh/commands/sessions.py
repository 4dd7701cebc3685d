"""`sessions`: the account's own resources; which of them a program of ours has, or left when it died."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from xmppsh import ns
from xmppsh.commands.session_records import Closed, HeldRecord, ReapedRecord, SessionRecord
from xmppsh.errors import UsageError
from xmppsh.model import Jid
from xmppsh.output.verbatim import Verbatim
from xmppsh.registry.base import command
from xmppsh.texts import rfc3339
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from xmppsh.app.app import App
    from xmppsh.connection.options import SessionOptions
    from xmppsh.ghosts.dead_session import Reaped
    from xmppsh.outbox.registry import HeldSession
    from xmppsh.session.session import Session
    from xmppsh.xep.own_resources import Resource


@command("sessions", "list")
@click.option("--visible", is_flag=True, help="Send presence for a moment, which contacts will see.")
async def sessions_list(app: App, visible: bool) -> AsyncIterator[SessionRecord | Verbatim]:
    """Show the sessions of the account that are online.

    The age is that of the session if a program on this machine holds it, otherwise of its last presence. Not every
    server says what else is online unless it receives presence; contacts see that, so it takes --visible.

    Example:  xmppsh sessions list
    """
    from xmppsh.xep.own_resources import find, items_request

    if app.settings.dry_run:
        yield Verbatim(element("iq", {"type": "get", "id": "…"}, items_request()))
        return
    held, shared = _held(app), app.sessions.shared
    async with _asking(app) as session:
        own = session.jid

        @asynccontextmanager
        async def apart() -> AsyncIterator[Session]:
            if shared is None:
                yield session
            else:  # the shell's presence is the user's
                async with _new_session(app) as other:
                    yield other

        found = await find(session, [*held, own], apart, visible=visible)
    listed = [one for one in found.resources if one.jid != own or shared is not None]
    records = [_record(app, one, held.get(one.jid), this=one.jid == own) for one in listed]
    widths = tuple(max(map(len, column)) for column in zip(*(one.cells() for one in records), strict=True))
    for one in records:
        yield replace(one, widths=widths)
    if not found.complete:
        app.console.warn("the server does not say what else is online unless you send presence; try: --visible")


@command("sessions", "close")
@click.argument("resource")
async def sessions_close(app: App, resource: str) -> AsyncIterator[Closed | Verbatim]:
    """Close the account's session with this RESOURCE (or full JID).

    Example:  xmppsh sessions close phone
    """
    jid = _full_jid(app, resource)
    if app.settings.dry_run:
        yield Verbatim(_bind_request(jid))
    else:
        yield Closed(str(jid), jid.resourcepart, resumed=await _close(app, jid))


@command("sessions", "reap")
async def sessions_reap(app: App) -> AsyncIterator[ReapedRecord | Verbatim]:
    """Close the account's sessions that dead programs on this machine left behind.

    Example:  xmppsh sessions reap
    """
    if app.settings.dry_run:
        for held in _held(app).values():
            if not held.alive and held.row.sm_id is not None:
                resume = {"xmlns": ns.SM, "previd": "…", "h": str(held.row.handled)}
                yield Verbatim(element("resume", resume))
        return
    for one in await _reap_now(app, None):
        yield ReapedRecord(str(one.jid), one.resumed, round(one.age_s, 1), one.settled, one.left)


def _full_jid(app: App, resource: str) -> Jid:
    """RESOURCE is a resource of the account, or the full JID as `list` prints it."""
    bare = str(app.account.jid.bare)
    return Jid.parse(f"{bare}/{resource.removeprefix(f'{bare}/')}")


# ── The session that asks ───────────────────────────────────────────────────────────────────────────────────────


def _options(app: App) -> SessionOptions:
    """For a session of its own, with a random resource: the account's own might replace a session that is
    to be listed. What dead programs left is not closed before, since it is to be seen."""
    return replace(app.account.options, jid=app.account.jid.bare, heals=False, resumable_s=None, give_up_s=None)


@asynccontextmanager
async def _new_session(app: App) -> AsyncIterator[Session]:
    from xmppsh.session.session import Session

    app.account.warn_when_insecure()
    session = Session(_options(app), app.console.log, app.account.trace)
    try:
        await session.open()
        yield session
    finally:
        await session.close(hurry=app.console.shutdown.hurry, wait_s=0.0)


@asynccontextmanager
async def _asking(app: App) -> AsyncIterator[Session]:
    """The shell's session, or a short one."""
    if app.sessions.shared is not None:
        yield app.sessions.shared
        return
    async with _new_session(app) as session:
        yield session


def _held(app: App) -> dict[Jid, HeldSession]:
    """What programs of ours have, or left; of several with one address the living, then the newest."""
    from xmppsh.outbox.registry import held_sessions

    if (state := app.storage.folder) is None:
        return {}
    found = held_sessions(state, str(app.account.jid.bare), lambda error: app.console.warn(str(error)))
    found.sort(key=lambda held: (held.alive, held.row.started))
    return {Jid.parse(held.row.full_jid): held for held in found}


def _record(app: App, one: Resource, held: HeldSession | None, *, this: bool) -> SessionRecord:
    presence = one.availability
    began = None if presence is None else presence.stamp
    if held is not None:
        began = datetime.fromtimestamp(held.row.started, UTC)
    return SessionRecord(
        jid=str(one.jid),
        resource=one.jid.resourcepart,
        online=one.is_online,
        client=one.client or (None if held is None else "xmppsh"),
        age_s=None if began is None else max(0.0, round((app.console.now() - began).total_seconds(), 1)),
        show=None if presence is None else presence.show,
        status=None if presence is None else presence.status,
        priority=None if presence is None else presence.priority,
        this=this,
        held=None if held is None else _held_record(held),
    )


def _held_record(held: HeldSession) -> HeldRecord:
    started = rfc3339(datetime.fromtimestamp(held.row.started, UTC), "seconds")
    return HeldRecord("live" if held.alive else "dead", started, held.row.handled, held.unacked, held.row.max_s)


# ── close, reap ─────────────────────────────────────────────────────────────────────────────────────────────────


async def _close(app: App, jid: Jid) -> bool:
    """Close it; True when that was done by resuming it."""
    from xmppsh.xep.own_resources import NoSuchResource, exists, replace_and_close

    shared = app.sessions.shared
    if shared is not None and shared.jid == jid:
        raise UsageError(f"{jid} is this session itself", hint="/quit closes it")
    held = _held(app).get(jid)
    if held is not None and not held.alive:
        # Resumed, and what it had in flight settled: more than replacing it could do.
        closed = [one for one in await _reap_now(app, {held.row.owner}) if one.jid == jid]
        if closed:
            return any(one.resumed for one in closed)
    async with _asking(app) as session:
        there = await exists(session, jid)
    if not there:
        raise NoSuchResource(jid)
    # Only now: while another session of the account is there, be it the one that asked, both servers send what the
    # closed one had not acknowledged back to its senders, instead of keeping it (measured).
    await replace_and_close(_options(app), app.console.log, jid, app.account.trace)
    return False


def _bind_request(jid: Jid) -> str:
    resource = element("resource", None, jid.resourcepart)
    return element("iq", {"type": "set", "id": "…"}, element("bind", {"xmlns": ns.BIND}, resource))


async def _reap_now(app: App, names: Collection[str] | None) -> list[Reaped]:
    """Close what these dead programs left, or all of them."""
    from xmppsh.ghosts.reap import reap

    locks, log = app.storage.locks, app.console.log
    return await reap(_options(app), locks, log, app.account.trace, names=names, settle=True)
