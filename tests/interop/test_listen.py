"""`listen`: what it leaves out, copies, programs for each record, and its end by `--drain`."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Program, finish
from support.servers import Account, Server
from support.until import until

pytestmark = pytest.mark.either_server

RECEIPT = "<received xmlns='urn:xmpp:receipts' id='1'/>"
MARKER = "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>"
STATE = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"


@pytest.fixture
async def bob(server: Server) -> AsyncIterator[Contact]:
    async with Contact(server, server.account()) as contact:
        yield contact


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A program for --exec; the test writes it."""
    path = tmp_path / "a program"
    path.touch(mode=0o700)
    return path


async def bodies(program: Program, ready: Path, bob: Contact, alice: Account, *arguments: str) -> list[str]:
    """The bodies that `listen` with these arguments shows of a fixed conversation, up to its last word."""
    async with program.listening("--format", "json", *arguments, ready=ready) as process:
        for xml in (
            f"<message to='{alice.jid}' type='chat'><body>chat</body>{STATE}</message>",
            f"<message to='{alice.jid}' type='chat'>{STATE}</message>",
            f"<message to='{alice.jid}'>{RECEIPT}</message>",
            f"<message to='{alice.jid}' type='headline'><body>news</body></message>",
            f"<message to='{alice.jid}' type='normal'>{MARKER}</message>",
            f"<message to='{alice.jid}' type='chat'><body>end</body></message>",
        ):
            await bob.send_raw(xml)
        await bob.settle()
        assert process.stdout is not None
        shown: list[str] = []
        while not shown or shown[-1] != "end":
            line = await asyncio.wait_for(process.stdout.readline(), 20)
            shown.append(json.loads(line)["body"] or "-")
        return shown


FILTERS: dict[str, tuple[list[str], list[str]]] = {
    "noise is left out": ([], ["chat", "news", "end"]),
    "--all": (["--all"], ["chat", "-", "-", "news", "-", "end"]),
    "--type": (["--type", "chat"], ["chat", "end"]),
    "--body": (["--body", "^(ne|en)"], ["news", "end"]),
    "--xpath": (["--xpath", "//body[text()='end' or text()='news']"], ["news", "end"]),
    "--xpath with a prefix": (["--xpath", "//chat_states:composing | //body[.='end']"], ["chat", "end"]),
    "--to": (["--to", "nobody@example.org", "--to", "ALICE"], ["chat", "news", "end"]),
    "--from": (["--from", "BOB"], ["chat", "news", "end"]),
    "--from with a pattern": (["--from", "*@SERVER"], ["chat", "news", "end"]),
    "--from with a pattern of resources": (["--from", "*@SERVER/contact-*", "--body", "end"], ["end"]),
}


@pytest.mark.parametrize(("arguments", "expected"), FILTERS.values(), ids=FILTERS)
async def test_a_filter_leaves_out_what_does_not_fit(
    program: Program, bob: Contact, alice: Account, tmp_path: Path, arguments: list[str], expected: list[str]
) -> None:
    named = {"BOB": bob.jid.partition("/")[0], "ALICE": alice.jid}
    given = [named.get(word, word).replace("SERVER", alice.jid.partition("@")[2]) for word in arguments]
    assert await bodies(program, tmp_path / "ready", bob, alice, *given) == expected


async def test_what_a_filter_leaves_out_is_dealt_with(
    program: Program, bob: Contact, alice: Account, tmp_path: Path
) -> None:
    await bob.send(alice.jid, "left out")
    await bob.send(alice.jid, "shown")
    await bob.settle()
    first = await program.run("listen", "--body", "shown", "-C", "1", "-F", "%b")
    assert first.stdout == "shown\n"
    again = await program.run("listen", "--drain", "-F", "%b")
    assert (again.code, again.stdout) == (0, "")


async def test_drain_ends_with_what_waits(program: Program, bob: Contact, alice: Account) -> None:
    for number in range(50):
        await bob.send(alice.jid, str(number))
    await bob.settle()
    outcome = await program.run("listen", "--drain", "-F", "%b")
    assert outcome.code == 0
    assert outcome.stdout.split() == [str(number) for number in range(50)]
    assert (await program.run("listen", "--drain")).stdout == ""


async def test_copies_show_what_other_clients_of_ours_say_and_hear(
    program: Program, server: Server, bob: Contact, alice: Account, tmp_path: Path
) -> None:
    async with Contact(server, alice) as own, program.listening("--format", "json", ready=tmp_path / "r") as process:
        assert process.stdout is not None
        # The server copies once it has been asked to: it answers in order, and this asks until it does.
        await own.settle()
        records = []
        async with asyncio.timeout(20):
            while not records:
                await own.send(bob.jid, "sent")
                line = asyncio.ensure_future(process.stdout.readline())
                done, _ = await asyncio.wait({line}, timeout=0.5)
                if done:
                    records.append(json.loads(line.result()))
                else:
                    line.cancel()
        await bob.send(own.jid, "received")
        while records[-1]["body"] != "received":
            records.append(json.loads(await asyncio.wait_for(process.stdout.readline(), 20)))
    assert {(one["body"], one["carbon"]) for one in records} == {("sent", "sent"), ("received", "received")}
    assert records[0]["from"] == own.jid


async def test_without_carbons_what_another_client_of_ours_is_sent_is_not_asked_for_and_not_printed(
    program: Program, server: Server, bob: Contact, alice: Account, tmp_path: Path
) -> None:
    program.env["XMPPSH_JID"] = f"{alice.jid}/bot"
    trace = tmp_path / "trace"
    words = ("--no-carbons", "-C", "1", "-F", "%b", "--trace", str(trace))
    async with Contact(server, alice) as own, program.listening(*words, ready=tmp_path / "r") as process:
        await bob.send(own.jid, "for the other")
        await bob.send(f"{alice.jid}/bot", "end")
        assert (await finish(process)).stdout == "end\n"
    assert '<enable xmlns="urn:xmpp:carbons:2"' not in trace.read_text()


async def test_a_forged_copy_is_not_shown_as_one(
    program: Program, bob: Contact, alice: Account, tmp_path: Path
) -> None:
    forged = (
        f"<message to='{alice.jid}' type='chat'>"
        "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>"
        "<message xmlns='jabber:client' from='boss@example.org' type='chat'><body>pay</body></message></forwarded>"
        "</received><body>end</body></message>"
    )
    async with program.listening("--format", "json", "-C", "1", ready=tmp_path / "r") as process:
        await bob.send_raw(forged)
        outcome = await finish(process)
    (record,) = outcome.records
    assert (record["from"], record["body"], record["carbon"]) == (bob.jid, "end", None)


async def test_a_descriptor_is_written_to_once_it_listens(program: Program) -> None:
    ours, theirs = os.pipe()
    process = await program.start("listen", "--ready", str(theirs), "--drain", pass_fds=(theirs,))
    os.close(theirs)
    with os.fdopen(ours) as told:
        assert await asyncio.to_thread(told.read) == "ready\n"
    assert (await finish(process)).code == 0


async def test_exec_runs_a_program_for_each_record(
    program: Program, bob: Contact, alice: Account, script: Path
) -> None:
    script.write_text(
        '#!/bin/sh\nread -r json\necho "$json"\necho "$XMPPSH_FROM|$XMPPSH_TYPE|$XMPPSH_BODY|$1"\nenv >&2\n'
    )
    await bob.send(alice.jid, "one; two")
    await bob.settle()
    outcome = await program.run("listen", "--drain", "--exec", f"'{script}' 'a b'")
    assert outcome.code == 0
    json_line, line = outcome.stdout.splitlines()
    assert json.loads(json_line)["body"] == "one; two"
    assert line == f"{bob.jid}|chat|one; two|a b"
    assert alice.password not in outcome.stderr
    assert "XMPPSH_BODY=one; two" in outcome.stderr


async def test_what_a_program_does_not_take_comes_again(
    program: Program, bob: Contact, alice: Account, script: Path
) -> None:
    script.write_text('#!/bin/sh\necho "$XMPPSH_BODY"\ncase "$XMPPSH_BODY" in later) exit 75;; bad) exit 3;; esac\n')
    for body in ("first", "later", "bad", "last"):
        await bob.send(alice.jid, body)
    await bob.settle()
    outcome = await program.run("listen", "--drain", "--exec", f"'{script}'")
    assert outcome.code == 75
    assert outcome.stdout.split() == ["first", "later", "bad", "last"]
    assert "ended with 3; its record counts as taken" in outcome.stderr
    assert outcome.stderr.splitlines()[-2:] == [
        f"xmppsh: {script} has not taken 1 record, which stays stored",
        "  try: the next run has them first",
    ]
    again = await program.run("listen", "--drain", "-F", "%b")
    assert again.stdout.split() == ["later"]


async def test_the_record_of_a_program_that_ctrl_c_stops_is_the_next_run_s_first(
    program: Program, bob: Contact, alice: Account, script: Path
) -> None:
    script.write_text("#!/bin/sh\necho begun\nexec sleep 1000\n")
    await bob.send(alice.jid, "hello")
    await bob.settle()
    process = await program.start("listen", "--exec", f"'{script}'")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"begun\n"
    process.send_signal(signal.SIGINT)
    outcome = await finish(process)
    assert outcome.code == 130
    assert "was stopped, and has not taken its record: the next run has it" in outcome.stderr
    assert (await program.run("listen", "--drain", "-F", "%b")).stdout.split() == ["hello"]


async def test_after_kill_9_each_record_is_handled_and_at_most_those_twice_that_were_running(
    program: Program, bob: Contact, alice: Account, script: Path, tmp_path: Path
) -> None:
    handled, count, jobs = tmp_path / "handled", 120, 4
    script.write_text(f'#!/bin/sh\necho "$XMPPSH_BODY" >> "{handled}"\n')
    for number in range(count):
        await bob.send(alice.jid, str(number))
    await bob.settle()
    command = ("listen", "--drain", "--exec", f"'{script}'", "--jobs", str(jobs))
    process = await program.start(*command)
    await until(lambda: handled.exists() and len(handled.read_text().split()) >= count // 4, "some are handled")
    process.kill()
    await process.wait()
    assert (await program.run(*command)).code == 0
    seen = [int(word) for word in handled.read_text().split()]
    assert sorted(set(seen)) == list(range(count))
    assert len(seen) <= count + jobs


async def test_reply_sends_what_the_program_prints(
    program: Program, bob: Contact, alice: Account, script: Path, tmp_path: Path
) -> None:
    script.write_text('#!/bin/sh\necho "you said $XMPPSH_BODY"\n')
    async with program.listening("--exec", f"'{script}'", "--reply", "-C", "1", ready=tmp_path / "r") as process:
        await bob.send(alice.jid, "hello")
        await bob.wait_for_message(lambda one: one.body == "you said hello")
        assert (await finish(process)).code == 0


async def test_subscriptions_are_accepted_by_a_pattern(
    program: Program, server: Server, bob: Contact, alice: Account, tmp_path: Path
) -> None:
    pattern = f"*@{server.domain}"
    async with program.listening("--accept-subscriptions", pattern, ready=tmp_path / "r"):
        await bob.send_raw(f"<presence to='{alice.jid}' type='subscribe'/>")
        await bob.wait_for_presence(alice.jid, "subscribed")


async def test_presence_says_what_was_asked_for(
    program: Program, friend: Contact, alice: Account, tmp_path: Path
) -> None:
    options = ("--show", "dnd", "--status", "out", "--priority", "3")
    async with program.listening(*options, ready=tmp_path / "r"):
        shown = await friend.wait_for_presence(alice.jid, "available")
        assert all(part in shown.xml for part in ("<show>dnd</show>", "<status>out</status>", "<priority>3</priority>"))


WRONG: dict[str, tuple[list[str], int, str]] = {
    "--body": (["--body", "("], 64, "--body: '(' is not a regular expression"),
    "--xpath": (["--xpath", "//["], 64, "--xpath: '//[': invalid expression"),
    "--exec of nothing": (["--exec", "/nowhere"], 66, "--exec: /nowhere: no such program"),
    "--exec of an open quote": (["--exec", "a 'b"], 64, "--exec: no closing quotation"),
    "--jobs without --exec": (["--jobs", "2"], 64, "--jobs and --reply are for --exec"),
    "--no-presence with --show": (["--no-presence", "--show", "away"], 64, "--no-presence is for none"),
    "--no-presence with requests": (["--no-presence", "--accept-subscriptions"], 64, "--no-presence is for none"),
    "--nick with a sign that XML has not": (["--room", "r@c.example", "--nick", "\a"], 64, "--nick holds U+0007"),
    "--nick of nothing": (["--room", "r@c.example", "--nick", ""], 64, "--nick is empty"),
    "--room with a nick": (["--room", "r@c.example/me"], 64, "r@c.example/me is not the address of a room"),
    "--nick without --room": (["--nick", "x"], 64, "--nick and --room-password are for --room"),
}


@pytest.mark.parametrize(("arguments", "code", "sentence"), WRONG.values(), ids=WRONG)
async def test_a_wrong_option_is_told_before_anything_is_dialled(
    tmp_path: Path, arguments: list[str], code: int, sentence: str
) -> None:
    program = Program(tmp_path)
    program.env |= {"XMPPSH_JID": "a@b.example", "XMPPSH_PASSWORD": "x", "XMPPSH_HOST": "127.0.0.1:1"}
    outcome = await program.run("listen", *arguments)
    assert (outcome.code, outcome.stdout) == (code, "")
    assert outcome.stderr.startswith(f"xmppsh: {sentence}")
