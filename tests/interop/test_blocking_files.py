"""What blocks on open, read or write (a named pipe that nobody serves) never makes the program deaf to signals."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from support.program import Program, finish
from support.servers import Server

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
NAMED = {
    "password file": ("ping", "--password-file", "{fifo}"),
    "ca": ("ping", "--ca", "{fifo}"),
    "cert": ("ping", "--cert", "{fifo}", "--mechanism", "EXTERNAL"),
    "key": ("ping", "--cert", "/dev/null", "--key", "{fifo}"),
    "pipe": ("pipe", "{fifo}"),
    "recipients": ("send", "--to-file", "{fifo}", "nobody@localhost", "text"),
    "doctor's password": ("doctor", "--password-file", "{fifo}"),
    "trace": ("listen", "--trace", "{fifo}"),
    "ready": ("listen", "--ready-file", "{fifo}"),
}


@pytest.fixture
def program(tmp_path: Path, prosody: Server) -> Program:
    """On one server: what is tested does not depend on it."""
    return Program(tmp_path, prosody, prosody.account())


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("arguments", NAMED.values(), ids=NAMED)
async def test_a_pipe_that_nobody_serves_leaves_signals_their_effect(
    program: Program, tmp_path: Path, arguments: tuple[str, ...], number: signal.Signals
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    if "--password-file" in arguments:
        program.env.pop("XMPPSH_PASSWORD")
    process = await program.start(*(word.format(fifo=fifo) for word in arguments))
    await _blocked(process.pid, fifo)
    process.send_signal(number)
    outcome = await finish(process, b"", 15)
    assert outcome.code in (-number, 128 + number), outcome.stderr


async def test_a_checkpoint_that_is_a_pipe_is_refused(program: Program, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for words in (("history", "export"), ("pipe",)):
        outcome = await program.run(*words, "--checkpoint", str(fifo))
        assert outcome.code == 74
        assert outcome.stderr.startswith((f"xmppsh: {fifo} is not a regular", f"xmppsh: {fifo}: not a regular file\n"))


async def _blocked(pid: int, fifo: Path) -> None:
    """Wait until some thread of the process is in the opening of the pipe."""
    deadline = asyncio.get_running_loop().time() + 20
    tasks = Path(f"/proc/{pid}/task")
    while not any("wait_for_partner" in _waits_in(task) for task in _listed(tasks)):
        assert asyncio.get_running_loop().time() < deadline, "it never opened the pipe"
        await asyncio.sleep(0.01)


def _waits_in(task: Path) -> str:
    """Where in the kernel; nowhere, when the thread has just ended."""
    try:
        return (task / "wchan").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _listed(tasks: Path) -> list[Path]:
    try:
        return list(tasks.iterdir())
    except FileNotFoundError:
        return []


async def test_authorities_from_a_pipe_serve_every_connection_of_the_run(
    program: Program, prosody: Server, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # The first place is dead, so that the second needs the authorities again.
    program.env["XMPPSH_HOST"] = f"127.0.0.1:1 {prosody.host}:{prosody.port} {prosody.host}:{prosody.port}"
    process = await program.start("ping", "--ca", str(fifo))
    await asyncio.to_thread(fifo.write_bytes, Path(prosody.ca).read_bytes())
    outcome = await finish(process)
    assert outcome.code == 0, outcome.stderr


async def test_a_trace_into_a_pipe_is_read_to_its_end(program: Program, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = asyncio.ensure_future(asyncio.to_thread(fifo.read_text))
    assert (await program.run("ping", "--trace", str(fifo))).code == 0
    trace = await reading
    assert trace.startswith("> <?xml")
    assert trace.endswith("> </stream:stream>\n") or trace.endswith("< </stream:stream>\n")
