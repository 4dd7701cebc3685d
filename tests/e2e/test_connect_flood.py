"""A thousand messages a second while somebody types: no key is lost, no line torn, and memory stays flat."""

import asyncio
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.flood import DOMAIN, FloodServer
from support.program import COMMAND, Program
from support.terminal import CTRL_D, Terminal

PER_SECOND = 1000
SHORT, LONG = 2_000, 100_000
TEXT = "typed key by key while a thousand messages come in each second, and every key is there"
ROW = re.compile(r"\d\d:\d\d romeo    message (\d+) of many, with some words")


class Messages(Sequence[str]):
    """Made when they are asked for: the test's own memory says nothing."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> str:  # type: ignore[override]
        if number >= self._count:
            raise IndexError
        return (
            "<message from='romeo@example.net/x' type='chat'>"
            f"<body>message {number} of many, with some words</body></message>"
        )


def numbers(lines: Sequence[str]) -> list[str]:
    """Those of the messages whose lines are whole."""
    return [match[1] for line in lines if (match := ROW.fullmatch(line))]


def resident_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


async def type_through(shell: Terminal, server: FloodServer, count: int) -> None:
    await shell.enter("/to romeo@example.net")
    for key in TEXT:
        shell.type(key)
        await asyncio.wait_for(shell.changed(), 5)
    shell.type("\r")
    async with asyncio.timeout(count / PER_SECOND + 30):
        while TEXT not in server.received:
            await shell.changed()
    await shell.until(lambda: str(count - 1) in numbers(shell.lines), "the last, to its end", 600)


def arguments(server: FloodServer) -> list[str]:
    return ["-j", DOMAIN, "--anonymous", "--tls", "off", "--host", f"127.0.0.1:{server.port}", "connect"]


async def test_a_line_that_is_typed_in_a_flood_arrives_whole_and_so_does_the_flood(tmp_path: Path) -> None:
    async with (
        FloodServer(Messages(SHORT), PER_SECOND) as server,
        Terminal(Program(tmp_path), *arguments(server), history=SHORT + 100) as shell,
    ):
        await type_through(shell, server, SHORT)
        assert server.received == [TEXT]
        rows = [line for line in shell.history if " romeo " in line]
        assert numbers(rows) == [str(number) for number in range(SHORT)]
        assert len(rows) == SHORT
        shell.type(CTRL_D)


@pytest.mark.skipif(os.environ.get("XMPPSH_SOAK") != "1", reason="make soak")
@pytest.mark.timeout(600)
async def test_memory_is_flat_over_a_hundred_thousand_messages(tmp_path: Path) -> None:
    master, slave = os.openpty()
    env = {**Program(tmp_path).env, "TERM": "xterm-256color"}
    tail, changed = b"", asyncio.Event()

    def read() -> None:
        nonlocal tail
        tail = (tail + os.read(master, 65536))[-10_000:]  # no screen: drawing so much would take the longest
        changed.set()

    async def until(number: int) -> None:
        while f"message {number} ".encode() not in tail:
            changed.clear()
            await changed.wait()

    asyncio.get_running_loop().add_reader(master, read)
    async with FloodServer(Messages(LONG), PER_SECOND) as server:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *arguments(server), env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        try:
            await until(LONG // 10)
            early_kib = resident_kib(process.pid)
            await until(LONG - 1)
            late_kib = resident_kib(process.pid)
        finally:
            process.terminate()
            await process.wait()
            asyncio.get_running_loop().remove_reader(master)
            os.close(master)
            os.close(slave)
    print(f"{early_kib} KiB after a tenth, {late_kib} KiB after {LONG} messages")
    assert late_kib < early_kib * 1.05 + 1024
