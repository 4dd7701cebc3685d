"""The commands for an account and its server, as a second account or a second call sees what they did."""

import asyncio
import json
import os
import re
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Program, finish
from support.servers import MAX_UPLOAD_BYTES, Account, Server
from support.until import until

pytestmark = pytest.mark.either_server


async def records(program: Program, *arguments: str) -> list[dict[str, object]]:
    outcome = await program.run(*arguments, "--format", "json")
    assert outcome.code == 0, outcome.stderr
    return outcome.records


async def done(program: Program, *arguments: str, stdin: bytes = b"") -> None:
    outcome = await program.run(*arguments, stdin=stdin)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")


# ── Entities ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_version_time_and_last_ask_the_server(program: Program, server: Server, alice: Account) -> None:
    (version,) = await records(program, "version", server.domain)
    assert str(version["name"]).lower() == server.name
    (time,) = await records(program, "time", server.domain)
    assert str(time["utc"]).endswith("Z")


async def test_what_a_server_does_not_offer_is_told_by_name(program: Program, server: Server) -> None:
    outcome = await program.run("last", f"conference.{server.domain}")
    assert outcome.code == 76
    assert "does not offer its last activity (XEP-0012)" in outcome.stderr


async def test_disco_shows_features_services_and_a_tree(program: Program, server: Server) -> None:
    info = await records(program, "disco", "info", server.domain)
    assert {"kind": "feature", "from": server.domain, "var": "urn:xmpp:ping"} in info
    assert ("server", "im") in [(one.get("category"), one.get("type")) for one in info]
    items = await records(program, "disco", "items", server.domain)
    assert server.conference in [one["jid"] for one in items]
    tree = await records(program, "disco", "tree", server.domain, "--depth", "1")
    assert (tree[0]["jid"], tree[0]["depth"]) == (server.domain, 0)
    assert (server.conference, 1) in [(one["jid"], one["depth"]) for one in tree]


# ── The roster ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_roster_is_changed_and_shown(program: Program) -> None:
    await done(program, "roster", "add", "juliet@example.org", "--name", "J", "--group", "A", "--group", "B")
    await done(program, "roster", "rename", "juliet@example.org", "J.")
    await done(program, "roster", "add", "juliet@example.org", "--name", "Juliet")  # her groups stay
    (contact,) = await records(program, "roster", "list")
    assert (contact["jid"], contact["name"], sorted(contact["groups"])) == (  # type: ignore[call-overload]
        "juliet@example.org", "Juliet", ["A", "B"],
    )  # fmt: skip
    await done(program, "roster", "remove", "juliet@example.org")
    assert await records(program, "roster", "list") == []
    missing = await program.run("roster", "remove", "juliet@example.org")
    assert (missing.code, missing.stderr) == (
        67, "xmppsh: juliet@example.org is not in the roster\n  try: xmppsh roster list\n",
    )  # fmt: skip


async def test_an_export_imported_elsewhere_gives_the_same_roster_however_often(
    program: Program, server: Server, tmp_path: Path
) -> None:
    lines = [
        json.dumps(
            {"jid": f"c{one}@example.org", "name": f'C <{one}> & "ü" 😀', "groups": ["x & <y>", "ü"], "ask": one == 7}
        )
        for one in range(20)
    ]
    lines.append(json.dumps({"jid": "c3@example.org/phone"}))
    for begin in (0, 1):
        await done(program, "roster", "import", stdin="\n".join(lines[begin:]).encode())
    exported = (await program.run("roster", "export")).stdout
    (tmp_path / "other").mkdir()
    other = Program(tmp_path / "other", server, server.account())
    for _ in range(2):
        await done(other, "roster", "import", stdin=exported.encode())
    again = (await other.run("roster", "export")).stdout
    assert sorted(again.splitlines()) == sorted(exported.splitlines())
    assert [json.loads(one)["jid"] for one in again.splitlines() if json.loads(one)["ask"]] == ["c7@example.org"]
    assert len(again.splitlines()) == sum('"C <' in one for one in again.splitlines()) == 20


async def test_an_import_keeps_the_name_and_the_groups_that_a_contact_has_and_tells_of_one_that_comes_twice(
    program: Program,
) -> None:
    await done(program, "roster", "add", "a@example.org", "--name", "Mine")
    lines = [("a", "Old"), ("b", "First"), ("b", "Second"), ("b", "Second")]
    given = [json.dumps({"jid": f"{who}@example.org", "name": name, "groups": ["g"]}) for who, name in lines]
    outcome = await program.run("roster", "import", stdin="\n".join(given).encode())
    told = "xmppsh: line 3: b@example.org was there before; what this line says counts\n"
    assert (outcome.code, outcome.stderr) == (0, told)
    found = {one["jid"]: (one["name"], one["groups"]) for one in await records(program, "roster", "list")}
    assert found == {"a@example.org": ("Mine", ["g"]), "b@example.org": ("Second", ["g"])}


@pytest.mark.parametrize("server", ["prosody"], indirect=True)  # ejabberd takes whatever can be written
async def test_a_contact_that_the_server_refuses_is_told_and_the_others_are_added(
    program: Program, server: Server, alice: Account
) -> None:
    own = {"jid": alice.jid}  # Prosody lets nobody be a contact of himself
    lines = [{"jid": "a@example.org"}, own, {"jid": "c@example.org", "groups": [""]}, {"jid": "b@example.org"}]
    outcome = await program.run("roster", "import", stdin="\n".join(map(json.dumps, lines)).encode())
    assert outcome.code == 80, outcome.stderr
    assert outcome.stderr.startswith(f"xmppsh: {alice.jid}: "), outcome.stderr
    alone = await program.run("roster", "add", alice.jid)
    told = f"xmppsh: {alice.jid} is your own address, which {server.domain} keeps out of your roster: not-allowed\n"
    assert (alone.code, alone.stderr) == (77, told)
    assert "\nxmppsh: 1 of 4 contacts were refused\n" in outcome.stderr
    assert {"a@example.org", "b@example.org", "c@example.org"} == {
        one["jid"] for one in await records(program, "roster", "list")
    }


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"name": "x"}', "it is not a contact as `roster export` prints it"),
        ('{"jid": 5}', "jid and name are texts, and groups a list of texts"),
        ('{"jid": "c@d", "groups": "Friends"}', "jid and name are texts, and groups a list of texts"),
    ],
)
async def test_a_bad_line_of_an_import_is_named_and_nothing_is_added(program: Program, line: str, why: str) -> None:
    outcome = await program.run("roster", "import", stdin=b'{"jid": "a@b"}\n' + line.encode())
    assert outcome.code == 65
    assert outcome.stderr.startswith(f"xmppsh: line 2: {why}")
    assert await records(program, "roster", "list") == []


async def test_a_line_of_an_import_ends_at_its_line_feed_alone(program: Program) -> None:
    line = json.dumps({"jid": "a@example.org", "name": "A\u2028\x85B"}, ensure_ascii=False)
    await program.run("roster", "import", stdin=line.encode())
    assert [one["name"] for one in await records(program, "roster", "list")] == ["A\u2028\x85B"]


async def test_presence_is_asked_for_and_given(program: Program, server: Server, alice: Account) -> None:
    async with Contact(server, server.account()) as bob:
        bare = bob.jid.partition("/")[0]
        await done(program, "presence", "subscribe", bare)
        await bob.wait_for_presence(alice.jid, "subscribe")
        await bob.send_raw(f"<presence to='{alice.jid}' type='subscribed'/>")
        await bob.send_raw(f"<presence to='{alice.jid}' type='subscribe'/>")
        await bob.settle()
        await done(program, "presence", "approve", bare)
        await bob.wait_for_presence(alice.jid, "subscribed")
        (contact,) = await records(program, "roster", "list")
        assert contact["subscription"] == "both"
        await done(program, "presence", "deny", bare)
        await bob.wait_for_presence(alice.jid, "unsubscribed")


async def test_an_approval_that_nobody_has_asked_for_says_so(program: Program, server: Server) -> None:
    bob = f"bob@{server.domain}"
    server.account("bob")
    approved = await program.run("presence", "approve", bob)
    assert (approved.code, approved.stderr.partition(":")[2].partition(":")[0]) == (
        0, f" {bob} has not asked to see your presence",
    )  # fmt: skip


async def test_who_is_out_of_reach_is_asked_in_vain_and_that_is_told(program: Program) -> None:
    for command in (["subscribe"], ["approve"], ["set", "--to"], ["probe"]):
        outcome = await program.run("presence", *command, "juliet@nowhere.invalid")
        assert (outcome.code, outcome.stdout) == (77, ""), (
            command,
            outcome,
        )  # the servers of the tests talk to no others
        assert "nowhere.invalid: " in outcome.stderr


# ── Blocking, files ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_is_blocked_cannot_write(program: Program, server: Server, alice: Account) -> None:
    async with Contact(server, server.account()) as bob:
        bare = bob.jid.partition("/")[0]
        await done(program, "block", "add", bare, "spam.example.com", bare)
        assert sorted(str(one["jid"]) for one in await records(program, "block", "list")) == sorted(
            [bare, "spam.example.com"]
        )
        await bob.send(alice.jid, "hello")
        await bob.settle()
        assert (await program.run("listen", "--drain")).stdout == ""
        await done(program, "block", "remove", bare)
        await bob.send(alice.jid, "again")
        await bob.settle()
        assert (await program.run("listen", "--drain", "-F", "%b")).stdout == "again\n"


async def test_upload_prints_where_the_file_can_be_got(program: Program, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text("content")
    outcome = await program.run("upload", str(tmp_path / "f.txt"))
    assert outcome.code == 0, outcome.stderr

    def fetched() -> bytes:
        with urllib.request.urlopen(outcome.stdout.strip()) as answer:
            data: bytes = answer.read()
            return data

    assert await asyncio.to_thread(fetched) == b"content"


async def test_an_upload_that_fails_names_what_is_not_there(program: Program, tmp_path: Path) -> None:
    sizes = {"a": 1, "b": MAX_UPLOAD_BYTES + 1, "c": 1}
    names = [str(tmp_path / name) for name in sizes]
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(b"x" * size)
    outcome = await program.run("upload", *names)
    assert (outcome.code, len(outcome.stdout.splitlines())) == (76, 1)
    assert outcome.stderr.startswith(f"xmppsh: {names[1]} is not uploaded; not tried: {names[2]}\n")


# ── The archive ─────────────────────────────────────────────────────────────────────────────────────────────────────

COUNT = 260


@pytest.fixture
async def talkative(program: Program, server: Server) -> str:
    """An account that was sent many messages."""
    bob = server.account().jid
    text = "".join(f'{{"to": "{bob}", "body": "{number}"}}\n' for number in range(COUNT))
    assert (await program.run("pipe", "-q", stdin=text.encode())).code == 0
    return bob


async def test_history_lists_the_last_messages_and_those_with_somebody(program: Program, talkative: str) -> None:
    last = await records(program, "history", "list", "--last", "120")
    assert [one["body"] for one in last] == [str(number) for number in range(COUNT - 120, COUNT)]
    assert await records(program, "history", "list", "--with", "nobody@example.org") == []
    assert await records(program, "history", "list", "--until", "2020-01-01") == []
    assert len(await records(program, "history", "list", "--since", "1h", "--with", talkative, "--last", "3")) == 3


async def test_history_begins_and_ends_at_the_times_that_are_given(program: Program, server: Server) -> None:
    bob, stamps = server.account().jid, list[str]()
    while len(set(stamps)) < 3:  # Prosody counts in seconds
        assert (await program.run("send", bob, "hi")).code == 0
        stamps = [str(one["stamp"]) for one in await records(program, "history", "list", "--last", "1000")]
    middle = sorted(set(stamps))[1]
    for command in (("list", "--last", "1000"), ("export",)):
        for option, wanted in {
            "--since": [one for one in stamps if one >= middle],
            "--until": [one for one in stamps if one <= middle],
        }.items():
            found = await records(program, "history", *command, option, middle)
            assert [one["stamp"] for one in found] == wanted, (command, option)


@pytest.mark.usefixtures("talkative")
async def test_an_export_that_is_killed_goes_on_with_nothing_missing_or_doubled(
    program: Program, tmp_path: Path
) -> None:
    out, mark = tmp_path / "out", tmp_path / "mark"
    command = ("history", "export", "--checkpoint", str(mark))
    with out.open("ab") as file:
        process = await program.start(*command, stdout=file)
        await until(mark.exists, "a checkpoint")
        process.send_signal(signal.SIGKILL)
        await process.wait()
    with out.open("ab") as file:
        assert (await finish(await program.start(*command, stdout=file))).code == 0
    bodies = [json.loads(line)["body"] for line in out.read_text().splitlines()]
    assert bodies == [str(number) for number in range(COUNT)]


@pytest.mark.usefixtures("talkative")
async def test_a_terminal_sees_how_far_an_export_is(program: Program, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    with (tmp_path / "out").open("wb") as file:
        process = await program.start("history", "export", stdout=file, stderr=theirs)
        assert await process.wait() == 0
    os.set_blocking(ours, False)
    shown = os.read(ours, 64 * 1024).decode()
    os.close(ours)
    os.close(theirs)
    # Prosody's own storage does not tell how many there are in all.
    assert re.search(rf"messages +(\[#+\] +100%|{COUNT}\r)", shown), shown
    assert len((tmp_path / "out").read_text().splitlines()) == COUNT


@pytest.mark.usefixtures("talkative")
async def test_a_checkpoint_of_another_output_cuts_nothing_off(program: Program, tmp_path: Path) -> None:
    mark, other = tmp_path / "mark", tmp_path / "other"
    command = ("history", "export", "--checkpoint", str(mark))
    with (tmp_path / "out").open("ab") as file:
        assert (await finish(await program.start(*command, stdout=file))).code == 0
    other.write_text("kept\n" * 100_000)
    with other.open("ab") as file:
        outcome = await finish(await program.start(*command, stdout=file))
    assert (outcome.code, other.read_text()) == (74, "kept\n" * 100_000)
    assert outcome.stderr.startswith(f"xmppsh: {mark} belongs to another output, or to a longer one")


@pytest.mark.usefixtures("talkative")
async def test_a_checkpoint_goes_on_with_the_same_export_alone(
    program: Program, talkative: str, tmp_path: Path
) -> None:
    command = ("history", "export", "--checkpoint", str(tmp_path / "mark"))
    assert len((await program.run(*command)).stdout.splitlines()) == COUNT
    other = await program.run(*command, "--with", talkative)
    assert (other.code, other.stdout) == (65, "")
    assert "is the checkpoint of another export: archive " in other.stderr
    again = await program.run(*command)
    assert (again.code, again.stdout) == (0, "")


@pytest.mark.usefixtures("talkative")
@pytest.mark.parametrize("command", ["list", "export"])
async def test_a_room_has_no_conversations_with_somebody(program: Program, command: str) -> None:
    """Prosody would give what everybody has said there, and ejabberd nothing."""
    outcome = await program.run("history", command, "--room", "team@rooms.example", "--with", "bob@example.org")
    assert (outcome.code, outcome.stdout) == (64, "")
    assert outcome.stderr.startswith("xmppsh: --with and --room exclude each other\n")


async def test_a_time_that_ends_before_it_begins_is_refused(program: Program) -> None:
    outcome = await program.run("history", "list", "--since", "1h", "--until", "2h")
    assert (outcome.code, outcome.stderr.splitlines()[0]) == (64, "xmppsh: --until is before --since")


async def test_what_is_no_room_has_no_archive_of_a_room(program: Program, alice: Account) -> None:
    for command in ("list", "export"):
        outcome = await program.run("history", command, "--room", alice.jid)
        assert (outcome.code, outcome.stdout) == (76, ""), outcome.stderr


async def test_no_archive_is_told_by_name(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server("prosody", archive=False)
    outcome = await Program(tmp_path, server, server.account()).run("history", "list")
    assert outcome.code == 76
    assert outcome.stderr.startswith(f"xmppsh: {server.domain} does not offer an archive (XEP-0313)")
