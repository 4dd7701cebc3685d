"""The account's own sessions on real servers: listing them shows nobody anything, closing one loses no message."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.contact import Contact
from support.program import Outcome, Program
from support.servers import Account, Server

pytestmark = pytest.mark.either_server

OFFLINE = {"prosody": False, "ejabberd": True}  # does the server name the sessions that were shown no presence?


@pytest.fixture
def alice(server: Server) -> Account:
    return server.account()


@pytest.fixture
def bob(server: Server, alice: Account) -> Account:
    account = server.account()
    server.befriend(alice, account)
    return account


@pytest.fixture
def program(tmp_path: Path, server: Server, alice: Account) -> Program:
    return Program(tmp_path, server, alice)


@asynccontextmanager
async def phone(server: Server, account: Account, *, presence: str = "") -> AsyncIterator[Contact]:
    """Another client of the account, which tells its name and is away."""
    contact = Contact(server, account, "phone")
    contact.client.register_plugin("xep_0092", {"software_name": "Pocket", "version": "2.1"})
    async with contact:
        shown = presence or "<show>away</show><status>at sea</status><priority>5</priority>"
        await contact.send_raw(f"<presence>{shown}</presence>")
        await contact.settle()
        yield contact


@asynccontextmanager
async def listening(program: Program, folder: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`listen` without a guard, which would close the session that a test wants to find."""
    async with program.listening("--no-guard", *arguments, ready=folder / "ready") as process:
        yield process


async def killed(process: asyncio.subprocess.Process) -> None:
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()


async def listed(program: Program, *arguments: str) -> dict[str, dict[str, Any]]:
    """The records of `sessions list`, by resource."""
    outcome = await program.run("--format", "json", "sessions", "list", *arguments)
    assert outcome.code == 0, outcome.stderr
    assert len({record["jid"] for record in outcome.records}) == len(outcome.records)
    return {record["resource"]: record for record in outcome.records}


async def closed(program: Program, resource: str) -> Outcome:
    return await program.run("--format", "json", "sessions", "close", resource)


# ── list ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_list_tells_a_clients_name_presence_and_age(server: Server, alice: Account, program: Program) -> None:
    async with phone(server, alice):
        record = (await listed(program))["phone"]
    assert 0 <= record.pop("age_s") < 30
    assert record == {
        "kind": "session",
        "jid": f"{alice.jid}/phone",
        "resource": "phone",
        "online": True,
        "client": "Pocket 2.1",
        "show": "away",
        "status": "at sea",
        "priority": 5,
        "this": False,
        "held": None,
    }


async def test_the_session_that_lists_is_not_listed(server: Server, program: Program) -> None:
    outcome = await program.run("sessions", "list")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")


async def test_list_shows_contacts_nothing(server: Server, alice: Account, bob: Account, program: Program) -> None:
    async with Contact(server, bob) as contact, phone(server, alice) as other:
        await contact.wait_for_presence(alice.jid, "available", sender=other.jid)
        found = await listed(program)
        await other.settle()
        await contact.settle()
        for watcher in (contact, other):
            available = {presence.sender for presence in watcher.presence if presence.type == "available"}
            assert available == {contact.jid, other.jid}
    assert ("phone" in found) is OFFLINE[server.name]


async def test_where_it_takes_presence_list_says_so_and_visible_sends_it_for_a_moment(
    prosody: Server, tmp_path: Path
) -> None:
    alice, bob = prosody.account(), prosody.account()
    prosody.befriend(alice, bob)
    program = Program(tmp_path, prosody, alice)
    async with Contact(prosody, bob) as contact, phone(prosody, alice) as other:
        outcome = await program.run("sessions", "list")
        assert (outcome.code, outcome.stdout) == (0, "")
        assert "--visible" in outcome.stderr
        assert (await listed(program, "--visible"))["phone"]["show"] == "away"
        await contact.settle()
        seen = [one.type for one in contact.presence if one.sender not in (alice.jid, contact.jid, other.jid)]
        assert seen == ["available", "unavailable"]


async def test_a_client_that_does_not_answer_is_listed_all_the_same(
    server: Server, alice: Account, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere, program = Program(folder, server, alice), Program(tmp_path, server, alice)
    async with listening(elsewhere, tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        (record,) = (await listed(program)).values()
    assert (record["client"], record["priority"], record["held"]) == (None, 0, None)


async def test_list_tells_what_our_own_programs_have(
    server: Server, bob: Account, program: Program, tmp_path: Path
) -> None:
    async with listening(program, tmp_path):
        (record,) = (await listed(program)).values()
    assert (record["online"], record["this"]) == (True, False)
    assert record["client"].startswith("xmppsh")
    assert 0 <= record["age_s"] < 30
    held = record["held"]
    assert (held["state"], held["unacked"]) == ("live", 0)
    assert held["started"].endswith("Z")
    assert held["max_s"] == (120 if server.name == "ejabberd" else held["max_s"])


async def test_a_session_without_presence_is_listed_where_a_program_of_ours_has_it(
    server: Server, bob: Account, program: Program
) -> None:
    process = await program.start("-v", "pipe", "--no-guard")
    assert process.stdin is not None
    assert process.stderr is not None
    while b"session" not in await asyncio.wait_for(process.stderr.readline(), 20):
        pass
    (record,) = (await listed(program)).values()
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 20) == 0
    assert (record["online"], record["held"]["state"], record["priority"]) == (True, "live", None)


async def test_list_leaves_a_dead_session_alone_and_says_that_it_is_dead(
    server: Server, bob: Account, program: Program, tmp_path: Path
) -> None:
    async with listening(program, tmp_path) as process:
        await killed(process)
        for _ in range(2):
            (record,) = (await listed(program)).values()
            assert (record["online"], record["held"]["state"]) == (True, "dead")
        server.kick(record["jid"])
        (record,) = (await listed(program)).values()
        assert (record["online"], record["held"]["state"]) == (False, "dead")


async def test_list_does_not_replace_the_session_of_the_resource_that_is_configured(
    server: Server, alice: Account, program: Program, tmp_path: Path
) -> None:
    program.env["XMPPSH_JID"] = f"{alice.jid}/fixed"
    async with listening(program, tmp_path) as process:
        assert (await listed(program))["fixed"]["held"]["state"] == "live"
        assert process.returncode is None


async def test_text_is_one_aligned_line_each_and_safe_for_a_terminal(
    server: Server, alice: Account, program: Program
) -> None:
    async with phone(server, alice, presence="<status>a\u202eb</status>"), Contact(server, alice, "w"):
        outcome = await program.run("sessions", "list")
    first, second = outcome.stdout.splitlines()
    assert first.startswith("phone  available  0  Pocket 2.1  ")
    assert first.endswith("a\\u202eb")
    assert second.startswith("w      available  0  -           ")


# ── The shell ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_shell_lists_its_own_session_too_and_does_not_close_it(
    server: Server, alice: Account, bob: Account, program: Program
) -> None:
    program.env["XMPPSH_JID"] = f"{alice.jid}/shell"
    script = "/sessions list --format json\n/sessions close shell\n/ping\n"
    outcome = await program.run("connect", "--no-guard", stdin=script.encode())
    listed, pong = outcome.stdout.splitlines()
    record = json.loads(listed)
    assert (record["resource"], record["this"], record["held"]["state"]) == ("shell", True, "live")
    assert record["client"].startswith("xmppsh ")
    assert "line 2: " in outcome.stderr
    assert "is this session itself" in outcome.stderr
    assert pong.startswith("pong from ")


async def test_a_shell_that_is_available_lists_what_is_available(
    server: Server, alice: Account, bob: Account, program: Program
) -> None:
    async with phone(server, alice) as other:
        outcome = await program.run("connect", "--no-guard", "--priority", "3", stdin=b"/sessions list --format json\n")
    assert outcome.stderr == ""
    phones = [(one["priority"], one["status"]) for one in outcome.records if one["jid"] == other.jid]
    assert phones == [(5, "at sea")]
    assert [one["priority"] for one in outcome.records if one["this"]] == [3]


async def test_the_shell_closes_another_session(server: Server, alice: Account, program: Program) -> None:
    async with phone(server, alice) as other:
        outcome = await program.run("connect", "--no-guard", stdin=b"/sessions close phone\n")
        assert (outcome.code, outcome.stdout) == (0, f"closed {alice.jid}/phone\n"), outcome.stderr
        assert "conflict" in await other.wait_for_end()


# ── close ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_close_ends_the_session_of_another_client(
    server: Server, alice: Account, bob: Account, program: Program
) -> None:
    async with Contact(server, bob) as contact, phone(server, alice) as other:
        await contact.wait_for_presence(alice.jid, "available", sender=other.jid)
        outcome = await closed(program, "phone")
        assert (outcome.code, outcome.stderr) == (0, "")
        (record,) = outcome.records
        assert record == {"kind": "closed", "jid": other.jid, "resource": "phone", "resumed": False}
        assert "conflict" in await other.wait_for_end()
        await contact.wait_for_presence(alice.jid, "unavailable", sender=other.jid)
        await contact.settle()
        assert contact.presence[-1].type == "unavailable"


async def test_what_the_closed_client_had_not_acknowledged_reaches_the_next_one(
    server: Server, alice: Account, bob: Account, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere, program = Program(folder, server, alice), Program(tmp_path, server, alice)
    elsewhere.env["XMPPSH_JID"] = f"{alice.jid}/stopped"
    async with Contact(server, bob) as contact:
        async with listening(elsewhere, tmp_path) as process:
            process.send_signal(signal.SIGSTOP)
            for number in range(5):
                await contact.send(f"{alice.jid}/stopped", f"full {number}")
                await contact.send(alice.jid, f"bare {number}")
            await contact.settle()
            assert (await closed(program, "stopped")).code == 0
            await contact.wait_for_presence(alice.jid, "unavailable", sender=f"{alice.jid}/stopped")
        async with Contact(server, alice) as following:
            bodies = sorted(message.body for message in await following.wait_for_messages(10))
            assert bodies == [f"{kind} {number}" for kind in ("bare", "full") for number in range(5)]


async def test_close_resumes_and_closes_what_a_dead_program_left(
    server: Server, alice: Account, bob: Account, program: Program, tmp_path: Path
) -> None:
    async with Contact(server, bob) as contact, listening(program, tmp_path) as process:
        await killed(process)
        (record,) = (await listed(program)).values()
        outcome = await closed(program, record["resource"])
        assert outcome.code == 0, outcome.stderr
        assert outcome.records == [
            {"kind": "closed", "jid": record["jid"], "resource": record["resource"], "resumed": True}
        ]
        await contact.wait_for_presence(alice.jid, "unavailable", sender=record["jid"])
        assert await listed(program) == {}


@pytest.mark.parametrize("prefix", ["", "own"])
async def test_an_unknown_resource_is_67(server: Server, alice: Account, program: Program, prefix: str) -> None:
    outcome = await closed(program, f"{alice.jid}/nobody" if prefix else "nobody")
    assert (outcome.code, outcome.stdout) == (67, "")
    assert outcome.error["text"] == f"{alice.jid} has no session with the resource nobody"
    assert outcome.error["condition"] == "item-not-found"


CONFLICTS: dict[str, tuple[str, Callable[[str], str]]] = {
    "prosody": ("prosody.cfg.lua", lambda text: f'conflict_resolve = "random"\n{text}'),
    "ejabberd": ("ejabberd.yml", lambda text: json.dumps({**json.loads(text), "resource_conflict": "setresource"})),
}


@pytest.mark.parametrize("name", CONFLICTS)
async def test_a_server_that_binds_another_resource_is_an_error_that_says_so(
    start_server: Callable[..., Server], tmp_path: Path, name: str
) -> None:
    server = start_server(name)
    alice = server.account()
    server.stop()
    file, changed = CONFLICTS[name]
    (server.folder / file).write_text(changed((server.folder / file).read_text()))
    server.start()
    async with phone(server, alice) as other:
        outcome = await closed(Program(tmp_path, server, alice), "phone")
        assert (outcome.code, outcome.error["layer"]) == (76, "bind")
        assert "instead of phone" in outcome.error["text"]
        await other.settle()
        assert other.online


# ── reap ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_reap_closes_what_dead_programs_left_and_nothing_else(
    server: Server, alice: Account, bob: Account, program: Program, tmp_path: Path
) -> None:
    second = tmp_path / "second"
    second.mkdir()
    async with (
        Contact(server, bob) as contact,
        phone(server, alice) as other,
        listening(program, tmp_path) as alive,
        listening(program, second) as process,
    ):
        await killed(process)
        outcome = await program.run("--format", "json", "sessions", "reap")
        assert outcome.code == 0, outcome.stderr
        (record,) = outcome.records
        assert 0 <= record.pop("age_s") < 60
        jid = record.pop("jid")
        assert record == {"kind": "reaped", "resumed": True, "acked": 0, "left": 0}
        await contact.wait_for_presence(alice.jid, "unavailable", sender=jid)
        assert (alive.returncode, other.online) == (None, True)
        again = await program.run("sessions", "reap")
        assert (again.code, again.stdout, again.stderr) == (0, "", "")
