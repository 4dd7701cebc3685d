"""Commands that an agent carries out, on the terminal of whoever gave them."""

import json
from pathlib import Path

import pytest
from support.program import Program
from support.terminal import Terminal

pytestmark = pytest.mark.either_server


async def test_how_far_a_command_is_stands_on_the_terminal(program: Program, agent: int, tmp_path: Path) -> None:
    contacts = [{"type": "contact", "jid": f"friend-{number}@friends.example"} for number in range(20)]
    (tmp_path / "roster").write_text("".join(f"{json.dumps(contact)}\n" for contact in contacts))
    async with Terminal(program, "roster", "import", str(tmp_path / "roster")) as terminal:
        assert await terminal.exit_code() == 0
        assert [line for line in terminal.lines if line.startswith("contacts ") and line.endswith("100%")]
    status = (await program.run("agent", "status", "--format", "json")).records[0]
    assert (status["pid"], status["commands"]) == (agent, 1)


@pytest.mark.parametrize("command", ["start", "stop"])
async def test_a_dry_run_neither_starts_nor_stops_one(program: Program, agent: int, command: str) -> None:
    outcome = await program.run("-n", "agent", command)
    assert (outcome.code, outcome.stdout) == (64, "")
    assert (await program.run("agent", "status", "--format", "json")).records[0]["pid"] == agent
