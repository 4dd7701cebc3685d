"""A background job of a script: the Ctrl-C for the script is not for it."""

import asyncio
import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import COMMAND, DEADLINE_S, Program, exists
from support.servers import Server
from support.terminal import CTRL_C, Terminal, at_prompt
from support.until import is_running, until


async def test_the_ctrl_c_for_a_script_does_not_end_its_background_job(server: Server, tmp_path: Path) -> None:
    account, friend = server.account(), server.account()
    server.befriend(account, friend)
    ready = tmp_path / "ready"
    script = f"{shlex.join(COMMAND)} listen --ready-file {ready} -F %b & echo $!; wait"
    async with Contact(server, friend) as contact:
        shell = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", script),
            env=Program(tmp_path, server, account).env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert shell.stdout is not None
        job = int(await asyncio.wait_for(shell.stdout.readline(), DEADLINE_S))
        await exists(ready, shell)
        os.killpg(shell.pid, signal.SIGINT)  # as the terminal does it
        await until(lambda: shell.returncode == -signal.SIGINT, "the script's end")
        await contact.send(account.jid, "still there?")
        assert await asyncio.wait_for(shell.stdout.readline(), DEADLINE_S) == b"still there?\n"
        os.kill(job, signal.SIGTERM)
        await until(lambda: not is_running(job), "the job's end")
        await contact.wait_for_presence(account.jid, "unavailable")


@pytest.fixture
def _sigint_is_ignored() -> Iterator[None]:
    """What is started meanwhile inherits it."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("_sigint_is_ignored")
async def test_who_sits_at_a_terminal_stops_a_command_of_the_shell_all_the_same(
    prosody: Server, tmp_path: Path
) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/ping -c 1000000")
        await stage.shell.shows("pong")
        stage.shell.type(CTRL_C)
        await stage.shell.prompt(stage.jid)
        await stage.is_alive()


@pytest.mark.usefixtures("_sigint_is_ignored")
async def test_who_sits_at_a_terminal_leaves_the_password_prompt_all_the_same(tmp_path: Path) -> None:
    async with Terminal(Program(tmp_path), "--jid", "juliet@example.org", "ping") as terminal:
        await terminal.shows("Password for juliet@example.org:")
        terminal.type(CTRL_C)
        assert await terminal.exit_code() == 130
