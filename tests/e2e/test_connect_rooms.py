"""Rooms in the shell, at a real terminal."""

import json
from pathlib import Path

import pytest
from support.program import Program
from support.servers import Server
from support.terminal import CTRL_C, Terminal, at_prompt

pytestmark = pytest.mark.either_server


async def test_who_is_thrown_out_of_a_room_is_told_and_writes_to_nobody(server: Server, tmp_path: Path) -> None:
    room = f"tea-{tmp_path.name[-8:]}@{server.conference}".lower()
    async with at_prompt(server, tmp_path) as stage:
        await stage.contact.enter(room, "owner")
        await stage.contact.send_raw(  # ejabberd lets nobody into a new room before
            f"<iq type='set' to='{room}' id='open'><query xmlns='http://jabber.org/protocol/muc#owner'>"
            "<x xmlns='jabber:x:data' type='submit'/></query></iq>"
        )
        await stage.shell.enter(f"/join {room} me")
        await stage.shell.prompt(room)
        await stage.shell.enter(f"/join {room} owner")
        await stage.shell.shows(f"try: /join {room} NICK")
        await stage.shell.enter(f"<presence to='{room}/other'/>")
        await stage.contact.wait_for_presence(room, "available", sender=f"{room}/other")
        stage.shell.type("half")
        await stage.contact.send_raw(
            f"<iq type='set' to='{room}' id='kick'><query xmlns='http://jabber.org/protocol/muc#admin'>"
            "<item nick='other' role='none'><reason>too loud</reason></item></query></iq>"
        )
        await stage.shell.shows(f"xmppsh: {room}: you were kicked out")
        await stage.shell.shows("too loud")
        await stage.shell.until(lambda: stage.shell.line == "(nobody)> half", "the line for nobody")


async def test_a_command_for_a_room_leaves_none_that_we_are_in(server: Server, tmp_path: Path) -> None:
    room = f"tea-{tmp_path.name[-8:]}@{server.conference}".lower()
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"/join {room} me")
        await stage.shell.prompt(room)
        await stage.shell.enter(f"/send --room {room} by a command")
        await stage.shell.shows("me       by a command")
        await stage.shell.enter("by a line")
        await stage.shell.shows("me       by a line")
        await stage.shell.enter("/who")
        await stage.shell.until(lambda: "me" in stage.shell.lines, "our nick among the occupants")


async def test_presence_that_comes_back_is_told(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"<presence to='tea@{server.conference}'/>")
        await stage.shell.shows("xmppsh: “<presence to='tea@conf")


async def test_a_room_that_lets_nobody_in_says_so(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/join tea@nowhere.example.invalid")
        await stage.shell.shows("xmppsh: nowhere.example.invalid: ")  # Prosody's word, in the room's place
        await stage.shell.prompt()


async def test_a_room_with_a_password_is_entered_with_it(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        room = f"tea-{tmp_path.name[-8:]}@{prosody.conference}".lower()
        await stage.shell.enter(f"/join {room} me")
        await stage.shell.shows("as me; others: 0")
        await stage.contact.enter(room, "guest")
        await stage.shell.enter(f"/room config {room} muc#roomconfig_roomsecret=secret")
        await stage.shell.enter("/leave")
        await stage.shell.prompt()
        await stage.shell.enter(f"/join {room} guest --room-password wrong")
        await stage.shell.shows(f"try: /join {room} --room-password PASSWORD")
        await stage.shell.enter(f"/join {room} guest --room-password secret")
        await stage.shell.shows(f"try: /join {room} NICK")
        await stage.shell.enter(f"/join {room} --nik me")
        await stage.shell.shows("xmppsh: /join: no such option --nik")
        await stage.shell.enter(f"/join {room} --nick me --room-password=secret")
        await stage.shell.shows("as me; others: 1")


async def test_an_invitation_tells_who_invites_why_and_what_accepts_it(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        room = f"tea-{tmp_path.name[-8:]}@{server.conference}".lower()
        await stage.contact.enter(room, "host")
        await stage.contact.send_raw(
            f"<message to='{room}'><x xmlns='http://jabber.org/protocol/muc#user'>"
            f"<invite to='{stage.jid}'><reason>lumps</reason></invite></x></message>"
        )
        said = await stage.shell.shows("lumps")
        assert "[invitation]" in said
        assert stage.friend in said or f"{room}/host" in said  # the sentence is the server's
        await stage.shell.shows(f"  /join {room}")
        await stage.contact.send_raw(
            f"<message to='{stage.jid}'><x xmlns='jabber:x:conference' jid='{room}' reason='no sugar'/></message>"
        )
        await stage.shell.shows("[invitation] no sugar")
        await stage.shell.enter(f"/join {room} guest")
        await stage.shell.shows("others: 1")


async def test_what_an_occupant_says_to_us_alone_is_answered_so_until_the_room_moves(
    server: Server, tmp_path: Path
) -> None:
    async with at_prompt(server, tmp_path) as stage:
        room = f"tea-{tmp_path.name[-8:]}@{server.conference}".lower()
        await stage.contact.enter(room, "host")
        await stage.shell.enter(f"/join {room} me")
        await stage.shell.shows("others: 1")
        await stage.contact.send_raw(f"<message to='{room}/me' type='chat'><body>psst</body></message>")
        assert " host " in await stage.shell.shows("[to you alone] psst")
        await stage.shell.enter(f"/to {room}/host")
        await stage.shell.enter("what is it?")
        await stage.shell.shows("[to host alone] what is it?")
        answer = await stage.contact.wait_for_message(lambda message: message.body == "what is it?")
        assert (answer.sender, answer.type) == (f"{room}/me", "chat")
        await stage.contact.send_raw(
            f"<iq type='set' id='end' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>"
            f"<destroy jid='coffee@{server.conference}'><reason>no tea</reason></destroy></query></iq>"
        )
        await stage.shell.shows("the room was destroyed: no tea")
        await stage.shell.shows(f"  try: /join coffee@{server.conference}")


async def test_another_nick_brings_no_history_again(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        room = f"tea-{tmp_path.name[-8:]}@{server.conference}".lower()
        await stage.contact.enter(room, "host")  # Prosody 0.12 destroys a room whose only occupant takes another nick
        await stage.shell.enter(f"/join {room} me")
        await stage.shell.prompt(room)
        await stage.shell.enter("only once")
        await stage.shell.shows("me       only once")
        await stage.shell.enter(f"/join {room} myself")
        await stage.shell.shows("as myself; others: 1")
        await stage.shell.enter("/to")
        await stage.shell.prompt()
        await stage.shell.enter(f"/to {room.partition('@')[0]}")
        await stage.shell.prompt(room)
        await stage.shell.enter("and again")
        await stage.shell.shows("myself   and again")
        said = [line for line in stage.shell.history if " only once" in line and "> " not in line]
        assert sum("you …" not in line for line in said) == 1, said  # what waits stands there before it


async def test_who_is_there_is_told_in_the_form_that_the_shell_was_asked_for(server: Server, tmp_path: Path) -> None:
    program, room = Program(tmp_path, server, server.account()), f"tea-{tmp_path.name[-8:]}@{server.conference}".lower()
    async with Terminal(program, "connect", "--format", "json") as shell:
        await shell.prompt()
        await shell.shows("all sent")
        await shell.enter(f"/join {room} me")
        await shell.prompt(room)
        await shell.enter("/who")
        shown = json.loads(await shell.shows('"online"'))
        assert shown == {"kind": "online", "jid": f"{room}/me", "nick": "me", "show": None}
        await shell.enter("/watch 60 /who")
        await shell.until(lambda: sum('"online"' in line for line in shell.lines) == 2, "it again")
        assert not any("others: 0" in line or (line.endswith(" /who") and line[2] == ":") for line in shell.lines)
        shell.type(CTRL_C)
        await shell.prompt(room)


async def test_a_script_gets_who_is_there_as_records(server: Server, tmp_path: Path) -> None:
    program, room = Program(tmp_path, server, server.account()), f"tea-{tmp_path.name[-8:]}@{server.conference}".lower()
    outcome = await program.run("--format", "json", "connect", stdin=f"/join {room} me\n/who\n".encode())
    found = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert {"kind": "online", "jid": f"{room}/me", "nick": "me", "show": None} in found


async def test_a_room_that_was_bookmarked_just_now_completes_until_its_bookmark_is_removed(
    server: Server, tmp_path: Path
) -> None:
    async with at_prompt(server, tmp_path) as stage:
        room = f"marked@{server.conference}"
        await stage.shell.enter(f"/bookmarks add {room}")
        await stage.shell.prompt()
        stage.shell.type("/join mar\t")
        await stage.shell.until(lambda: stage.shell.line.endswith(f"/join {room}"), "the room")
        stage.shell.type(CTRL_C)
        await stage.shell.prompt()
        await stage.shell.enter(f"/bookmarks remove {room}")
        await stage.shell.prompt()
        stage.shell.type("/join mar\t!")
        await stage.shell.until(lambda: stage.shell.line.endswith("/join mar!"), "nothing that completes it")


async def test_the_short_name_of_a_room_will_do_with_a_nick_behind_it_and_for_other_commands(
    server: Server, tmp_path: Path
) -> None:
    async with at_prompt(server, tmp_path) as stage:
        short = f"tea-{tmp_path.name[-8:]}".lower()
        await stage.shell.enter(f"/join {short}@{server.conference} me")
        await stage.shell.prompt(short)
        await stage.shell.enter(f"/to {short}/me")
        await stage.shell.prompt(f"{short}/me")
        await stage.shell.enter(f"/who {short}")
        await stage.shell.until(lambda: "me" in stage.shell.lines, "who is there")
        await stage.shell.enter(f"/leave {short}")
        await stage.shell.prompt()
        await stage.shell.enter("/to nowhere/host")
        await stage.shell.shows("nowhere has no @, so it is taken for a server; a person would be nowhere@")


async def test_who_sends_to_a_room_as_to_a_person_is_told_how_it_is_said_there(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        room = f"tea-{tmp_path.name[-8:]}@{server.conference}".lower()
        await stage.shell.enter(f"/join {room} me")
        await stage.shell.prompt(room)
        await stage.shell.enter(f"/send {room} hello")
        await stage.shell.shows(f"xmppsh: {room}: ")
        await stage.shell.shows("  try: --room says it in the room")
