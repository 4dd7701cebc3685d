"""Every record that a command prints at a real server is as its schema says (`xmppsh schema`)."""

import asyncio
import json
import secrets
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Program, exists, finish
from support.records import named
from support.servers import Account, Server
from support.until import DEADLINE_S

from xmppsh.output.schema import name_of
from xmppsh.registry import COMMANDS
from xmppsh.registry.record_types import all_types, types_of

pytestmark = pytest.mark.either_server

# What is run in turn, and the records that it prints. Words in capitals stand for what the server and the test have.
PRINTED: dict[str, dict[str, str]] = {
    "of entities": {
        "version DOMAIN": "version",
        "time DOMAIN": "entity-time",
        "last OWN": "last-activity",
        "ping -c 2": "pong ping-summary",
        "disco info DOMAIN": "disco-feature disco-identity",
        "disco items DOMAIN": "disco-item",
        "disco tree DOMAIN": "disco-item",
        "iq get DOMAIN VERSION": "iq-answer",
        "iq get DOMAIN VERSION --xpath //*": "iq-found",
        "raw IQ": "iq-answer",
    },
    "of people": {
        "roster add friend@example.org --name F --group G": "",
        "roster list": "roster-contact",
        "roster export": "roster-contact",
        "presence probe BOB": "presence",
        "listen --only presence -C 1": "presence",
        "block add x@example.org": "",
        "block list": "blocked",
        "vcard set FN=A": "",
        "vcard get": "vcard-field",
    },
    "of messages": {
        "send OWN hi": "sent",
        "send OWN hi --each": "send-result",
        "listen --drain": "message",
        "pipe FILE --replies": "pipe-reply pipe-summary",
        "history list": "message",
        "history export": "message",
        "send BOB NEW --host 127.0.0.1:1 --queue": "queued-message",
        "outbox list": "outbox-entry",
        "outbox drop --dry-run": "outbox-entry",
        "upload FILE": "uploaded",
    },
    "of nodes": {
        "bookmarks add ROOM --name R": "",
        "bookmarks list": "bookmark",
        "avatar set PICTURE": "avatar",
        "avatar get OWN --output NEW": "avatar",
        "pubsub create OWN n": "",
        "pubsub config OWN n": "form-field",
        "pubsub nodes OWN": "disco-item",
        "pubsub publish OWN n <a/>": "published",
        "pubsub get OWN n": "pubsub-item",
        "pubsub subscribe OWN n": "subscription",
    },
    "of a room": {
        "room config ROOM muc#roomconfig_publicroom=yes": "",
        "room list ROOMS": "room",
        "room who ROOM": "occupant",
        "room subject ROOM": "subject",
        "room affiliation ROOM": "affiliation",
        "room config ROOM": "form-field",
        "history list --room ROOM": "message",
    },
    "of an admin": {
        "adhoc list DOMAIN": "adhoc-command",
        "adhoc run DOMAIN USER_STATS": "form-field",
        "adhoc run DOMAIN USER_STATS accountjid=OWN": "adhoc-result",
    },
    "of the machine": {
        "config show": "setting",
        "explain": "candidate",
        "doctor": "check",
        "agent start --idle 60": "agent-facts",
        "send OWN hi": "sent",
        "agent status": "agent-facts agent-session",
        "agent stop": "",
    },
}
ENDS = {"adhoc run DOMAIN USER_STATS": 64, "send BOB NEW --host 127.0.0.1:1 --queue": 81}
# What only a second program makes them print, or a line of the shell.
TOLD = {"iq", "pubsub-event", "session", "closed", "reaped", "witness-news", "online"}
PNG = b"\x89PNG\r\n\x1a\n"
MUC = "http://jabber.org/protocol/muc"


def records_of(command: str, stdout: str) -> set[str]:
    """The names of what was printed; fails where that is no record of the command."""
    words = command.split()
    path = next(tuple(words[:length]) for length in (2, 1) if tuple(words[:length]) in COMMANDS)
    printed = {named(json.loads(line)) for line in stdout.splitlines()}
    assert printed <= {name_of(one) for one in types_of(COMMANDS[path])}, command
    return printed


def test_no_record_is_left_out() -> None:
    printed = {name for rows in PRINTED.values() for names in rows.values() for name in names.split()}
    assert printed | TOLD == set(all_types())


@pytest.fixture
def words(server: Server, alice: Account, tmp_path: Path) -> dict[str, str]:
    iq = f"<iq type='get' id='1' to='{server.domain}'><ping xmlns='urn:xmpp:ping'/></iq>"
    (tmp_path / "file").write_text(iq)
    (tmp_path / "picture").write_bytes(PNG)
    return {
        "DOMAIN": server.domain, "ROOMS": server.conference, "ROOM": f"{secrets.token_hex(4)}@{server.conference}",
        "OWN": alice.jid, "FILE": str(tmp_path / "file"), "NEW": str(tmp_path / "new"),
        "PICTURE": str(tmp_path / "picture"), "IQ": iq, "VERSION": "<query xmlns='jabber:iq:version'/>",
        "USER_STATS": "http://jabber.org/protocol/admin#user-stats",
    }  # fmt: skip


@pytest.mark.parametrize("what", [what for what in PRINTED if what != "of a room"])
async def test_what_is_printed_is_as_the_schema_says(
    server: Server, alice: Account, friend: Contact, words: dict[str, str], tmp_path: Path, what: str
) -> None:
    words["BOB"] = friend.jid.partition("/")[0]
    account = server.account(server.admin.partition("@")[0]) if what == "of an admin" else alice
    await prints(Program(tmp_path, server, account), words, PRINTED[what])


async def test_what_is_printed_of_a_room_is_as_the_schema_says(
    server: Server, alice: Account, program: Program, words: dict[str, str]
) -> None:
    async with Contact(server, alice) as owner:
        await owner.send_raw(f"<presence to='{words['ROOM']}/owner'><x xmlns='{MUC}'/></presence>")
        await owner.wait_for_presence(words["ROOM"], "available")
        await owner.send_raw(f"<message to='{words['ROOM']}' type='groupchat'><body>hi</body></message>")
        await owner.settle()
        await prints(program, words, PRINTED["of a room"])


async def prints(program: Program, words: dict[str, str], printed: dict[str, str]) -> None:
    """Each command prints these records, and each is as its schema says."""
    for command, expected in printed.items():
        given = ("=".join(words.get(part, part) for part in word.split("=")) for word in command.split())
        outcome = await program.run(*given, "--format", "json")
        assert outcome.code == ENDS.get(command, 0), (command, outcome)
        assert records_of(command, outcome.stdout) == set(expected.split()), (command, outcome)


async def test_what_a_second_program_makes_them_print_is_as_the_schema_says(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    async def first_line(command: str, process: asyncio.subprocess.Process) -> set[str]:
        assert process.stdout is not None
        return records_of(command, (await asyncio.wait_for(process.stdout.readline(), DEADLINE_S)).decode())

    as_json = ("--format", "json")
    async with program.listening("--only", "iq", *as_json, ready=tmp_path / "listens") as listener:
        (session,) = server.sessions(alice.jid)
        await friend.send_raw(f"<iq type='set' id='1' to='{session}'><q xmlns='q'/></iq>")
        assert await first_line("listen", listener) == {"iq"}
        for command in ("sessions list", f"sessions close {session.partition('/')[2]}"):
            outcome = await program.run(*command.split(), *as_json)
            assert records_of(command, outcome.stdout) == {"session" if "list" in command else "closed"}, outcome
    async with program.listening("--no-guard", ready=tmp_path / "again") as listener:
        listener.kill()
        await listener.wait()
        outcome = await program.run("sessions", "reap", *as_json)
        assert records_of("sessions reap", outcome.stdout) == {"reaped"}, outcome
    assert (await program.run("pubsub", "create", alice.jid, "n")).code == 0
    publish = ("pubsub", "publish", alice.jid, "n", "<a/>")
    watched = await program.start(
        "pubsub", "watch", alice.jid, "n", "-C", "1", "--ready-file", str(tmp_path / "w"), *as_json
    )
    await exists(tmp_path / "w", watched)
    assert (await program.run(*publish)).code == 0
    assert records_of("pubsub watch", (await finish(watched)).stdout) == {"pubsub-event"}
    witness = await program.start("witness", *as_json)
    assert await first_line("witness", witness) == {"witness-news"}
    witness.terminate()
    await finish(witness)
