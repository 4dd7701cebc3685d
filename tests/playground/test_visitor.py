"""`playground -- CMD`: what CMD gets, and that it alone decides how it ends."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from playground.clients import visitor
from support.program import finish
from support.terminal import Terminal
from support.until import is_running, until

PLAYGROUND = ("playground", "--")


@pytest.mark.parametrize(("command", "code"), [("exit 7", 7), ("kill -9 $$", 137)])
async def test_it_ends_as_its_program_ends(tmp_path: Path, command: str, code: int) -> None:
    outcome = await visitor(tmp_path).run(*PLAYGROUND, "sh", "-c", command)
    assert (outcome.code, outcome.stderr) == (code, "")


async def test_its_program_has_the_users_umask_and_finds_us(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    os.umask(umask)
    program = visitor(tmp_path)
    program.env["PATH"] = os.defpath
    outcome = await program.run(*PLAYGROUND, "sh", "-c", "umask; command -v xmppsh")
    assert outcome.stdout == f"{umask:04o}\n{Path(sys.executable).with_name('xmppsh')}\n"


async def test_a_program_that_is_not_there_is_66(tmp_path: Path) -> None:
    outcome = await visitor(tmp_path).run(*PLAYGROUND, "/nowhere", "--version")
    assert (outcome.code, outcome.stderr) == (66, "xmppsh: /nowhere: no such file or directory\n")


async def test_where_openssl_is_not_installed_it_says_so(tmp_path: Path) -> None:
    program = visitor(tmp_path)
    program.env["PATH"] = str(tmp_path)
    outcome = await program.run(*PLAYGROUND, sys.executable, "--version")
    assert (outcome.code, outcome.stderr) == (
        70,
        "xmppsh: the openssl command, which makes the playground's certificate: no such file or directory\n"
        "  try: install the package openssl, or correct PATH\n",
    )


async def test_its_program_talks_at_once_whatever_the_user_has_set(tmp_path: Path) -> None:
    program = visitor(tmp_path)
    (tmp_path / "xmppsh").mkdir()
    (tmp_path / "xmppsh/config.toml").write_text('jid = "me@example.org"\ntls = "off"\n')
    program.env["XMPPSH_PROXY"] = "socks5h://127.0.0.1:1"
    script = (
        "cd; xmppsh send bob@playground.localhost 'But soft!' && xmppsh send nobody@playground.localhost x;"
        " echo $?; xmppsh -j bob@playground.localhost listen --drain -F %b"
    )
    outcome = await program.run(*PLAYGROUND, "sh", "-c", script)
    assert (outcome.code, outcome.stdout) == (0, "67\nBut soft!\n"), outcome.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["xmppsh"]  # nothing is left but what the user had


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *(pytest.param(one, marks=pytest.mark.long) for one in (signal.SIGINT, signal.SIGHUP))]
)
async def test_a_signal_is_passed_on_and_the_program_says_how_it_ends(tmp_path: Path, number: int) -> None:
    script = f"trap 'echo told; exit 5' {int(number)}; sleep 1000 & echo ready; wait"
    process = await visitor(tmp_path).start(*PLAYGROUND, "sh", "-c", script)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"ready\n"
    process.send_signal(number)
    outcome = await finish(process)
    assert (outcome.code, outcome.stdout) == (5, "told\n")  # and stdout was closed: `sleep` has not outlived it


async def test_a_second_signal_ends_a_program_that_will_not(tmp_path: Path) -> None:
    process = await visitor(tmp_path).start(
        *PLAYGROUND, "sh", "-c", "trap 'echo no' TERM; echo ready; while :; do sleep 1000 & wait; done"
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"ready\n"
    process.terminate()
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"no\n"
    process.terminate()
    assert (await finish(process)).code == 137


async def test_a_listener_that_was_left_behind_ends_with_the_playground(tmp_path: Path) -> None:
    script = "xmppsh listen --ready-file ready & until [ -e ready ]; do sleep 0.05; done; exit 3"
    program = visitor(tmp_path)
    outcome = await program.run(*PLAYGROUND, "sh", "-c", f"cd {tmp_path}; {script}")
    assert outcome.code == 3  # `run` waits for the end of the output, so for the listener's


async def test_what_was_left_behind_and_will_not_end_is_killed(tmp_path: Path) -> None:
    outcome = await visitor(tmp_path).run(*PLAYGROUND, "sh", "-c", "trap '' TERM; sleep 1000 & exit 3")
    assert outcome.code == 3  # `run` waits for the end of the output, so for the end of `sleep`


async def test_bash_on_a_terminal_is_the_newcomers_door(tmp_path: Path) -> None:
    program = visitor(tmp_path)
    program.env["PS1"] = "door: "
    async with Terminal(program, *PLAYGROUND, "bash", "--norc", "-i") as terminal:
        await terminal.shows("door:")
        terminal.type("sleep 1000\r")
        await terminal.shows("sleep 1000")
        terminal.type("\x03")  # ends the sleep alone
        terminal.type("xmppsh ping\r")
        await terminal.shows("pong from playground.localhost")
        terminal.type("exit 4\r")
        assert await terminal.ended() == 4


async def test_the_tour_shows_a_clean_end_and_that_a_kill_leaves_no_ghost(tmp_path: Path) -> None:
    outcome = await visitor(tmp_path).run("playground")  # without a terminal
    assert outcome.code == 0, outcome.stderr
    assert re.findall(r"is unavailable\n  \(seen after \d+ ms; exit code (\d+)\)", outcome.stdout) == ["143", "137"]
    assert list(tmp_path.iterdir()) == []


async def test_at_a_terminal_the_tour_is_shown_where_it_is_asked_for(tmp_path: Path) -> None:
    async with Terminal(visitor(tmp_path), "playground", "--tour") as terminal:
        assert await terminal.exit_code() == 0
        assert sum("is unavailable" in line for line in terminal.history) == 2


async def test_a_playground_that_is_killed_leaves_neither_its_folder_nor_its_program(tmp_path: Path) -> None:
    process = await visitor(tmp_path).start(*PLAYGROUND, "sh", "-c", 'echo $$ "$STATE_DIRECTORY"; sleep 1000')
    assert process.stdout is not None
    program, folder = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().split()
    process.kill()
    await until(lambda: not is_running(int(program)) and not Path(folder).exists(), "the end of both")
    assert (await finish(process)).code == 128 + signal.SIGKILL
