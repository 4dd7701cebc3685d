"""The same command lines with and without an agent: the same output, the same errors, the same exit codes.

Each list of runs has an account of its own, so that what one run changes the other does not see.
"""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from support.program import Program
from support.servers import Account, Server

pytestmark = pytest.mark.either_server

FORKS = str(Path(__file__).with_name("forks.py"))
VERSION = "<query xmlns='jabber:iq:version'/>"
PROCESSED = (
    (re.compile(r"\bx?[0-9a-f]{12,}\b(-\w+)*|[\w-]{22,}\b(?=[\"' ])"), "ID"),
    (re.compile(r"\d\d\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*?(?=[\"\s]|$)|\b\d\d:\d\d(:\d\d)?\b"), "WHEN"),
    (re.compile(r"[\d./]+ ms|\"(min_|avg_|max_)?ms\": [\d.]+"), "MS"),
)
JSON = ("--format", "json")
# The arguments; `< TEXT` as the last ones is stdin, `> FILE` stdout, and NAME=VALUE in front is the environment.
LINES = """
ping
ping -c 3 -i 0.01
ping DOMAIN --format json
ping BOB/nowhere
send BOB hello
send BOB < from stdin
send BOB - --format json < a\\nb
send BOB - <
send BOB --to OWN twice --format json
send nobody@DOMAIN hello
send BOB --to nobody@DOMAIN hello --each
send BOB hello --subject Us --thread t1 --id fixed --lang en --format json
send a@@b hello
send BOB hello --wait sent
send BOB hello --wait delivered:0.05
send --to-file people.txt hello --format json
send BOB < a\\x01b
send BOB hello -F %i
send --room ROOM hello
iq get DOMAIN VERSION
iq get DOMAIN VERSION --xpath string(.//*[local-name()='name'])
iq get DOMAIN - --format json < VERSION
iq get DOMAIN <none xmlns='urn:nobody:has:this'/> --format json
version DOMAIN --format json
disco info DOMAIN
disco items DOMAIN --format json
adhoc list DOMAIN
roster add BOB --name Bob
roster list
roster rename BOB Robert
roster export > /dev/full
roster list --format json
roster remove BOB
block add spam@DOMAIN
block list
block remove spam@DOMAIN
history list --last 2 -F %b
room list CONFERENCE
XMPPSH_PASSWORD=wrong ping --format json
XMPPSH_HOST=127.0.0.1:1 ping
--insecure ping
sned BOB hello
"""


def job(line: str, program: Program, names: dict[str, str], folder: Path) -> dict[str, Any]:
    """A line as forks.py takes it."""
    line, _, stdin = line.partition(" <") if line.endswith(" <") or " < " in line else (line, "", "")
    line, _, stdout = line.partition(" > ")
    words = re.findall(r"<[^>]*>?|\S+", line)
    given = dict(words.pop(0).split("=", 1) for _ in range(words[0].startswith("XMPPSH_")))

    def filled(text: str) -> str:
        return re.sub("|".join(names), lambda found: names[found[0]], text)

    text = filled(stdin.removeprefix(" ")).replace("\\n", "\n").replace("\\x01", "\x01")
    made = {"arguments": [filled(word) for word in words], "stdin": text, "cwd": str(folder)}
    return {**made, "env": {**program.env, **given}, **({"stdout": stdout} if stdout else {})}


async def outcomes(jobs: list[dict[str, Any]], own: str) -> list[tuple[str, ...]]:
    """What each of them ends with, without what is another one each time."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, FORKS, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**20
    )
    said, _ = await process.communicate("".join(json.dumps(one) + "\n" for one in jobs).encode())
    made = []
    for line in said.splitlines():
        done = json.loads(line)
        texts = [str(done["code"]), done["stdout"].replace(own, "OWN"), done["stderr"].replace(own, "OWN")]
        for pattern, instead in PROCESSED:
            texts = [pattern.sub(instead, text) for text in texts]
        made.append(tuple(texts))
    return made


async def test_the_same_command_lines_end_the_same_with_and_without_an_agent(
    server: Server, tmp_path: Path, alice: Account, program: Program, agent: int
) -> None:
    lines = LINES.strip().splitlines()
    assert len(lines) >= 40
    bob = server.account()
    (tmp_path / "people.txt").write_text(f"{bob.jid}\nnobody@{server.domain}\n")
    runs = []
    for account, use in ((alice, "auto"), (server.account(), "no")):
        own = Program(tmp_path, server, account)
        own.env["XMPPSH_AGENT"] = use
        names = {"BOB": bob.jid, "OWN": account.jid, "DOMAIN": server.domain, "CONFERENCE": server.conference}
        names |= {"ROOM": f"nowhere@{server.conference}", "VERSION": VERSION}
        runs.append(outcomes([job(line, own, names, tmp_path) for line in lines], account.jid))
    with_agent, without = await asyncio.gather(*runs)
    assert dict(zip(lines, with_agent, strict=True)) == dict(zip(lines, without, strict=True))
    facts = (await program.run("agent", "status", "--format", "json")).records[0]
    assert facts["commands"] >= 30, "most of them ran in the agent"
