"""`adhoc`: commands that servers and clients offer (XEP-0050)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import field
from typing import TYPE_CHECKING, Literal

import click

from xmppsh import ns
from xmppsh.commands.form_records import FormField, completed, field_record
from xmppsh.errors import ExitCode, ProtocolError, StanzaError, UsageError, XmppshError
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.protocol.conditions import UNKNOWN
from xmppsh.registry.base import command
from xmppsh.registry.params import JID, NODE
from xmppsh.texts import to_run
from xmppsh.xep import disco
from xmppsh.xep.forms import Form, form_in, names_hint, reported_in, split, submitted
from xmppsh.xep.missing import NotOffered, offered
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.app.app import App
    from xmppsh.model import Jid
    from xmppsh.session.session_port import SessionPort
    from xmppsh.xmlio.build import Xml

WHAT = "commands (XEP-0050)"
MAX_STAGES = 50
CANCEL_WAIT_S = 2.0
COMMAND = f"{{{ns.COMMANDS}}}command"


@dataclass(frozen=True, slots=True)
class AdhocCommand(Record):
    """A command that somebody offers."""

    kind: Literal["command"] = field(default="command", init=False)
    """What it is."""
    jid: str
    """Who offers it."""
    node: str
    """Its name, for `adhoc run`."""
    name: str | None
    """What it does, for people."""

    def text(self) -> str:
        """One line."""
        return safe.line(f"{self.node}  {self.name or ''}".rstrip())


@dataclass(frozen=True, slots=True)
class AdhocResult(Record):
    """A row of what a command gave back, or a note."""

    kind: Literal["result"] = field(default="result", init=False)
    """What it is."""
    note: str | None
    """A note to the user (XEP-0050 §3.4.3)."""
    level: str | None
    """info or warn, of a note."""
    values: dict[str, list[str]]
    """The values of the row by the names of its fields."""

    def text(self) -> str:
        """A note, or a line for each field."""
        if self.note is not None:
            return safe.block(f"warning: {self.note}" if self.level == "warn" else self.note)
        return "\n".join(safe.line(f"{name}: {', '.join(texts)}") for name, texts in self.values.items())


class CommandFailed(XmppshError):
    """The command itself says that it failed, by a note of type error."""

    exit_code = ExitCode.PROTOCOL
    layer = "stanza"


class NoSuchCommand(XmppshError):
    """Who is asked has commands, and not this one."""

    exit_code = ExitCode.NOUSER
    layer = "stanza"


@command("adhoc", "list")
@click.argument("to", type=JID)
async def adhoc_list(app: App, to: Jid) -> AsyncIterator[AdhocCommand]:
    """Show the commands that TO offers you.

    Example:  xmppsh adhoc list example.org
    """
    async with app.sessions.one_shot() as session:
        with offered(WHAT, str(to)):
            try:
                found = await disco.items(session, to, ns.COMMANDS)
            except StanzaError as error:
                if error.condition != "item-not-found":  # of the node, where somebody answers who has no commands
                    raise
                raise NotOffered(f"{to} does not offer {WHAT}", hint=to_run("disco", "info", to)) from error
    for one in found:
        yield AdhocCommand(one.jid, one.node or "", one.name)


@command("adhoc", "run")
@click.argument("to", type=JID)
@click.argument("node", type=NODE)
@click.argument("pairs", metavar="[FIELD=VALUE]…", nargs=-1)
@click.option("--next", "action", flag_value="next", help="Go to the next stage, where there is a choice.")
@click.option("--prev", "action", flag_value="prev", help="Go back a stage, once, where there is a choice.")
@click.option("--complete", "action", flag_value="complete", help="Finish at the first stage that may be the last.")
async def adhoc_run(
    app: App, to: Jid, node: str, pairs: tuple[str, ...], action: str | None
) -> AsyncIterator[FormField | AdhocResult]:
    """Run the command NODE of TO. The forms of all its stages are filled in from FIELD=VALUE.

    On a terminal you are prompted for what is missing; without one, the fields of the form are listed and the exit code
    is 64. A FIELD that no stage asks for is refused before the last stage.

    Example:  xmppsh adhoc run example.org uptime
    """
    given, asked_for, stages = split(pairs), set[str](), 0
    async with app.sessions.one_shot() as session:
        with offered(WHAT, str(to)):
            stage = await _begun(session, to, node)
        while stage.get("status") == "executing":
            if (stages := stages + 1) > MAX_STAGES:
                raise CommandFailed(f"{node} has not ended after {MAX_STAGES} stages")
            form, chosen = form_in(stage), _chosen(stage, action)
            here = {"node": node, "sessionid": stage.get("sessionid")}
            for result in _results(stage):
                yield result
            if (complaint := _failed(stage)) is not None:
                app.console.warn(f"{to}: {complaint}")
            asked_for.update(_names(form))
            try:
                unused = [name for name in given if name not in asked_for] if _is_last(stage, chosen) else []
                answer = await _answer(app, form, given, unused)
            except (XmppshError, asyncio.CancelledError) as error:
                with suppress(XmppshError, TimeoutError):  # what is wrong is what counts
                    async with asyncio.timeout(CANCEL_WAIT_S):
                        await _step(session, to, {**here, "action": "cancel"}, None)
                for one in form.asked if form is not None and isinstance(error, UsageError) else []:
                    yield field_record(one)
                raise
            action = None if chosen == "prev" else action
            stage = await _step(session, to, {**here, "action": chosen}, answer)
    for result in _results(stage):
        yield result
    if (failed := _failed(stage)) is not None:
        raise CommandFailed(f"{to}: {failed}")
    if (status := stage.get("status")) != "completed":
        raise CommandFailed(f"{to} did not complete {node}: its status is {status or 'not told'}")
    if unused := [name for name in given if name not in asked_for]:
        app.console.warn(f"{node} is done, and never asked for {', '.join(unused)}")


def _names(form: Form | None) -> list[str]:
    return [] if form is None else [one.name for one in form.fields]


async def _answer(app: App, form: Form | None, given: dict[str, list[str]], unused: list[str]) -> Xml | None:
    """What a stage is answered with. Raises UsageError, also for what no stage has asked for (unused), and DataError
    for what XML cannot carry."""
    fields = _names(form)
    if unused:
        hint = names_hint(unused, fields) if fields else None
        raise UsageError(f"it does not ask for {', '.join(unused)}", hint=hint)
    if form is None:
        return None
    return submitted(await completed(app, form, {name: given[name] for name in fields if name in given}))


def _actions(stage: Tree) -> set[str]:
    """What may be done with a stage (§3.3); one that does not say is the last."""
    actions = stage.find(f"{{{ns.COMMANDS}}}actions")
    return {"complete"} if actions is None else {one.tag.partition("}")[2] for one in actions}


def _chosen(stage: Tree, wanted: str | None) -> str | None:
    """What is wanted, where the stage allows it, else what the stage would do by itself."""
    actions = stage.find(f"{{{ns.COMMANDS}}}actions")
    by_itself = None if actions is None else actions.get("execute")
    return wanted if wanted in _actions(stage) else by_itself


def _is_last(stage: Tree, chosen: str | None) -> bool:
    return chosen == "complete" or "next" not in _actions(stage) | {chosen}


async def _begun(session: SessionPort, to: Jid, node: str) -> Tree:
    try:
        return await _step(session, to, {"node": node, "action": "execute"}, None)
    except StanzaError as error:
        # §3.4.4 has item-not-found; Prosody says of a single one what others say of all.
        if error.condition == "item-not-found" or (error.condition in UNKNOWN and await _has_commands(session, to)):
            raise NoSuchCommand(f"{to} has no command {node!r}", hint=to_run("adhoc", "list", to)) from error
        raise


async def _has_commands(session: SessionPort, to: Jid) -> bool:
    with suppress(XmppshError):
        return ns.COMMANDS in (await disco.info(session, to))[1]
    return False


async def _step(session: SessionPort, to: Jid, facts: dict[str, str | None], form: Xml | None) -> Tree:
    answer = await session.request("set", to, element("command", {"xmlns": ns.COMMANDS, **facts}, form))
    stage = tree(answer).find(COMMAND)
    if stage is None:
        raise ProtocolError(f"{to} does not say what became of the command", layer="stanza")
    return stage


def _notes(stage: Tree) -> list[tuple[str, str]]:
    return [(one.get("type", "info"), one.text or "") for one in stage.iterfind(f"{{{ns.COMMANDS}}}note")]


def _failed(stage: Tree) -> str | None:
    return next((text for kind, text in _notes(stage) if kind == "error"), None)


def _results(stage: Tree) -> list[AdhocResult]:
    """The notes of a stage, without what failed; and the rows, once there are results and no form to fill in."""
    notes = [AdhocResult(text, kind, {}) for kind, text in _notes(stage) if kind != "error"]
    rows = [] if stage.get("status") == "executing" else reported_in(stage)
    return [*notes, *(AdhocResult(None, None, row) for row in rows)]
