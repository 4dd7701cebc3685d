"""The shell at a terminal: what is typed, what is shown."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from support.program import Program
from support.servers import Server
from support.terminal import (
    CTRL_D,
    Terminal,
    at_prompt,
)

pytestmark = pytest.mark.either_server


@pytest.mark.parametrize(
    "text", ['it\'s "quoted" \\ & <b> 😀 é', "  spaces around  ", "# no comment here"], ids=["signs", "spaces", "hash"]
)
async def test_a_typed_message_arrives_exactly_as_it_was_typed(server: Server, tmp_path: Path, text: str) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.target()
        await stage.shell.enter(text)
        message = await stage.contact.wait_for_message(lambda message: True)
        assert (message.body, message.type) == (text, "chat")
        await stage.shell.prompt(stage.friend)


async def test_two_slashes_send_one(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.target()
        await stage.shell.enter("//quit is a command")
        assert (await stage.contact.wait_for_message(lambda message: True)).body == "/quit is a command"


async def test_the_text_of_send_is_taken_as_it_stands(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f'/send {stage.friend} it\'s "so" --subject no')
        assert (await stage.contact.wait_for_message(lambda message: True)).body == 'it\'s "so" --subject no'


async def test_an_incoming_message_appears_above_the_half_typed_line(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.target()
        stage.shell.type("half a line")
        await stage.shell.until(lambda: stage.shell.line.endswith("half a line"), "the half-typed line")
        await stage.contact.send(stage.jid, "knock \x1b[2Jknock".replace("\x1b", "\u202e"))
        shown = await stage.shell.shows("knock")
        assert shown.endswith(f" {stage.friend.partition('@')[0]} knock \\u202e[2Jknock")
        assert stage.shell.line_above(shown).startswith(f"── {stage.friend} ──")
        await stage.shell.until(
            lambda: stage.shell.line == f"{stage.friend.partition('@')[0]}> half a line", "the line as it was"
        )
        assert stage.shell.lines.index(shown) == stage.shell.lines.index(stage.shell.line) - 1
        assert sum("half a line" in line for line in stage.shell.lines) == 1
        await stage.shell.enter(" and the rest")
        assert (await stage.contact.wait_for_message(lambda message: True)).body == "half a line and the rest"


async def test_a_flood_of_messages_takes_nothing_from_what_is_typed(server: Server, tmp_path: Path) -> None:
    text = "typed key by key while messages come in"
    async with at_prompt(server, tmp_path) as stage:
        await stage.target()

        async def flood() -> None:
            for number in range(100):
                await stage.contact.send(stage.jid, f"message {number} of 100")

        async with asyncio.TaskGroup() as group:
            group.create_task(flood())
            for key in text:
                stage.shell.type(key)
                await stage.shell.until(lambda key=key: stage.shell.line.endswith(key.strip()), f"the key {key}")
        await stage.shell.shows("message 99 of 100")
        stage.shell.type("\r")
        assert (await stage.contact.wait_for_message(lambda message: True)).body == text
        numbers = [line.split()[-3] for line in stage.shell.history if line.endswith("of 100")]
        assert numbers == [str(number) for number in range(100)]


@pytest.mark.long
async def test_a_message_that_is_never_acknowledged_is_named(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server("prosody")
    account = server.account()
    program = Program(tmp_path, server, account)
    program.env["XMPPSH_TIMEOUT"] = "1"
    async with Terminal(program, "connect") as shell:
        await shell.prompt()
        await shell.shows("all sent")
        await shell.enter(f"/to {account.jid}")
        await shell.prompt(account.jid)
        server.suspend()
        await shell.enter("into the void")
        await shell.shows("xmppsh: “into the void”: 1 stanza was written and never acknowledged: ")
        await shell.prompt(account.jid)
        shell.type(CTRL_D)
        assert await shell.exit_code() == 79


async def test_xml_is_sent_once_its_element_is_closed(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"<message to='{stage.friend}' type='headline' id='mine'>")
        await stage.shell.enter("<body>one")
        await stage.shell.enter("/two</body>")
        await stage.shell.until(lambda: stage.shell.line.strip() == "...", "a line that goes on")
        assert not stage.contact.messages
        await stage.shell.enter("</message>")
        message = await stage.contact.wait_for_message(lambda message: True)
        assert (message.body, message.type, message.id) == ("one\n/two", "headline", "mine")
        await stage.shell.prompt()


async def test_an_iq_that_is_typed_shows_its_answer(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"<iq type='get' to='{server.domain}' id='v1'><ping xmlns='urn:xmpp:ping'/></iq>")
        await stage.shell.until(
            lambda: any("type='result'" in line and "v1" in line for line in stage.shell.lines), "the answer"
        )


async def test_ping_prints_its_round_trip(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter("/ping")
        assert (await stage.shell.shows("pong")).startswith(f"pong from {server.domain}: ")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/nope", "xmppsh: /nope is not a command"),
        ("/listen", "xmppsh: /listen does not run in the shell"),
        ("/ping 'a", "xmppsh: /ping: no closing quotation"),
        ("/ping --host x", "xmppsh: /ping: --host belongs to the session"),
        ("to nobody", "xmppsh: the message has no recipient"),
        ("/to @", "xmppsh: '@' is not an XMPP address"),
    ],
)
async def test_a_wrong_line_is_an_error_and_the_shell_goes_on(
    prosody: Server, tmp_path: Path, line: str, sentence: str
) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter(line)
        await stage.shell.shows(sentence)
        await stage.shell.prompt()
        await stage.is_alive()


async def test_a_message_that_bounces_is_named(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"/to nobody@{server.domain}")
        await stage.shell.prompt(f"nobody@{server.domain}")
        await stage.shell.enter("are you there?")
        assert "service-unavailable" in await stage.shell.shows("xmppsh: “are you there?”: nobody@")
        await stage.shell.shows("you ✗ ")
        await stage.is_alive()


async def test_help_lists_the_commands_and_explains_one(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/help")
        await stage.shell.shows("The Tab key completes.")
        assert any("  /send " in line for line in stage.shell.history)
        await stage.shell.prompt()
        await stage.shell.enter("/help ping")
        await stage.shell.shows("Usage: /ping [OPTIONS] [TO]")


async def test_the_toolbar_tells_who_we_are_how_and_what_is_acked(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.target()
        await stage.shell.enter("hello")
        await stage.shell.shows("✓")
        toolbar = await stage.shell.shows("TLS 1.3")
        assert toolbar.startswith(f" {stage.jid}/")
        assert "all sent" in toolbar


async def test_a_message_shows_how_far_it_has_come(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.target()
        await stage.shell.enter("first")
        message = await stage.contact.wait_for_message(lambda message: True)
        await stage.shell.shows("you ✓    first")
        receipt = f"<received xmlns='urn:xmpp:receipts' id='{message.id}'/>"
        told = f"<message to='{message.sender}' type='chat'>{receipt}</message>"
        await stage.contact.send_raw(told)
        await stage.shell.shows("all sent, the last one delivered")
        marker = "xmlns='urn:xmpp:chat-markers:0'"
        assert marker in message.xml.replace('"', "'")
        await stage.contact.send_raw(told.replace("received", "displayed").replace("xmlns='urn:xmpp:receipts'", marker))
        await stage.shell.shows("all sent, the last one read")
        await stage.shell.enter("/last")
        await stage.shell.shows("you ✓✓   first")


async def test_the_shell_opens_for_an_address_alone(server: Server, tmp_path: Path) -> None:
    account = server.account()
    program = Program(tmp_path, server, account)
    del program.env["XMPPSH_JID"]
    async with Terminal(program, account.jid) as shell:
        await shell.prompt()
        shell.type(CTRL_D)
        assert await shell.exit_code() == 0
