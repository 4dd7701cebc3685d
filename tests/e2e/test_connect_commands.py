"""The shell's own commands and its menu, at a real terminal."""

from html import unescape
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Program
from support.servers import Server
from support.terminal import CTRL_C, Terminal, at_prompt, people

pytestmark = pytest.mark.either_server

TAB = "\t"


async def test_the_tab_key_completes_commands_options_and_contacts(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        stage.shell.type("/pin" + TAB)
        await stage.shell.until(lambda: stage.shell.line.endswith("/ping"), "the command")
        stage.shell.type("--cou" + TAB)
        await stage.shell.until(lambda: stage.shell.line.endswith("--count"), "the option")
        stage.shell.type("1 " + stage.friend[:8] + TAB)
        await stage.shell.until(lambda: stage.shell.line.endswith(stage.friend), "the contact")
        stage.shell.type(CTRL_C)
        await stage.shell.prompt()
        stage.shell.type("/p" + TAB)
        await stage.shell.shows("Measure the round trip to an XMPP address.")
        await stage.shell.shows("Set your availability for others to see.")
        assert sum("/presence" in line for line in stage.shell.lines) == 1
        stage.shell.type(CTRL_C)
        await stage.shell.prompt()
        stage.shell.type("/presence aw" + TAB)
        await stage.shell.until(lambda: stage.shell.line.endswith("/presence away"), "how we appear")


async def test_the_contacts_are_kept_for_other_shells_and_for_nobody_else(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        kept = tmp_path / "xmppsh" / "roster" / stage.jid
        await stage.is_alive()
        await stage.shell.until(kept.exists, "the cache")
        assert stage.friend in kept.read_text()
        assert kept.stat().st_mode & 0o777 == 0o600


async def test_namespaces_and_elements_complete_in_xml(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        stage.shell.type('/iq get example.org <query xmlns="disco' + TAB)
        await stage.shell.shows("what it can do, XEP-0030")
        stage.shell.type(CTRL_C)
        await stage.shell.prompt()
        stage.shell.type("<message><body>x</" + TAB)
        await stage.shell.until(lambda: stage.shell.line.endswith("x</body>"), "the end tag")


async def test_a_room_is_entered_written_to_and_left(server: Server, tmp_path: Path) -> None:
    room = f"tea-{tmp_path.name[-8:]}@{server.conference}".lower()
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"/join {room} me")
        await stage.shell.shows(f"(in {room} as me; others: 0; /who, /leave)")
        await stage.shell.prompt(room)
        await stage.contact.send_raw(
            f"<presence to='{room}/guest'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        )
        await stage.contact.wait_for_presence(room, "available", sender=f"{room}/me")
        await stage.shell.enter("hello all")
        message = await stage.contact.wait_for_message(lambda message: message.body == "hello all")
        assert (message.sender, message.type) == (f"{room}/me", "groupchat")
        await stage.contact.send(room, "welcome", type="groupchat")
        assert "guest" in await stage.shell.shows("welcome")
        await stage.shell.enter("/who")
        await stage.shell.until(lambda: {"guest", "me"} <= set(stage.shell.lines), "the occupants")
        await stage.shell.prompt(room)
        stage.shell.type("gue" + TAB)
        await stage.shell.until(lambda: stage.shell.line.endswith("guest:"), "the occupant")
        stage.shell.type(CTRL_C)
        await stage.shell.prompt(room)
        await stage.shell.enter("/leave")
        await stage.contact.wait_for_presence(room, "unavailable", sender=f"{room}/me")
        await stage.shell.prompt()


async def test_who_and_presence(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter("/presence away it's 6 o'clock <3")
        presence = await stage.contact.wait_for_presence(stage.jid, "available", since=0)
        while "it's 6 o'clock <3" not in unescape(presence.xml):
            presence = await stage.contact.wait_for_presence(stage.jid, "available", since=presence.at + 1e-9)
        assert "<show>away</show>" in presence.xml
        await stage.shell.enter("/who")
        await stage.shell.shows(stage.contact.jid)


async def test_unread_messages_are_counted_until_their_sender_is_written_to(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        name = stage.friend.partition("@")[0]
        for body in ("one", "two"):
            await stage.contact.send(stage.jid, body)
        await stage.shell.shows(f"unread: {name} 2")
        await stage.shell.enter(f"/to {name}")
        await stage.shell.prompt(stage.friend)
        await stage.shell.until(lambda: not any("unread" in line for line in stage.shell.lines), "nothing unread")
        await stage.shell.enter("/last 1")
        await stage.shell.until(lambda: sum(line.endswith(" two") for line in stage.shell.lines) == 2, "it again")


async def test_who_is_writing_stands_in_the_toolbar_alone(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.contact.send_raw(
            f"<message to='{stage.jid}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
        )
        shown = await stage.shell.shows("is writing …")
        assert shown == stage.shell.lines[-1]
        await stage.contact.send(stage.jid, "done")
        await stage.shell.until(lambda: not any("is writing" in line for line in stage.shell.lines), "no more of it")
        await stage.contact.send_raw(
            f"<message to='{stage.jid}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
        )
        await stage.shell.shows("is writing …")
        await stage.contact.send_raw("<presence type='unavailable'/>")
        await stage.shell.until(lambda: not any("is writing" in line for line in stage.shell.lines), "an end with them")


async def test_the_stream_is_shown_and_hidden_again(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        stage.shell.resize(100, 80)  # room for what the shell asks by itself, too
        await stage.shell.enter("/xml on")
        await stage.shell.enter("/ping")
        await stage.shell.shows('<ping xmlns="urn:xmpp:ping"/>')
        await stage.shell.shows("< <iq")
        await stage.shell.shows("pong from")
        await stage.shell.enter("/xml off")
        await stage.shell.enter("/iq get " + prosody.domain + ' <time xmlns="urn:xmpp:time"/>')
        await stage.shell.shows("<utc>")
        assert not any(line.startswith(("> <iq", "< <iq")) and "time" in line for line in stage.shell.lines)


async def test_timing_aliases_and_expanded_records(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/alias p /ping -c")
        await stage.shell.enter("/p 2")
        await stage.shell.shows("2 answers")
        await stage.shell.enter("/timing on")
        await stage.shell.enter("/ping")
        await stage.shell.shows(" ms)")
        await stage.shell.enter("/x on")
        await stage.shell.enter("/ping")
        await stage.shell.until(lambda: any(line.startswith("kind  pong") for line in stage.shell.lines), "the fields")
        await stage.shell.enter("/alias ping /quit")
        await stage.shell.shows("/ping is a command already")


async def test_a_file_of_lines_is_carried_out_and_names_its_faulty_line(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        script = tmp_path / "greet"
        script.write_text(
            f"# a comment\n/to {stage.friend}\nhello\n"
            f"<message to='{stage.friend}'>\n<body>x</body></message>\n/nope\nno"
        )
        await stage.shell.enter(f"/source {script}")
        await stage.shell.shows("greet, line 6: /nope is not")
        assert [message.body for message in await stage.contact.wait_for_messages(2)] == ["hello", "x"]
        await stage.shell.shows("✓")  # what a file says stands in the conversation, with its fate
        script.write_text(f"/source {script}")
        await stage.shell.enter(f"/source {script}")
        await stage.shell.shows("more than 10 deep")


async def test_what_commands_print_goes_to_a_file(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter(f"/o {tmp_path}/out")
        await stage.shell.enter("/ping")
        await stage.shell.enter("/o")
        await stage.is_alive()
        assert (tmp_path / "out").read_text().startswith(f"pong from {prosody.domain}")
        assert sum("pong from" in line for line in stage.shell.lines) == 1


async def test_a_command_of_the_system_has_the_terminal(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/! echo is $((6 * 7)); read x; echo got $x")
        await stage.shell.shows("is 42")  # a round trip may take 42 ms
        await stage.contact.send(stage.jid, "knock")
        await stage.contact.settle()
        assert not any("knock" in line for line in stage.shell.lines)
        stage.shell.type("this\r")
        await stage.shell.shows("got this")
        await stage.shell.shows("knock")
        await stage.shell.enter("/!sh -c 'exit 3'")
        await stage.shell.shows("exit code 3")


async def test_what_a_command_of_the_system_left_without_an_end_stands_on_a_line_of_its_own(
    prosody: Server, tmp_path: Path
) -> None:
    (tmp_path / "half").write_text("half")
    async with at_prompt(prosody, tmp_path) as stage:
        # dash drops a Ctrl-C that comes while it starts a program after its first words: one program says all.
        await stage.shell.enter(f"/! tail -f {tmp_path / 'half'}")
        await stage.shell.until(lambda: stage.shell.line == "half", "half a line")
        stage.shell.type(CTRL_C)
        assert (await stage.shell.shows("ended by SIGINT")).startswith("xmppsh: /!")
        assert "half^C" in stage.shell.lines
        await stage.shell.prompt()
        await stage.shell.enter("/! echo whole")
        await stage.shell.prompt()
        assert stage.shell.lines.index("whole") == stage.shell.lines.index(stage.shell.line) - 1


async def test_a_command_is_repeated_until_ctrl_c(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/watch 0.1 /ping")
        await stage.shell.until(lambda: sum("pong from" in line for line in stage.shell.lines) >= 3, "three rounds")
        stage.shell.type(CTRL_C)
        await stage.shell.prompt()
        await stage.is_alive()


async def test_a_command_is_repeated_after_it_failed(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter(f"/watch 0.1 /ping {stage.friend}/nowhere")
        failed = "service-unavailable"
        await stage.shell.until(lambda: sum(failed in line for line in stage.shell.lines) >= 3, "three rounds")
        stage.shell.type(CTRL_C)
        await stage.shell.prompt()
        await stage.is_alive()


async def test_every_command_has_help_with_an_example(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/help watch")
        await stage.shell.shows("Example:  /watch 5 /ping")
        await stage.shell.enter("/help ping")
        await stage.shell.shows("Example:  /ping -c 3")


async def test_what_another_client_of_ours_says_is_shown(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, _, _, friend), Terminal(program, "connect") as shell:
        await shell.prompt()
        await shell.shows("all sent")
        outcome = await program.run("send", friend.jid, "from the other client")
        assert outcome.code == 0
        await shell.shows("[sent elsewhere] from the other client")


async def test_answers_are_indented_at_a_terminal_and_stay_as_they_are_in_a_file(
    prosody: Server, tmp_path: Path
) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        ask = f'/iq get {prosody.domain} <query xmlns="http://jabber.org/protocol/disco#info"/>'
        await stage.shell.enter(ask)
        await stage.shell.until(lambda: any(line.startswith("  <identity ") for line in stage.shell.history), "it")
        await stage.shell.prompt()
        await stage.shell.enter(f"/o {tmp_path}/out")
        await stage.shell.enter(ask)
        await stage.shell.enter("/o")
        await stage.is_alive()
        assert (tmp_path / "out").read_text().count("\n") == 1


async def test_how_the_shell_appears_and_who_may_see_it(prosody: Server, tmp_path: Path) -> None:
    account, other = prosody.account(), prosody.account()
    program = Program(tmp_path, prosody, account)
    options = ("--show", "dnd", "--status", "busy", "--accept-subscriptions", f"*@{prosody.domain}")
    async with Contact(prosody, other) as contact, Terminal(program, "connect", *options) as shell:
        await shell.prompt()
        await shell.shows("all sent")
        await contact.send_raw(f"<presence to='{account.jid}' type='subscribe'/>")
        presence = await contact.wait_for_presence(account.jid, "available")
        assert "<show>dnd</show>" in presence.xml
        assert "<status>busy</status>" in presence.xml


async def test_contacts_alone_are_told_that_what_they_wrote_was_delivered_and_read(
    server: Server, tmp_path: Path
) -> None:
    asking = "<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>"
    async with at_prompt(server, tmp_path) as stage, Contact(server, server.account()) as stranger:
        for one in (stranger, stage.contact):
            body = f"<body>from {one.jid}</body>"
            await one.send_raw(f"<message to='{stage.jid}' type='chat' id='m1'>{body}{asking}</message>")
            await stage.shell.shows(f"from {one.jid}"[:40])
        receipt = await stage.contact.wait_for_message(lambda message: "urn:xmpp:receipts" in message.xml)
        assert 'id="m1"' in receipt.xml
        await stage.target()
        await stage.contact.wait_for_message(lambda message: "displayed" in message.xml)
        await stage.shell.enter(f"/to {stranger.jid}")
        await stage.shell.enter("the first that you hear")
        await stranger.wait_for_message(lambda message: True)
        assert [message.body for message in stranger.messages] == ["the first that you hear"]


async def test_with_no_receipts_nobody_is_told_of_what_was_read(server: Server, tmp_path: Path) -> None:
    asking = "<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>"
    async with (
        people(server, tmp_path) as (program, contact, account, _),
        Terminal(program, "connect", "--no-receipts") as shell,
    ):
        await shell.prompt()
        await contact.wait_for_presence(account.jid, "available")
        await contact.send_raw(
            f"<message to='{account.jid}' type='chat' id='m1'><body>are you there?</body>{asking}</message>"
        )
        await shell.shows("are you there?")
        await shell.enter(f"/to {contact.jid}")
        await shell.enter("what is said last")
        await contact.wait_for_message(lambda message: message.body == "what is said last")
        assert [message.body for message in contact.messages] == ["what is said last"]


async def test_with_no_presence_nobody_sees_us(server: Server, tmp_path: Path) -> None:
    async with (
        people(server, tmp_path) as (program, contact, account, _),
        Terminal(program, "connect", "--no-presence") as shell,
    ):
        await shell.prompt()
        await shell.enter(f"/to {contact.jid}")
        await shell.enter("I am not here")
        await contact.wait_for_message(lambda message: message.body == "I am not here")
        presence = [one.type for one in contact.presence if one.sender.startswith(f"{account.jid}/")]
        assert "available" not in presence


async def test_a_contact_that_comes_while_the_shell_runs_completes(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter("/roster add mercutio@example.org")
        await stage.shell.prompt()
        stage.shell.type("/to merc\t")
        await stage.shell.until(lambda: stage.shell.line.endswith("/to mercutio@example.org"), "the new contact")


async def test_who_asks_to_see_us_is_told(prosody: Server, tmp_path: Path) -> None:
    account, other = prosody.account(), prosody.account()
    async with (
        Contact(prosody, other) as contact,
        Terminal(Program(tmp_path, prosody, account), "connect") as shell,
    ):
        await shell.prompt()
        await contact.send_raw(f"<presence to='{account.jid}' type='subscribe'/>")
        await shell.shows(f"{other.jid} asks to see when you are online")


async def test_a_hint_names_what_can_be_typed_here(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/roster remove nobody@nowhere.example")
        await stage.shell.shows("  try: /roster list")
        await stage.shell.enter("/agent stop")
        await stage.shell.shows("no agent is running")
        await stage.shell.enter("/agent status")
        await stage.shell.shows("  try: xmppsh agent start")
