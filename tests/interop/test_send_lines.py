"""`send --lines` tells of each line while the next one is still to come."""

import asyncio
import json
import os
from typing import Any

import pytest
from support.chaos import ChaosProxy
from support.contact import Contact
from support.faults import reset_both, silent_hole
from support.program import Program, finish
from support.servers import Account, Server

pytestmark = pytest.mark.either_server


@pytest.fixture
def bob(server: Server) -> Account:
    return server.account()


async def _result(process: asyncio.subprocess.Process, line: bytes) -> Any:
    """What is printed of a line, with stdin still open."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line)
    return json.loads(await process.stdout.readline())


@pytest.mark.parametrize("form", [["--each"], ["--format", "json"], ["--each", "--wait", "sent"]], ids=" ".join)
async def test_the_result_of_a_line_is_printed_before_the_next_line_comes(
    program: Program, bob: Account, form: list[str]
) -> None:
    process = await program.start("send", bob.jid, "--lines", *form)
    results = [await _result(process, line) for line in (b"one\n", b"two\n")]
    assert [one["to"] for one in results] == [bob.jid] * 2
    outcome = await finish(process, b"three\n")
    assert (outcome.code, len(outcome.records), outcome.stderr) == (0, 1, "")


async def test_a_line_that_is_too_large_is_named_and_what_came_before_it_is_sent(
    program: Program, bob: Account
) -> None:
    lines = b"one\n" + b"x" * 300_000 + b"\nthree\n"
    outcome = await finish(await program.start("send", bob.jid, "--lines", "--each"), lines)
    assert [one["ok"] for one in outcome.records] == [True, False]
    assert outcome.code == 65
    assert outcome.stderr.startswith("xmppsh: line 2 of stdin: the stanza has 300")


async def test_a_text_that_is_too_large_may_be_sent_as_a_file(program: Program, bob: Account) -> None:
    outcome = await finish(await program.start("send", bob.jid), b"x" * 300_000)
    assert outcome.code == 65
    assert outcome.stderr.endswith("  try: --attach FILE sends a file of any size\n")


async def test_a_line_that_comes_back_is_told_so_at_once(program: Program, server: Server) -> None:
    process = await program.start("send", f"nobody-here@{server.domain}", "--lines", "--each")
    result = await _result(process, b"one\n")
    assert (result["ok"], result["error"]["code"]) == (False, 67)
    assert (await finish(process)).code == 67


async def test_a_session_that_is_lost_for_good_is_told_though_no_line_comes(
    program: Program, server: Server, bob: Account
) -> None:
    async with ChaosProxy(server.host, server.port) as proxy:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        process = await program.start("send", bob.jid, "--lines", "--each", "--timeout", "3")
        await _result(process, b"one\n")
        await proxy.inject(reset_both(refuse_s=float("inf")))
        async with asyncio.timeout(20):
            await process.wait()  # stdin is still open
        assert process.stderr is not None
        error = (await process.stderr.read()).decode()
    assert process.returncode == 69, error


async def test_each_line_has_its_result_when_the_session_is_lost_for_good(
    program: Program, server: Server, bob: Account
) -> None:
    async with ChaosProxy(server.host, server.port) as proxy:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        process = await program.start("send", bob.jid, "--lines", "--each", "--timeout", "3")
        results = [await _result(process, b"one\n")]
        await proxy.inject(reset_both(refuse_s=float("inf")))
        assert process.stderr is not None
        await process.stderr.readline()  # the cut is seen: nothing more is written
        outcome = await finish(process, b"two\nthree\n")
    results += outcome.records
    assert [(one["ok"], (one["error"] or {}).get("code")) for one in results] == [
        (True, None),
        (False, 69),
        (False, 69),
    ]
    assert outcome.code == 69
    assert outcome.stderr.endswith("; xmppsh outbox flush sends the messages that were not sent\n")


async def test_a_line_that_nobody_can_tell_of_is_told_so(program: Program, server: Server, bob: Account) -> None:
    async with ChaosProxy(server.host, server.port) as proxy:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        process = await program.start("send", bob.jid, "--lines", "--each", "--timeout", "3")
        await _result(process, b"one\n")
        await proxy.inject(silent_hole(refuse_s=float("inf")))
        outcome = await finish(process, b"two\n")
    assert [(one["ok"], one["error"]["code"]) for one in outcome.records] == [(False, 79)]
    assert outcome.code == 79


@pytest.mark.parametrize(
    "words",
    [["send", "--lines", "--each"], ["pipe", "--input", "lines", "--format", "json", "--to"]],
    ids=["send", "pipe"],
)
async def test_what_lies_in_the_input_is_sent_though_nobody_reads_the_results_any_more(
    program: Program, server: Server, bob: Account, words: list[str]
) -> None:
    bodies = [str(number) for number in range(3000)]
    async with Contact(server, bob) as contact:
        reads, writes = os.pipe()
        process = await program.start(*words, bob.jid, stdout=writes)
        os.close(writes)
        assert process.stdin is not None
        process.stdin.write("".join(f"{body}\n" for body in bodies).encode())
        await contact.wait_for_message(lambda message: message.body == "2")
        os.close(reads)
        await contact.wait_for_message(lambda message: message.body == bodies[-1])
        assert await process.wait() == 0  # its input is still open
        await finish(process)
        assert [message.body for message in contact.messages] == bodies


@pytest.mark.parametrize(
    "words", [["send", "--lines", "--each"], ["pipe", "--replies", "--input", "lines", "--to"]], ids=["send", "pipe"]
)
async def test_what_came_back_is_told_by_the_exit_code_though_nobody_reads(
    program: Program, server: Server, words: list[str]
) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    process = await program.start(*words, f"nobody-here@{server.domain}", stdout=writes)
    os.close(writes)
    assert (await finish(process, b"line\n" * 200)).code == 67
