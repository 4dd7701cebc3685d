"""What was sent stands in its conversation, by whichever line it was sent."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.program import Program
from support.servers import Server
from support.terminal import Terminal, at_prompt

pytestmark = pytest.mark.either_server


def rows(shell: Terminal, text: str) -> list[str]:
    """The rows of the conversation that say this."""
    return [line[6:] for line in shell.history if line.endswith(f" {text}") and line[2:3] == ":"]


def settled(shell: Terminal, text: str) -> list[str]:
    """The same, without what tells that it waits: on a slow machine everything does."""
    return [row for row in rows(shell, text) if not row.startswith("you …")]


async def test_what_send_sends_stands_in_the_conversation_once_and_in_last(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"/send {stage.friend} by a command")
        await stage.shell.until(lambda: settled(stage.shell, "by a command") == ["you ✓    by a command"], "its row")
        assert any(line.startswith(f"── {stage.friend} ──") for line in stage.shell.lines)
        await stage.target()
        await stage.shell.enter("by a line")
        await stage.shell.until(lambda: len(settled(stage.shell, "by a line")) == 1, "the row of what was typed")
        await stage.shell.enter("/last")
        await stage.shell.until(lambda: len(settled(stage.shell, "by a line")) == 2, "both again")
        assert settled(stage.shell, "by a command") == ["you ✓    by a command"] * 2


async def test_what_send_says_of_an_earlier_message_names_that(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"/send --id m1 {stage.friend} wrong window")
        await stage.shell.shows("you ✓    wrong window")
        await stage.shell.enter(f"/send --retract m1 {stage.friend}")
        await stage.shell.shows("* you ✓  retracted “wrong window”")
        await stage.shell.enter(f"/send --subject Tea {stage.friend} at four")
        await stage.shell.shows("you ✓    [Tea] at four")


async def test_what_send_sent_and_came_back_is_told_once_and_marked(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        nobody = f"nobody@{server.domain}"
        await stage.shell.enter(f"/send {nobody} are you there?")
        await stage.shell.shows("service-unavailable")
        await stage.shell.enter(f"/to {nobody}")
        await stage.shell.prompt(nobody)
        await stage.shell.enter("/last")
        await stage.shell.shows("you ✗    are you there?")
        assert sum("service-unavailable" in line for line in stage.shell.history) == 1


async def test_what_send_would_send_is_not_said(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"/send --dry-run {stage.friend} not yet")
        await stage.shell.shows("<body>not yet</body>")
        await stage.target()
        await stage.shell.enter("/last")
        await stage.shell.shows("(nothing was said here)")


async def test_what_a_room_has_not_said_yet_is_shown_as_waiting_and_kept_once(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server("prosody")
    room = f"tea@{server.conference}"
    async with Terminal(Program(tmp_path, server, server.account()), "connect") as shell:
        await shell.prompt()
        await shell.enter(f"/join {room} me")
        await shell.prompt(room)
        await shell.enter("at once")
        await shell.shows("me       at once")
        server.suspend()
        await shell.enter("into the silence")
        await shell.shows("you …    into the silence")
        server.resume()
        await shell.shows("me       into the silence")
        await shell.enter("/last")
        await shell.until(lambda: len(settled(shell, "at once")) == 2, "all again")
        assert rows(shell, "into the silence") == ["you …    into the silence", *["me       into the silence"] * 2]
        assert settled(shell, "at once") == ["me       at once"] * 2


async def test_what_a_room_refuses_to_say_is_shown_as_that(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        room = f"tea-{tmp_path.name[-8:]}@{server.conference}".lower()
        await stage.contact.enter(room, "host")
        await stage.shell.enter(f"/join {room} me")
        await stage.shell.prompt(room)
        await stage.contact.send_raw(
            f"<iq type='set' to='{room}' id='quiet'><query xmlns='http://jabber.org/protocol/muc#owner'>"
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
            "<value>http://jabber.org/protocol/muc#roomconfig</value></field>"
            "<field var='muc#roomconfig_moderatedroom'><value>1</value></field></x></query></iq>"
        )
        await stage.contact.send_raw(
            f"<iq type='set' to='{room}' id='mute'><query xmlns='http://jabber.org/protocol/muc#admin'>"
            "<item nick='me' role='visitor'/></query></iq>"
        )
        await stage.contact.settle()
        await stage.shell.enter("may I?")
        await stage.shell.shows("you ✗    may I?")
        await stage.shell.shows("xmppsh: “may I?”: ")
