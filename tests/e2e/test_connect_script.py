"""The shell without a terminal: a script from stdin."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import pytest
from support.program import finish
from support.servers import Server
from support.terminal import (
    DEADLINE_S,
    GONE_WITHIN_S,
    people,
)

pytestmark = pytest.mark.either_server


async def test_a_script_sends_messages_xml_and_commands_in_order(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, contact, _, friend):
        script = (
            f'# a comment, and an empty line\n\n/to {friend.jid}\none "and" 😀\r\n'
            f"<message to='{friend.jid}' type='chat'>\n<body># two\n\n</body>\n</message>\n"
            f"/send --subject 'for you' {friend.jid} it's three\n//four\n/ping\n/to\nfive"
        )
        outcome = await program.run("connect", stdin=script.encode())
        assert outcome.stdout.startswith(f"pong from {server.domain}: ")
        assert outcome.stderr == (
            "xmppsh: line 14: the message has no recipient\n  try: /to JID\n"
            "xmppsh: 1 line has failed, the last is line 14\n"
        )
        assert outcome.code == 64
        bodies = [message.body for message in await contact.wait_for_messages(4)]
        assert bodies == ['one "and" 😀', "# two\n\n", "it's three", "/four"]


async def test_who_asks_a_command_of_the_shell_for_help_or_forgets_the_slash_is_helped(
    prosody: Server, tmp_path: Path
) -> None:
    async with people(prosody, tmp_path) as (program, _, _, _):
        outcome = await program.run("connect", stdin=b"/to --help\n/watch -h\n")
        assert outcome.code == 0, outcome.stderr
        assert "/to romeo@example.net" in outcome.stdout
        assert "/watch 5 /ping" in outcome.stdout
        outcome = await program.run("connect", stdin=b"quit\n")
        assert "try: /quit, as commands begin with a slash\n" in outcome.stderr


async def test_a_script_from_another_system_is_read_as_its_editor_shows_it(prosody: Server, tmp_path: Path) -> None:
    async with people(prosody, tmp_path) as (program, contact, _, friend):
        (tmp_path / "below").write_bytes(b"\xef\xbb\xbftwo\r\n")
        (tmp_path / "lines").write_bytes(f"\ufeff/to {friend.jid}\r\none\r\n/source {tmp_path}/below\r\n".encode())
        outcome = await program.run("run", str(tmp_path / "lines"))
        assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")
        assert [message.body for message in await contact.wait_for_messages(2)] == ["one", "two"]


async def test_an_error_in_a_file_within_a_file_names_both(prosody: Server, tmp_path: Path) -> None:
    async with people(prosody, tmp_path) as (program, _, _, friend):
        lost = f"nobody@{prosody.domain}"
        (tmp_path / "faulty").write_text("# XML\n<message\n to=1></message>\n")
        (tmp_path / "lost").write_text(f"/to {lost}\nhello\n")
        outcome = await program.run(
            "connect", stdin=f"/source {tmp_path}/faulty\n\n/source {tmp_path}/lost\n/to {friend.jid}\n".encode()
        )
        errors = [line for line in outcome.stderr.splitlines() if not line.startswith("  try: ")]
        assert errors[0].startswith(f"xmppsh: line 1: {tmp_path}/faulty, line 3, column 5: not well-formed")
        assert errors[1].startswith(f"xmppsh: line 3: {tmp_path}/lost, line 2: {lost}: ")
        assert errors[2] == "xmppsh: 2 lines have failed, the last is line 3"


async def test_what_cannot_be_read_ends_a_script_and_is_told_as_no_line_of_it(prosody: Server, tmp_path: Path) -> None:
    async with people(prosody, tmp_path) as (program, contact, _, friend):
        outcome = await program.run("connect", stdin=f"/nope\n/to {friend.jid}\nhello\n".encode() + b"x" * (2 << 20))
        errors = [line for line in outcome.stderr.splitlines() if not line.startswith("  try: ")]
        assert errors == [
            "xmppsh: line 1: /nope is not a command",
            "xmppsh: a line of stdin is longer than 1048576 bytes",
        ]
        assert outcome.code == 65
        assert (await contact.wait_for_message(lambda message: True)).body == "hello"


async def test_a_script_that_goes_well_is_silent_and_exits_with_0(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, contact, account, friend):
        outcome = await program.run("connect", stdin=f"/to {friend.jid}\nhello\n/quit\nnever\n".encode())
        assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")
        presence = await contact.wait_for_presence(account.jid, "unavailable")
        assert presence
        assert [message.body for message in contact.messages] == ["hello"]


async def test_run_takes_its_lines_from_a_file_and_leaves_stdin_alone(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, contact, _, friend):
        (tmp_path / "lines").write_text(f"#!/usr/bin/env -S xmppsh run\n/to {friend.jid}\nhello\n/ping\n/nope\n")
        outcome = await program.run("run", str(tmp_path / "lines"), stdin=b"never\n")
        assert (outcome.code, outcome.stdout.count("pong")) == (64, 1)
        assert outcome.stderr.startswith("xmppsh: line 5: /nope is not a command")
        assert (await contact.wait_for_message(lambda message: True)).body == "hello"
        assert (await program.run("run", str(tmp_path / "none"))).code == 66


async def test_an_export_of_a_script_is_that_of_the_command_line(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, _, _, friend):
        outcome = await program.run(
            "connect", stdin=f"/to {friend.jid}\nhello\n/roster export\n/history export\n".encode()
        )
        assert [one["kind"] for one in outcome.records] == ["contact", "message"]


async def test_errors_name_their_line_and_the_last_one_decides(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, contact, _, friend):
        script = f"/nope\n<message>\n</body>\n/send {friend.jid} goes on\n/ping nobody@{server.domain}/x\n"
        outcome = await program.run("connect", stdin=script.encode())
        errors = [line for line in outcome.stderr.splitlines() if not line.startswith("  try: ")]
        assert errors[0] == "xmppsh: line 1: /nope is not a command"
        assert errors[1] == "xmppsh: line 3, column 3: mismatched tag"
        assert errors[2].startswith(f"xmppsh: line 5: nobody@{server.domain}/x: service-unavailable")
        assert errors[3] == "xmppsh: 3 lines have failed, the last is line 5"
        assert outcome.code == 67
        assert (await contact.wait_for_message(lambda message: True)).body == "goes on"


async def test_with_e_a_script_stops_at_its_first_error(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, contact, _, friend):
        script = f"/to {friend.jid}\nsent\n<oops></message>\nnever\n"
        outcome = await program.run("connect", "-e", stdin=script.encode())
        assert outcome.stderr == "xmppsh: line 3, column 9: mismatched tag\n"
        assert outcome.code == 65
        await contact.settle()
        assert [message.body for message in contact.messages] == ["sent"]


async def test_a_bounce_is_an_error_of_its_line(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, *_):
        outcome = await program.run("connect", "--format", "json", stdin=f"/to nobody@{server.domain}\nhi\n".encode())
        first = json.loads(outcome.stderr.splitlines()[0])["error"]
        assert (first["name"], first["condition"]) == ("NOUSER", "service-unavailable")
        assert first["text"].startswith("line 2: nobody@")
        assert outcome.code == 67
        assert outcome.stdout == ""


async def test_with_e_a_bounce_stops_a_script_that_waits_for_its_next_line(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, *_):
        process = await program.start("connect", "-e")
        assert process.stdin is not None
        process.stdin.write(f"/to nobody@{server.domain}\nhi\n".encode())
        await process.stdin.drain()
        async with asyncio.timeout(DEADLINE_S):
            await process.wait()
        outcome = await finish(process)
        assert outcome.code == 67
        assert outcome.stderr.startswith("xmppsh: line 2: nobody@")


async def test_an_element_that_is_never_closed_is_an_error(prosody: Server, tmp_path: Path) -> None:
    async with people(prosody, tmp_path) as (program, *_):
        outcome = await program.run("connect", stdin=b"/ping\n<message>\n<body>\n")
        assert "the input ends inside an element" in outcome.stderr
        assert outcome.stderr.startswith("xmppsh: line 3, column ")
        assert outcome.code == 65


async def test_messages_that_arrive_during_a_script_are_records(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, contact, account, friend):
        process = await program.start("connect", "--format", "json")
        assert process.stdin is not None
        assert process.stdout is not None
        await contact.wait_for_presence(account.jid, "available")
        await contact.send(account.jid, "for the script 😀")
        async with asyncio.timeout(DEADLINE_S):
            record = json.loads(await process.stdout.readline())
        assert (record["kind"], record["body"], record["from"]) == ("message", "for the script 😀", contact.jid)
        outcome = await finish(process, f"/to {friend.jid}\nanswer\n".encode())
        assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")
        assert (await contact.wait_for_message(lambda message: message.body == "answer")).type == "chat"


async def test_a_command_of_a_script_does_not_read_the_script(prosody: Server, tmp_path: Path) -> None:
    async with people(prosody, tmp_path) as (program, *_):
        outcome = await program.run("connect", stdin=f"/send nobody@{prosody.domain} -\n/ping\n".encode())
        assert "line 1: there is nothing to send" in outcome.stderr
        assert outcome.stdout.startswith("pong from ")


async def test_a_closed_stdout_ends_a_script_quietly(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, contact, account, friend):
        reading, writing = os.pipe()
        process = await program.start("connect", stdout=writing)
        os.close(writing)
        assert process.stdin is not None
        process.stdin.write(f"/to {friend.jid}\nbefore\n".encode())
        await contact.wait_for_message(lambda message: message.body == "before")
        moment = time.monotonic()
        os.close(reading)
        presence = await contact.wait_for_presence(account.jid, "unavailable", since=moment)
        assert presence.at - moment < GONE_WITHIN_S
        async with asyncio.timeout(DEADLINE_S):
            assert await process.wait() == 0
        assert process.stderr is not None
        assert await process.stderr.read() == b""


async def test_a_script_does_without_prompt_toolkit(prosody: Server, tmp_path: Path) -> None:
    async with people(prosody, tmp_path) as (program, *_):
        code = (
            "import atexit, sys\nfrom xmppsh.cli.__main__ import main\nsys.argv[1:] = ['connect']\n"
            "atexit.register(lambda: sys.stderr.write(str('prompt_toolkit' in sys.modules)) and sys.stderr.flush())\n"
            "main()"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, env=program.env, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        _, stderr = await process.communicate(b"")
        assert stderr == b"False"


async def test_the_time_that_a_command_takes_is_no_record(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, _, _, _):
        outcome = await program.run("--format", "json", "connect", stdin=b"/timing on\n/ping\n")
        assert [json.loads(line)["kind"] for line in outcome.stdout.splitlines()] == ["pong"]
        assert outcome.stderr.endswith(" ms)\n")


@pytest.mark.parametrize(
    "command", ["/send {friend} one", "/send --wait delivered:0.1 {friend} one", "/raw <presence to='{friend}'/>"]
)
async def test_a_command_that_has_ended_holds_back_no_acknowledgement(
    server: Server, tmp_path: Path, command: str
) -> None:
    """What comes after it is dealt with by the shell alone, and not delivered again to the next client."""
    async with people(server, tmp_path) as (program, contact, account, friend):
        process = await program.start("--format", "json", "connect")
        assert process.stdin is not None
        assert process.stdout is not None
        await contact.wait_for_presence(account.jid, "available")
        lines = [command.format(friend=friend.jid), f"/send nobody-here@{server.domain} two", "/ping"]
        process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        while b'"pong"' not in await asyncio.wait_for(process.stdout.readline(), DEADLINE_S):
            pass  # the record of what was sent
        await contact.send_raw(f"<presence to='{account.jid}'/>")
        await contact.send(account.jid, "read by the shell")
        while b"read by the shell" not in await asyncio.wait_for(process.stdout.readline(), DEADLINE_S):
            pass
        assert (await finish(process, b"/quit\n")).code == 67  # of who is not there
        drained = await program.run("listen", "--drain", "-F", "%b")
        assert (drained.code, drained.stdout) == (0, "")


async def test_an_alias_that_cannot_be_kept_is_told(prosody: Server, tmp_path: Path) -> None:
    async with people(prosody, tmp_path) as (program, _, _, _):
        kept = Path(program.env["XDG_STATE_HOME"], "xmppsh", "aliases.json")
        kept.mkdir(mode=0o700, parents=True)
        kept.parent.chmod(0o700)
        outcome = await program.run("connect", stdin=b"/alias p /ping\n/p\n")
        assert (outcome.code, outcome.stderr) == (0, f"xmppsh: {kept} is ignored: is a directory\n")
        assert outcome.stdout.startswith(f"pong from {prosody.domain}: ")
