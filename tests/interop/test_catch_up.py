"""What no server keeps for a session that was cut for long, or killed: it is fetched from the archive."""

import asyncio
import json
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.chaos import ChaosProxy
from support.contact import Contact
from support.ejabberd import DATABASE
from support.faults import reset_both
from support.program import Program
from support.servers import Account, Server
from support.until import until

KEPT = 300  # unacknowledged, for a session
COUNT = KEPT + 60
CLOCKS_S = 4.0  # what two clocks that tell whole seconds, and an archive that stores them, may be apart
SAID = 25  # in a room: more than it repeats to those who come


def friends(server: Server) -> tuple[Account, Account]:
    """Two accounts that see each other's presence."""
    alice, bob = server.account(), server.account()
    server.befriend(alice, bob)
    return alice, bob


async def killed_with(process: asyncio.subprocess.Process, friend: Contact, to: str, given: list[str]) -> None:
    """Kill a program that was sent these, and could not read them any more."""
    process.send_signal(signal.SIGSTOP)
    for body in given:
        await friend.send(to, body)
    await friend.settle()
    process.kill()
    await process.wait()


async def prints_and_ends(program: Program, friend: Contact, to: str, given: list[str]) -> None:
    """A run that prints what it is given, and ends cleanly."""
    async with program.listening("-F", "%b", ready=Path(program.env["HOME"]) / "ready") as process:
        assert process.stdout is not None
        for body in given:
            await friend.send(to, body)
            assert (await process.stdout.readline()).decode() == f"{body}\n"
        process.terminate()
        assert await process.wait() == -signal.SIGTERM


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
@pytest.mark.parametrize("to", ["/bot", ""], ids=["to its full address", "to the account"])
@pytest.mark.either_server
async def test_what_the_server_drops_during_a_cut_is_printed_once_and_in_order(
    start_server: Callable[..., Server], tmp_path: Path, name: str, to: str
) -> None:
    server = start_server(name, max_unacked=KEPT)
    alice, bob = friends(server)
    program = Program(tmp_path, server, alice)
    async with (
        ChaosProxy(server.host, server.port) as proxy,
        Contact(server, bob) as friend,
    ):
        program.env["XMPPSH_HOST"] = f"{server.host}:{proxy.port}"
        program.env["XMPPSH_JID"] = f"{alice.jid}/bot"
        room = f"tea@{server.conference}"
        await friend.send_raw(f"<presence to='{room}/bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        await friend.wait_for_presence(room, "available")
        async with program.listening("--room", room, "--format", "json", ready=tmp_path / "ready") as process:
            await friend.wait_for_presence(alice.jid, "available")
            await friend.send(room, "0", type="groupchat")
            for number in range(10):
                await friend.send(f"{alice.jid}{to}", str(number))
            await friend.settle()
            cut = await proxy.inject(reset_both(refuse_s=60))
            for number in range(1, SAID):
                await friend.send(room, str(number), type="groupchat")
            for number in range(10, COUNT + 10):
                await friend.send(f"{alice.jid}{to}", str(number))
            await friend.settle()
            healing = time.monotonic()
            cut.release()
            shown = await friend.wait_for_presence(alice.jid, "available", 90, since=healing)
            await friend.send(f"{alice.jid}{to}", str(COUNT + 10))
            await friend.send(room, str(SAID), type="groupchat")
            assert process.stdout is not None
            async with asyncio.timeout(90):
                lines = [json.loads(await process.stdout.readline()) for _ in range(COUNT + 11 + SAID + 1)]
            # What it has on this session and does not acknowledge goes back to the account when it dies.
            process.send_signal(signal.SIGSTOP)
            await friend.send(f"{alice.jid}{to}", "one more")
            await friend.settle()
            process.kill()
            await friend.wait_for_presence(alice.jid, "unavailable", since=shown.at)
        assert [one["body"] for one in lines if not one["room"]] == [*map(str, range(COUNT + 11))]
        assert [one["body"] for one in lines if one["room"]] == [*map(str, range(SAID + 1))]
        last = await program.run("listen", "--drain", "-F", "%b")
        again = last.stdout.splitlines()  # what was printed, and the server has no ack of it, before it
        assert (last.code, again.count("one more")) == (0, 1), last.stderr


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
@pytest.mark.either_server
async def test_what_a_killed_listen_was_given_is_printed_by_the_next_one_though_another_client_is_online(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    server: Server = request.getfixturevalue(name)
    alice, bob = friends(server)
    program, bot, given = Program(tmp_path, server, alice), f"{alice.jid}/bot", ["one", "two", "three"]
    program.env["XMPPSH_JID"] = bot
    async with Contact(server, alice, "phone"), Contact(server, bob) as friend:
        await program.run("listen", "--drain")
        await friend.send(alice.jid, "for the phone alone")
        await friend.settle()
        sent = time.monotonic()
        await until(lambda: time.monotonic() > sent + CLOCKS_S, "a moment that is the later one by every clock")
        async with program.listening("-F", "%b", ready=tmp_path / "ready") as process:
            await friend.wait_for_presence(alice.jid, "available", sender=bot)
            await friend.send(bot, "seen")
            assert process.stdout is not None
            assert await process.stdout.readline() == b"seen\n"
            await killed_with(process, friend, bot, given)
        last = await program.run("listen", "--drain", "-F", "%b")
        again = last.stdout.splitlines()  # first what the server has no ack of, though it was printed
        assert (last.code, again) in ((0, given), (0, ["seen", *given])), last.stderr
        assert (await program.run("listen", "--drain", "-F", "%b")).stdout == ""


@pytest.mark.parametrize("ahead_s", ["-600", "-1.2", "0.7", "1.9", "600"])
@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
@pytest.mark.either_server
async def test_a_clock_that_is_wrong_loses_nothing_of_what_a_killed_listen_was_given(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, ahead_s: str
) -> None:
    server: Server = request.getfixturevalue(name)
    alice, bob = friends(server)
    program, bot, given = Program(tmp_path, server, alice), f"{alice.jid}/bot", ["one", "two", "three"]
    program.env |= {"XMPPSH_JID": bot, "PYTHONPATH": str(Path(__file__).parent.parent)}
    program.command = (sys.executable, "-m", "support.wrong_clock", ahead_s)
    async with Contact(server, alice, "phone"), Contact(server, bob) as friend:
        async with program.listening("-F", "%b", ready=tmp_path / "ready") as process:
            await friend.wait_for_presence(alice.jid, "available", sender=bot)
            await killed_with(process, friend, bot, given)
        last = await program.run("listen", "--drain", "-F", "%b")
        assert (last.code, last.stdout.splitlines()) == (0, given), last.stderr
        assert (await program.run("listen", "--drain", "-F", "%b")).stdout == ""


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
@pytest.mark.either_server
async def test_what_a_run_that_ended_cleanly_has_printed_is_not_printed_again_after_one_that_was_killed_at_its_start(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    server: Server = request.getfixturevalue(name)
    alice, bob = friends(server)
    program, bot = Program(tmp_path, server, alice), f"{alice.jid}/bot"
    program.env["XMPPSH_JID"] = bot
    async with Contact(server, bob) as friend:
        await prints_and_ends(program, friend, bot, ["first", "second"])
        began = time.monotonic()
        async with program.listening(ready=tmp_path / "ready again") as process:
            shown = await friend.wait_for_presence(alice.jid, "available", sender=bot, since=began)
            await killed_with(process, friend, bot, ["third"])
            await friend.wait_for_presence(alice.jid, "unavailable", since=shown.at)
        last = await program.run("listen", "--drain", "-F", "%b")
        assert (last.code, last.stdout) == (0, "third\n"), last.stderr


async def test_what_a_killed_run_was_given_is_printed_though_what_a_clean_one_had_last_has_left_the_archive(
    prosody: Server, tmp_path: Path
) -> None:
    alice, bob = friends(prosody)
    program, bot = Program(tmp_path, prosody, alice), f"{alice.jid}/bot"
    program.env["XMPPSH_JID"] = bot
    async with Contact(prosody, alice, "phone"), Contact(prosody, bob) as friend:
        await prints_and_ends(program, friend, bot, ["first"])
        (store,) = (tmp_path / "xmppsh" / "outbox").glob("*.sqlite")
        with closing(sqlite3.connect(store)) as database, database:
            database.execute("UPDATE reached SET newest = 'an id that the archive does not know'")
        began = time.monotonic()
        async with program.listening(ready=tmp_path / "ready again") as process:
            await friend.wait_for_presence(alice.jid, "available", sender=bot, since=began)
            await killed_with(process, friend, bot, ["second", "third"])
        last = await program.run("listen", "--drain", "-F", "%b")
        assert (last.code, last.stdout.split()[-2:]) == (0, ["second", "third"]), last.stderr


async def test_an_archive_that_cannot_be_read_is_told_of_since_messages_may_be_missing(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server("ejabberd")
    alice, bob = friends(server)
    program, bot = Program(tmp_path, server, alice), f"{alice.jid}/bot"
    program.env["XMPPSH_JID"] = bot
    async with Contact(server, alice, "phone"), Contact(server, bob) as friend:
        async with program.listening(ready=tmp_path / "ready") as process:
            await friend.wait_for_presence(alice.jid, "available", sender=bot)
            await killed_with(process, friend, bot, ["one"])
        with closing(sqlite3.connect(server.folder / DATABASE)) as database:
            database.execute("DROP TABLE archive")
        last = await program.run("listen", "--drain", "-F", "%b")
        assert (last.code, last.stdout) == (0, "")
        assert "may be missing" in last.stderr


async def test_what_ejabberd_drops_at_a_clean_end_beside_another_client_is_printed_by_the_next_run(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server, given = start_server("ejabberd", arrival_delay_ms=30), [*map(str, range(60))]
    alice, bob = friends(server)
    program, trace = Program(tmp_path, server, alice), tmp_path / "trace"
    program.env["XMPPSH_JID"] = bot = f"{alice.jid}/bot"
    async with Contact(server, alice, "phone") as phone, Contact(server, bob) as friend:
        async with program.listening("-F", "%b", "--trace", str(trace), ready=tmp_path / "ready") as process:
            await friend.wait_for_presence(alice.jid, "available", sender=bot)
            for body in given[:40]:  # longer than the program needs for its end
                await friend.send(bot, body)
            assert process.stdout is not None
            printed = (await process.stdout.readline()).decode()
            process.terminate()
            await until(lambda: "> </stream:stream>" in trace.read_text(), "the end of our stream")
            for body in given[40:50]:
                await friend.send(bot, body)
            came = (">40</body>", "< </stream:stream>")
            await until(lambda: any(one in trace.read_text() for one in came), "what the server does after it")
            is_in_its_way = came[0] in trace.read_text()  # or a busy machine was too late for that
            for body in given[50:]:  # it ends the stream before it looks at these
                await friend.send(bot, body)
            printed += (await process.stdout.read()).decode()
            assert await process.wait() == -signal.SIGTERM
        last = await program.run("listen", "--drain", "-F", "%b")
        await phone.settle()
        runs, elsewhere = (printed + last.stdout).split(), {message.body for message in phone.messages}
        assert runs == (given if is_in_its_way else [body for body in given if body in runs]), last.stderr
        assert [body for body in given if body not in {*runs, *elsewhere}] == [], last.stderr


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
@pytest.mark.either_server
async def test_what_the_archive_gave_to_a_run_that_ended_cleanly_is_not_printed_again_from_the_offline_store(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    server: Server = request.getfixturevalue(name)
    alice, bob = friends(server)
    program, given = Program(tmp_path, server, alice), [*map(str, range(40))]
    program.env["XMPPSH_JID"] = f"{alice.jid}/bot"
    async with Contact(server, bob) as friend:
        async with program.listening(ready=tmp_path / "ready") as process:
            shown = await friend.wait_for_presence(alice.jid, "available")
            process.send_signal(signal.SIGSTOP)
            for body in given:
                await friend.send(alice.jid, body)
            await friend.settle()
            process.kill()
            await friend.wait_for_presence(alice.jid, "unavailable", since=shown.at)
        # The server delivers its store after a presence alone.
        async with program.listening("--no-presence", "-F", "%b", ready=tmp_path / "ready again") as process:
            assert process.stdout is not None
            assert [(await process.stdout.readline()).decode().strip() for _ in given] == given
            process.terminate()
            assert await process.wait() == -signal.SIGTERM
        last = await program.run("listen", "--drain", "-F", "%b")
        assert last.stdout == ""
        kept, is_closed = any(tmp_path.rglob("*.printed-*")), "has not confirmed the end" not in last.stderr
        assert kept is not is_closed, "what is printed is noted as long as it may come again, and no longer"


@pytest.mark.either_server
async def test_the_shell_is_back_in_its_room_after_a_lost_session_and_shows_what_was_said_meanwhile(
    server: Server, tmp_path: Path
) -> None:
    alice, bob = server.account(), server.account()
    program, room = Program(tmp_path, server, alice), f"tea{time.monotonic_ns()}@{server.conference}"
    program.env["XMPPSH_JID"] = f"{alice.jid}/bot"
    async with ChaosProxy(server.host, server.port) as proxy, Contact(server, bob) as friend:
        program.env["XMPPSH_HOST"] = f"{server.host}:{proxy.port}"
        await friend.send_raw(f"<presence to='{room}/bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        await friend.wait_for_presence(room, "available")
        shell = await program.start("connect", "--format", "json")
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(f"/join {room} alice\n".encode())
        await friend.wait_for_presence(room, "available", sender=f"{room}/alice")
        await friend.send(room, "0", type="groupchat")
        said = [await _said_in(room, shell.stdout)]
        cut = await proxy.inject(reset_both(refuse_s=60))
        async with Contact(server, alice, "bot"):
            pass  # in its place, so that there is nothing to resume
        for number in range(1, SAID + 1):
            await friend.send(room, str(number), type="groupchat")
        await friend.settle()
        cut.release()
        said += [await _said_in(room, shell.stdout) for _ in range(SAID)]
        assert said == [*map(str, range(SAID + 1))]
        shell.stdin.close()
        assert await asyncio.wait_for(shell.wait(), 30) == 0


async def _said_in(room: str, lines: asyncio.StreamReader) -> str:
    """What is said next there."""
    async with asyncio.timeout(60):
        while line := await lines.readline():
            record = json.loads(line)
            if record.get("room") and record.get("body") and record["from"].startswith(room):
                return str(record["body"])
    raise AssertionError("the shell has ended")
