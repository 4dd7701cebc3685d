"""The line of the shell at a real terminal: faults marked, history, keys, editor, pastes."""

import os
import stat
from pathlib import Path

import pytest
from support.servers import Server
from support.terminal import CTRL_C, CTRL_D, Stage, Terminal, at_prompt, people

pytestmark = pytest.mark.either_server

PASTE = "\x1b[200~{}\x1b[201~"
CTRL_R, CTRL_Z, ESCAPE, UP, RIGHT = "\x12", "\x1a", "\x1b", "\x1b[A", "\x1b[C"


async def typed(stage: Stage, text: str) -> None:
    stage.shell.type(text)
    await stage.shell.until(lambda: stage.shell.line.endswith(text[-10:]), f"the line {text!r}")


async def test_faulty_xml_stays_in_the_line_with_a_mark_below_its_fault(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("<message><body>a & b</body></message>")
        mark = await stage.shell.shows("^ & is written &amp;")
        line = await stage.shell.shows("a & b")
        assert mark.index("^") == line.index("&")
        await stage.shell.until(lambda: stage.shell.line.endswith("<body>a"), "the cursor at the fault")
        stage.shell.type(CTRL_C)
        await stage.is_alive()


async def test_a_heart_is_a_message(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.target()
        await stage.shell.enter("<3 you")
        assert (await stage.contact.wait_for_message(lambda message: True)).body == "<3 you"


async def test_the_payload_of_iq_needs_no_quotes(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f'/iq get {server.domain} <query xmlns="http://jabber.org/protocol/disco#info"/>')
        await stage.shell.until(lambda: any("<identity" in line for line in stage.shell.history), "the answer")


async def test_a_row_that_goes_on_by_itself_has_no_mark_of_a_new_line(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        stage.shell.type("word " * 40 + "end")
        await stage.shell.until(lambda: stage.shell.line.endswith("end"), "the end of the line")
        assert not any("..." in line for line in stage.shell.lines)


async def test_lines_come_back_in_the_next_shell(prosody: Server, tmp_path: Path) -> None:
    async with people(prosody, tmp_path) as (program, _, account, _):
        async with Terminal(program, "connect") as shell:
            await shell.prompt()
            await shell.enter("/ping -c 2")
            await shell.shows("2 answers")
            await shell.prompt()
            shell.type(CTRL_D)
            assert await shell.exit_code() == 0
        kept = tmp_path / "xmppsh" / "history" / account.jid
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        async with Terminal(program, "connect") as shell:
            await shell.prompt()
            shell.type("/pi")
            await shell.shows("/ping -c 2")  # suggested behind the cursor
            assert shell.line.endswith("/pi")
            shell.type(RIGHT)
            await shell.until(lambda: shell.line.endswith("/ping -c 2"), "the suggestion, taken")
            shell.type(CTRL_C)
            await shell.prompt()
            shell.type(CTRL_R + "g -c")
            await shell.until(lambda: any("ping -c 2" in line for line in shell.lines), "the found line")


async def test_a_paste_of_several_lines_is_one_message(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.target()
        stage.shell.type(PASTE.format("one\ntwo\n/quit\n"))
        await stage.shell.shows("two")
        stage.shell.type("\r")
        assert (await stage.contact.wait_for_message(lambda message: True)).body == "one\ntwo\n/quit"


async def test_a_paste_with_commands_is_asked_about_before_anything_is_sent(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        stage.shell.type(PASTE.format(f"/to {stage.friend}\none\ntwo\n"))
        await stage.shell.shows("two")
        stage.shell.type("\r")
        await stage.shell.shows("3 lines: 2 messages, 1 command. Run all of them? [y/N]")
        stage.shell.type("\r")
        await stage.shell.prompt()
        assert not stage.contact.messages
        stage.shell.type(UP + "\r")
        await stage.shell.until(lambda: stage.shell.line.endswith("[y/N]"), "the question again")
        stage.shell.type("y\r")
        assert [message.body for message in await stage.contact.wait_for_messages(2)] == ["one", "two"]


async def test_the_editor_writes_the_line(prosody: Server, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nprintf 'from the\\neditor\\n' > \"$1\"\n")
    editor.chmod(0o700)
    async with people(prosody, tmp_path) as (program, contact, _, friend):
        program.env |= {"EDITOR": str(editor), "VISUAL": ""}
        async with Terminal(program, "connect") as shell:
            await shell.prompt()
            await shell.enter(f"/to {friend.jid}")
            await shell.prompt(friend.jid)
            shell.type("\x18\x05")
            assert (await contact.wait_for_message(lambda message: True)).body == "from the\neditor"
            await shell.prompt(friend.jid)


@pytest.mark.parametrize(
    ("editor", "told"),
    [("false", "the editor 'false' ended with exit code 1"), ("no-such-editor", "'no-such-editor': no such file")],
)
async def test_a_line_whose_editor_fails_stays_as_it_was(
    prosody: Server, tmp_path: Path, editor: str, told: str
) -> None:
    async with people(prosody, tmp_path) as (program, contact, _, friend):
        program.env |= {"EDITOR": editor, "VISUAL": ""}
        async with Terminal(program, "connect") as shell:
            await shell.prompt()
            await shell.enter(f"/to {friend.jid}")
            await shell.prompt(friend.jid)
            shell.type("half\x18\x05")
            await shell.shows(told)
            shell.type(" and whole\r")
            assert (await contact.wait_for_message(lambda message: True)).body == "half and whole"


async def test_the_toolbar_comes_back_to_the_line_when_the_menu_is_closed(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:

        def rows_between() -> int:
            prompt, toolbar = "(nobody)>", "TLS"
            rows = enumerate(stage.shell.screen.display)
            at = [number for number, row in rows if row.startswith(prompt) or toolbar in row]
            return at[-1] - at[0] - 1 if len(at) == 2 else -1

        stage.shell.type("/\t")
        await stage.shell.until(lambda: rows_between() > 2, "the menu")
        stage.shell.type(CTRL_C)
        await stage.shell.until(lambda: rows_between() == 0, "the toolbar below the line")


async def test_what_comes_while_the_editor_runs_is_shown_after_it(prosody: Server, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    os.mkfifo(tmp_path / "fifo")
    editor.write_text(f"#!/bin/sh\necho in the editor\nread line < {tmp_path}/fifo\n")
    editor.chmod(0o700)
    async with people(prosody, tmp_path) as (program, contact, account, _):
        program.env |= {"EDITOR": str(editor), "VISUAL": ""}
        async with Terminal(program, "connect") as shell:
            await shell.prompt()
            shell.type("\x18\x05")
            await shell.shows("in the editor")
            await contact.send(account.jid, "knock")
            await contact.settle()
            assert not any("knock" in line for line in shell.lines)
            (tmp_path / "fifo").write_text("\n")
            await shell.shows("knock")
            await shell.prompt()


async def test_ctrl_z_is_a_key_while_a_command_runs_too(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/! stty -a; kill -2 $$")
        await stage.shell.shows("susp = <undef>;")
        await stage.shell.shows("xmppsh: /!: ended by SIGINT")


async def test_vi_keys(prosody: Server, tmp_path: Path) -> None:
    async with people(prosody, tmp_path) as (program, _, _, _), Terminal(program, "connect", "--vi") as shell:
        await shell.prompt()
        shell.type(f"xx/pingx{ESCAPE}")
        shell.type("x0xx")
        await shell.until(lambda: any(line.endswith("> /ping") for line in shell.lines), "the edited line")
        shell.type("\r")
        await shell.shows("pong from")


async def test_ctrl_z_says_that_the_session_must_go_on(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await typed(stage, "half a line")
        stage.shell.type(CTRL_Z)
        await stage.shell.shows("the session has to stay alive")
        await stage.shell.until(lambda: stage.shell.line.endswith("half a line"), "the line, still there")
