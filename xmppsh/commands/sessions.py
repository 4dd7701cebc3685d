"""`sessions`: the account's own resources; which of them a program of ours has, or left when it died."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from xmppsh import ns
from xmppsh.commands.base import command
from xmppsh.config.paths import state_folder
from xmppsh.errors import UsageError
from xmppsh.model import Jid
from xmppsh.output import safe
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from xmppsh.commands.app import App
    from xmppsh.connection.options import SessionOptions
    from xmppsh.ghosts.dead_session import Reaped
    from xmppsh.outbox.registry import HeldSession
    from xmppsh.session.session import Session
    from xmppsh.xep.own_resources import Resource

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400


@command("sessions", "list")
@click.option("--visible", is_flag=True, help="Send presence for a moment, which contacts see.")
async def sessions_list(app: App, visible: bool) -> None:
    """Show the sessions of the account that are online.

    The age is that of the session where a program of ours has it, otherwise of its last presence. Not every server
    tells what else is online without being shown presence; contacts see that, so it needs --visible.

    Example:  xmppsh sessions list
    """
    await _list(app, visible=visible)


@command("sessions", "close")
@click.argument("resource")
async def sessions_close(app: App, resource: str) -> None:
    """Close the account's session of RESOURCE (its full JID will do, too).

    Example:  xmppsh sessions close phone
    """
    await _close(app, _full_jid(app, resource))


@command("sessions", "reap")
async def sessions_reap(app: App) -> None:
    """Close the account's sessions that dead programs of this machine left.

    Example:  xmppsh sessions reap
    """
    await _reap(app)


def _full_jid(app: App, resource: str) -> Jid:
    """RESOURCE is a resource of the account, or the full JID as `list` prints it."""
    bare = str(app.jid.bare)
    return Jid.parse(f"{bare}/{resource.removeprefix(f'{bare}/')}")


# ── The session that asks ───────────────────────────────────────────────────────────────────────────────────────


def _options(app: App) -> SessionOptions:
    """For a session of its own, with a random resource: the account's own might replace a session that is
    to be listed. What dead programs left is not closed before, since it is to be seen."""
    options = app.session_options() if app.shared is None else app.shared.options
    return replace(options, jid=options.jid.bare, heals=False, resumable_s=None, give_up_s=None)


@asynccontextmanager
async def _new_session(app: App) -> AsyncIterator[Session]:
    from xmppsh.session.session import Session

    options = _options(app)
    if options.policy.insecure and app.shared is None:
        app.warn("certificates are not checked (--insecure): anybody can read and change what is sent")
    session = Session(options, app.log, app.trace)
    try:
        await session.open()
        yield session
    finally:
        await session.close(hurry=app.shutdown.hurry, wait_s=0.0)


@asynccontextmanager
async def _asking(app: App) -> AsyncIterator[Session]:
    """The shell's session, or a short one."""
    if app.shared is not None:
        yield app.shared
        return
    async with _new_session(app) as session:
        yield session


def _held(app: App) -> dict[Jid, HeldSession]:
    """What programs of ours have, or left; of several with one address the living, then the newest."""
    from xmppsh.outbox.registry import held_sessions

    if (state := state_folder(app.env)) is None:
        return {}
    found = held_sessions(state, str(app.jid.bare), lambda error: app.warn(str(error)))
    found.sort(key=lambda held: (held.alive, held.row.started))
    return {Jid.parse(held.row.full_jid): held for held in found}


# ── list ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _list(app: App, *, visible: bool) -> None:
    from xmppsh.xep.own_resources import find, items_request

    if app.settings.dry_run:
        await app.stdout.write(element("iq", {"type": "get", "id": "…"}, items_request()) + "\n")
        return
    held = _held(app)
    async with _asking(app) as session:
        own = session.jid

        @asynccontextmanager
        async def apart() -> AsyncIterator[Session]:
            if app.shared is None:
                yield session
            else:  # the shell's presence is the user's
                async with _new_session(app) as other:
                    yield other

        found = await find(session, [*held, own], apart, visible=visible)
    listed = [one for one in found.resources if one.jid != own or app.shared is not None]
    await _emit_aligned(app, [_record(app, one, held.get(one.jid), this=one.jid == own) for one in listed])
    if not found.complete:
        app.warn("the server does not tell what else is online unless it is shown presence; try: --visible")


def _record(app: App, one: Resource, held: HeldSession | None, *, this: bool) -> dict[str, Any]:
    presence = one.availability
    began = None if presence is None else presence.stamp
    if held is not None:
        began = datetime.fromtimestamp(held.row.started, UTC)
    return {
        "kind": "session",
        "jid": str(one.jid),
        "resource": one.jid.resourcepart,
        "online": one.is_online,
        "client": one.client or (None if held is None else "xmppsh"),
        "age_s": None if began is None else max(0.0, round((app.now() - began).total_seconds(), 1)),
        "show": None if presence is None else presence.show,
        "status": None if presence is None else presence.status,
        "priority": None if presence is None else presence.priority,
        "this": this,
        "held": None if held is None else _held_record(held),
    }


def _held_record(held: HeldSession) -> dict[str, Any]:
    started = datetime.fromtimestamp(held.row.started, UTC)
    return {
        "state": "live" if held.alive else "dead",
        "started": started.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "handled": held.row.handled,
        "unacked": held.unacked,
        "max_s": held.row.max_s,
    }


async def _emit_aligned(app: App, records: list[dict[str, Any]]) -> None:
    rows = [_columns(data) for data in records]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for data, row in zip(records, rows, strict=True):
        padded = (f"{text:{width}}" for text, width in zip(row, widths, strict=True))
        await app.emit(data, "  ".join(padded).rstrip())


def _columns(data: dict[str, Any]) -> tuple[str, ...]:
    """Resource, presence, priority, client, age, whose it is, status."""
    presence = "offline"
    if data["online"]:
        presence = "-" if data["priority"] is None else data["show"] or "available"
    held = data["held"]
    whose = "this" if data["this"] else "" if held is None else f"ours, {held['state']}"
    if held is not None and held["unacked"]:
        whose += f", {held['unacked']} unacked"
    return (
        safe.line(data["resource"]),
        safe.line(presence),
        "" if data["priority"] is None else str(data["priority"]),
        safe.line(data["client"] or "-"),
        "-" if data["age_s"] is None else _span(data["age_s"]),
        whose,
        safe.line(data["status"] or ""),
    )


def _span(seconds: float) -> str:
    """A length of time in its largest unit."""
    for unit_s, unit in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"


# ── close, reap ─────────────────────────────────────────────────────────────────────────────────────────────────


async def _close(app: App, jid: Jid) -> None:
    from xmppsh.xep.own_resources import NoSuchResource, exists, replace_and_close

    if app.settings.dry_run:
        await app.stdout.write(_bind_request(jid) + "\n")
        return
    if app.shared is not None and app.shared.jid == jid:
        raise UsageError(f"{jid} is this session itself", hint="/quit closes it")
    held = _held(app).get(jid)
    if held is not None and not held.alive:
        # Resumed, and what it had in flight settled: more than replacing it could do.
        closed = await _reap_now(app, {held.row.owner})
        if jid in [one.jid for one in closed]:
            await _tell_closed(app, jid, resumed=any(one.resumed for one in closed if one.jid == jid))
            return
    async with _asking(app) as session:
        there = await exists(session, jid)
    if not there:
        raise NoSuchResource(jid)
    # Only now: while another session of the account is there, be it the one that asked, both servers send what the
    # closed one had not acknowledged back to its senders, instead of keeping it (measured).
    await replace_and_close(_options(app), app.log, jid, app.trace)
    await _tell_closed(app, jid, resumed=False)


def _bind_request(jid: Jid) -> str:
    resource = element("resource", None, jid.resourcepart)
    return element("iq", {"type": "set", "id": "…"}, element("bind", {"xmlns": ns.BIND}, resource))


async def _tell_closed(app: App, jid: Jid, *, resumed: bool) -> None:
    data = {"kind": "closed", "jid": str(jid), "resource": jid.resourcepart, "resumed": resumed}
    await app.emit(data, f"closed {safe.line(str(jid))}")


async def _reap(app: App) -> None:
    if app.settings.dry_run:
        for held in _held(app).values():
            if not held.alive and held.row.sm_id is not None:
                resume = {"xmlns": ns.SM, "previd": "…", "h": str(held.row.handled)}
                await app.stdout.write(element("resume", resume) + "\n")
        return
    for one in await _reap_now(app, None):
        data = {
            "kind": "reaped",
            "jid": str(one.jid),
            "resumed": one.resumed,
            "age_s": round(one.age_s, 1),
            "acked": one.settled,
            "left": one.left,
        }
        how = "closed" if one.resumed else "was gone, or is replaced and closed"
        left = f", {one.left} unconfirmed: xmppsh outbox retry" if one.left else ""
        await app.emit(data, f"{safe.line(str(one.jid))}  {how}, {_span(one.age_s)} old{left}")


async def _reap_now(app: App, names: Collection[str] | None) -> list[Reaped]:
    """Close what these dead programs left, or all of them."""
    from xmppsh.ghosts.reap import reap

    return await reap(_options(app), app.locks, app.log, app.trace, names=names, settle=True)
