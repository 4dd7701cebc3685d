"""`send --lines` tells of each line while the next one is still to come."""

import asyncio
import json
from typing import Any

import pytest
from support.chaos import ChaosProxy
from support.faults import reset_both
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
        process = await program.start("send", bob.jid, "--lines", "--each", "--timeout", "1")
        await _result(process, b"one\n")
        await proxy.inject(reset_both(refuse_s=float("inf")))
        async with asyncio.timeout(20):
            await process.wait()  # stdin is still open
        assert process.stderr is not None
        error = (await process.stderr.read()).decode()
    assert process.returncode == 69, error
