"""Clients that are slow, foreign, broken or of another version, and a session that somebody else ends or writes to."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Program, finish, serves
from support.servers import Account, Server
from support.until import is_running, until

from xmppsh.agent.server import MAX_ASKING

pytestmark = pytest.mark.either_server

OTHER_VERSION = "import xmppsh; xmppsh.__version__ = '0'; from xmppsh.cli.__main__ import main; main()"
PATIENT = "from xmppsh.agent import thin; thin.PATIENCE_S = 1e6; from xmppsh.cli.__main__ import main; main()"
BY_SYSTEMD = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, "-m", "xmppsh", "-q", "agent", "start", "--foreground"])
"""
WITH_FEW_DESCRIPTORS = 'ulimit -n 50; exec "$0" -m xmppsh -q agent start --foreground'
FULL = "xmppsh: the agent serves as many commands as it can, and takes no more"
BROKEN = {  # what is said, and how many descriptors come along
    "silence": (b"", 0),
    "half a length": (b"\0\0", 3),
    "half a request": (b"\0\0\0\x20run\0", 20),
    "a gigabyte": (b"\x40\0\0\0" + b"x" * 1000, 3),
    "no descriptors": (b"\0\0\0\x13run\x000.1.0\0/\x001\0ping\0", 0),
    "no request": (b"\0\0\0\x04what", 3),
    "no numbers": (b"\0\0\0\x0crun\0a\0b\0c\0d\0", 3),
}
TOO_MUCH = b"x" * 5_000_000


async def facts(program: Program) -> dict[str, int]:
    """What the agent says of itself."""
    outcome = await program.run("agent", "status", "--format", "json")
    assert outcome.code == 0, outcome.stderr
    found: dict[str, int] = outcome.records[0]
    return found


async def test_what_is_no_request_is_dropped_and_holds_nobody_up(program: Program, agent: int, tmp_path: Path) -> None:
    before = len(os.listdir(f"/proc/{agent}/fd"))
    with contextlib.ExitStack() as at_end:
        for name, (said, descriptors) in BROKEN.items():
            sock = at_end.enter_context(socket.socket(socket.AF_UNIX))
            sock.connect(str(tmp_path / "xmppsh" / "agent.sock"))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(sock, [said], [0] * descriptors) if said else None
            if name == "a gigabyte":
                with pytest.raises(ConnectionError):
                    await asyncio.to_thread(sock.sendall, TOO_MUCH)
        assert (await program.run("ping")).code == 0
        assert (await facts(program))["commands"] == 1
    await until(lambda: len(os.listdir(f"/proc/{agent}/fd")) <= before + 6, "the descriptors are closed")


async def test_a_client_that_reads_nothing_holds_up_itself_alone_and_its_death_ends_its_command(
    program: Program, agent: int
) -> None:
    stuck = await program.start("ping", "-i", "0.0001", "--format", "json")
    assert stuck.stdout is not None
    await stuck.stdout.readline()
    stuck.stdout._transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(3):
        assert (await program.run("ping")).code == 0
    stuck.kill()
    async with asyncio.timeout(30):
        while [one["running"] for one in await sessions(program)] != [0]:
            pass
    stuck.stdout._transport.resume_reading()  # type: ignore[attr-defined]
    await stuck.wait()


async def sessions(program: Program) -> list[dict[str, int]]:
    return (await program.run("agent", "status", "--format", "json")).records[1:]


async def test_another_version_and_a_folder_that_others_may_enter_go_the_ordinary_way(
    program: Program, agent: int, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OTHER_VERSION, "ping", env=program.env, stdout=asyncio.subprocess.PIPE
    )
    assert (await finish(process)).code == 0
    (tmp_path / "xmppsh").chmod(0o755)
    assert (await program.run("ping")).code == 0
    (tmp_path / "xmppsh").chmod(0o700)
    assert (await facts(program))["commands"] == 0


async def test_an_agent_that_cannot_start_says_why_and_what_to_try(program: Program, tmp_path: Path) -> None:
    (tmp_path / "xmppsh").mkdir(mode=0o755)
    outcome = await program.run("agent", "start")
    assert (outcome.code, outcome.stderr) == (
        74,
        f"xmppsh: the agent does not start: {tmp_path}/xmppsh: others may enter this folder\n"
        f"  try: chmod 700 {tmp_path}/xmppsh, when it is yours\n",
    )
    (tmp_path / "file").touch()
    program.env["XDG_RUNTIME_DIR"] = f"{tmp_path}/file"
    outcome = await program.run("agent", "start")
    assert (outcome.code, outcome.stderr) == (
        74,
        f"xmppsh: the agent does not start: {tmp_path}/file/xmppsh: not a directory\n"
        "  try: set XDG_RUNTIME_DIR to a folder that this user may write\n",
    )


async def test_a_session_that_the_server_ends_is_followed_by_another(
    server: Server, program: Program, agent: int
) -> None:
    assert (await program.run("ping")).code == 0
    (session,) = await sessions(program)
    server.kick(str(session["jid"]))
    async with asyncio.timeout(30):
        while await sessions(program):
            pass
    assert (await program.run("ping")).code == 0
    (another,) = await sessions(program)
    assert another["jid"] != session["jid"]


async def test_what_somebody_writes_to_the_session_goes_to_another_client_at_once(
    server: Server, alice: Account, program: Program, agent: int
) -> None:
    bob = server.account()
    assert (await program.run("ping")).code == 0
    (session,) = await sessions(program)
    async with Contact(server, bob) as contact:
        await contact.send(str(session["jid"]), "are you there?")
        await contact.settle()
    await until(lambda: server.sessions(alice.jid) == [], "the end of the session")
    outcome = await program.run("listen", "-C", "1", "-W", "20", "-F", "%b")
    assert (outcome.code, outcome.stdout) == (0, "are you there?\n")


async def test_systemd_may_listen_for_it(program: Program, tmp_path: Path) -> None:
    (tmp_path / "xmppsh").mkdir(mode=0o700)
    path = tmp_path / "xmppsh" / "agent.sock"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BY_SYSTEMD, str(path), env=program.env, stdout=asyncio.subprocess.PIPE
    )
    await serves(path, process)
    assert (await program.run("ping")).code == 0
    assert (await facts(program))["commands"] == 1
    assert (await program.run("agent", "stop")).code == 0
    assert (await finish(process)).code == 0
    assert path.exists(), "systemd goes on listening"


def connections(path: Path) -> int:
    """How many there are to a socket, with those that are not accepted yet."""
    return Path("/proc/net/unix").read_text().count(str(path))


async def test_it_serves_as_many_commands_as_it_has_descriptors_for_and_hears_of_its_end_all_the_same(
    program: Program, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec("sh", "-c", WITH_FEW_DESCRIPTORS, sys.executable, env=program.env)
    path = tmp_path / "xmppsh" / "agent.sock"
    await serves(path, process)
    lasting = await program.start("ping", "-i", "0.05")
    assert lasting.stdout is not None
    await lasting.stdout.readline()
    for outcome in await asyncio.gather(*(program.run("ping") for _ in range(8))):
        assert (outcome.code, outcome.stderr) == (0, "")
    assert (await facts(program))["commands"] == 1, "the others went the ordinary way"
    os.kill(process.pid, signal.SIGSTOP)  # so that it meets them all together, and none has waited for too long
    with contextlib.ExitStack() as at_end:
        for _ in range(MAX_ASKING + 1):
            at_end.enter_context(socket.socket(socket.AF_UNIX)).connect(str(path))
        there = connections(path)
        asking = await program.start("agent", "status")
        await until(lambda: connections(path) > there, "that it has connected")
        os.kill(process.pid, signal.SIGCONT)
        outcome = await finish(asking)
        assert (outcome.code, outcome.stderr.splitlines()[0]) == (74, FULL)
    assert (await program.run("agent", "stop")).code == 0
    assert (await finish(process)).code == 0
    assert (await finish(lasting)).code == 128 + signal.SIGTERM


async def test_it_ends_when_it_has_had_nothing_to_do(program: Program, tmp_path: Path) -> None:
    assert (await program.run("agent", "start", "--foreground", "--idle", "0.2")).code == 0
    assert not (tmp_path / "xmppsh" / "agent.sock").exists()


async def test_a_second_agent_is_refused_and_start_shows_the_one_that_runs(program: Program, agent: int) -> None:
    started = await program.run("agent", "start", "--format", "json")
    assert (started.code, started.records[0]["pid"]) == (0, agent)
    second = await program.run("agent", "start", "--foreground")
    assert (second.code, second.stderr.splitlines()[0]) == (75, "xmppsh: an agent is running already")


async def test_a_stdin_that_cannot_be_read_is_told_as_without_an_agent(
    server: Server, program: Program, agent: int, tmp_path: Path
) -> None:
    with (tmp_path / "only-written").open("w") as stdin:
        outcome = await finish(await program.start("send", server.account().jid, stdin=stdin))
    assert (outcome.code, outcome.stderr.splitlines()[0]) == (66, "xmppsh: stdin is closed or not open for reading")
    assert (await facts(program))["commands"] == 1


async def test_a_stopped_agent_keeps_nothing_of_a_client_that_went_the_ordinary_way(
    program: Program, agent: int
) -> None:
    os.kill(agent, signal.SIGSTOP)
    try:
        outcome = await program.run("ping")  # waits for the end of its outputs as well, as `$(…)` does
    finally:
        os.kill(agent, signal.SIGCONT)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert (await facts(program))["commands"] == 0


def catches(pid: int, number: int) -> bool:
    """Does the process handle this signal by itself?"""
    found = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> (number - 1) & 1)


async def test_the_third_signal_ends_a_client_whose_agent_is_stopped(program: Program, agent: int) -> None:
    client = await program.start("ping", "-i", "0.05")
    assert client.stdout is not None
    await client.stdout.readline()
    os.kill(agent, signal.SIGSTOP)
    try:
        client.send_signal(signal.SIGINT)
        client.send_signal(signal.SIGTERM)
        await until(lambda: not catches(client.pid, signal.SIGTERM), "that it has taken both")
        client.send_signal(signal.SIGTERM)
        await until(lambda: not is_running(client.pid), "its end")
    finally:
        os.kill(agent, signal.SIGCONT)
    assert (await finish(client)).code == 128 + signal.SIGTERM


async def test_a_client_that_waits_for_a_stopped_agent_ends_by_a_signal_at_once(
    program: Program, agent: int, tmp_path: Path
) -> None:
    path = tmp_path / "xmppsh" / "agent.sock"
    os.kill(agent, signal.SIGSTOP)
    try:
        there = connections(path)
        client = await program.start_as((sys.executable, "-c", PATIENT), "ping")
        await until(lambda: connections(path) > there, "that it has connected")
        client.terminate()
        assert (await finish(client)).code == 128 + signal.SIGTERM
    finally:
        os.kill(agent, signal.SIGCONT)
    assert (await facts(program))["commands"] == 0


async def test_a_terminal_is_read_by_the_command_itself_which_ctrl_z_stops(
    server: Server, program: Program, agent: int
) -> None:
    ours, terminal = os.openpty()
    try:
        os.write(ours, b"typed\n\x04")
        for arguments in (("send", server.account().jid), ("ping",)):
            outcome = await finish(await program.start(*arguments, stdin=terminal))
            assert outcome.code == 0, outcome.stderr
    finally:
        os.close(ours)
        os.close(terminal)
    assert (await facts(program))["commands"] == 1, "the ping"
