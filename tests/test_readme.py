"""The README does what it says: its recipes run as they are printed, and its other command lines can be read."""

import re
import shlex
from pathlib import Path

import pytest
from playground.clients import visitor

from xmppsh.cli.main import parse
from xmppsh.errors import ExitCode
from xmppsh.registry.base import Work

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)
RECIPES = [text for language, text in BLOCKS if language == "sh"]
# `tail -f` goes on for ever; here it ends with what is there.
SETTING = "set -e -o pipefail; printf 'one\\ntwo\\n' > app.log; tail() { command tail -n 5 \"${@:2}\"; }\n"


async def test_the_recipes_run_as_they_are_printed(tmp_path: Path) -> None:
    assert len(RECIPES) >= 12
    script = SETTING + "".join(f"echo '## {number}'\n{recipe}" for number, recipe in enumerate(RECIPES))
    program = visitor(tmp_path)
    outcome = await program.run("playground", "--", "bash", "-c", f"cd {tmp_path}; {script}", deadline_s=240)
    assert outcome.code == 0, outcome.stdout + outcome.stderr
    said = dict(re.findall(r"^## (\d+)\n(.*?)(?=^## |\Z)", outcome.stdout, re.M | re.S))
    of = {word: next(said[str(n)] for n, one in enumerate(RECIPES) if word in one) for word in EXPECTED}
    assert {word: EXPECTED[word] in text for word, text in of.items()} == dict.fromkeys(EXPECTED, True), said
    assert (tmp_path / "archive.ndjson").read_text().count('"kind": "message"') >= 4
    assert "acked 20, failed 0" in outcome.stderr


EXPECTED = {
    "deploy?": "echo@playground.localhost/bot: deploy?",
    "printenv": "hello, bot",
    "jabber:iq:version": "0.",
    "upload app.log": "https://127.0.0.1",
    "doctor": "alice@playground.localhost by SCRAM",
    "--host": "pong from playground.localhost",
    "--drain": "disk full",
}
LINES = [
    line.partition(" #")[0].partition(";")[0].partition(" >")[0].partition(" <")[0].strip()
    for language, block in BLOCKS
    if language != "sh"
    for line in block.splitlines()
    for line in re.findall(r"(?:^|\$ |ExecStart=|\| )(xmppsh [^|]*)", line)
]


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_of_the_readme_can_be_read(line: str) -> None:
    words = shlex.split(line)[1:]
    assert isinstance(parse(words), Work | str)


def test_the_readme_has_each_exit_code() -> None:
    table = README[README.index("## Exit codes") :]
    assert [code for code in ExitCode if not re.search(rf"^\|[^|]*\b{int(code)}\b", table, re.M)] == []
