"""Makes the pictures of docs/screens from a real run on a playground: `python -m tests.screens` from the root."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.program import COMMAND, Program  # noqa: E402
from support.terminal import CTRL_C, CTRL_D, Terminal  # noqa: E402

from screens.picture import svg  # noqa: E402

SIZE = (90, 24)
FOLDER = ROOT / "docs" / "screens"


class Studio:
    """A playground, alice's shell, and bob, who sends from the command line."""

    def __init__(self, facts: dict[str, Any], server: asyncio.subprocess.Process, home: Path) -> None:
        self.domain, self.server = facts["domain"], server
        self.alice, self.bob = self._program(facts, home / "a", "alice"), self._program(facts, home / "b", "bob")

    @staticmethod
    def _program(facts: dict[str, Any], home: Path, name: str) -> Program:
        home.mkdir()
        program = Program(home)
        program.env |= {
            "XMPPSH_JID": f"{name}@{facts['domain']}" + ("/balcony" if name == "alice" else ""),
            "XMPPSH_PASSWORD": facts["accounts"][name],
            "XMPPSH_HOST": f"{facts['host']}:{facts['port']}",
            "XMPPSH_CA": facts["ca"],
        }
        return program

    async def says(self, *words: str) -> None:
        """Bob writes to alice."""
        outcome = await self.bob.run("send", *words[:-1], f"alice@{self.domain}", words[-1])
        assert outcome.code == 0, outcome.stderr


@asynccontextmanager
async def studio() -> AsyncIterator[Studio]:
    with tempfile.TemporaryDirectory() as home:
        server = await asyncio.create_subprocess_exec(*COMMAND, "playground", "--serve", stdout=asyncio.subprocess.PIPE)
        assert server.stdout is not None
        try:
            yield Studio(json.loads(await server.stdout.readline()), server, Path(home))
        finally:
            server.send_signal(signal.SIGCONT)
            server.terminate()
            await server.wait()


def keep(shell: Terminal, name: str, title: str) -> None:
    """Write the picture."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(svg(shell.screen, title))
    print(FOLDER / f"{name}.svg")


async def conversation(shell: Terminal, stage: Studio) -> None:
    await shell.enter("/to bob")
    await shell.prompt("bob@")
    await shell.enter("Are you there?")
    await shell.shows("you ✓")
    shell.type("half-typed text stays")
    await shell.until(lambda: shell.line.endswith("stays"), "the line")
    await stage.says("Yes. A text that is longer than the window is wide is folded at its words, under its beginning.")
    await stage.says("--oob", "https://example.org/garden.jpg", "日本語 👍 é")
    await shell.shows("garden.jpg")
    keep(shell, "conversation", "A conversation: what arrives is printed above the half-typed line")
    shell.type(CTRL_C)


async def completion(shell: Terminal, stage: Studio) -> None:
    await shell.enter("/help ping")
    await shell.shows("Example:  /ping -c 3")
    shell.type("/p\t")
    await shell.shows("Nodes of a service")
    await shell.until(lambda: shell.line.endswith("> /p"), "the cursor where it was")
    keep(shell, "completion", "The Tab key: the commands that begin with p, and what each does")
    shell.type(CTRL_C)


async def xml(shell: Terminal, stage: Studio) -> None:
    await shell.enter("/xml on")
    shell.type(f'/iq get {stage.domain} <query xmlns="http://jabber.org/protocol/disco#info"/>')
    await shell.until(lambda: shell.line.endswith('"/>'), "the end of the line")
    shell.type("\r")
    await shell.until(lambda: shell.line.endswith(">") and any("<identity" in line for line in shell.lines), "it")
    await shell.enter("/xml off")
    await shell.enter("<message><body>a & b</body></message>")
    await shell.shows("^ & is written &amp;")
    keep(shell, "xml", "XML: the stream as it goes by, and a fault marked before anything is sent")
    shell.type(CTRL_C)


async def room(shell: Terminal, stage: Studio) -> None:
    await shell.enter(f"/join lobby@rooms.{stage.domain} alice")
    await shell.until(lambda: shell.line.startswith("lobby"), "the room")
    await shell.enter("Good evening!")
    await shell.shows("alice    Good evening!")
    await shell.enter("/who")
    await stage.says("psst, over here")
    await shell.shows("unread: bob 1")
    keep(shell, "room", "A room, its occupants, and an unread message of somebody else")


async def cut(shell: Terminal, stage: Studio) -> None:
    await shell.enter("/to bob")
    await shell.prompt("bob@")
    stage.server.send_signal(signal.SIGSTOP)
    await shell.enter("in the hole")
    await shell.shows("OFFLINE")
    await shell.until(lambda: any("next try in" in line or "connecting" in line for line in shell.lines[-1:]), "it")
    shell.type("and this, too")
    await shell.until(lambda: shell.line.endswith("too"), "the line")
    keep(shell, "cut", "A cut, told in words: what was typed waits, kept on disk")
    stage.server.send_signal(signal.SIGCONT)
    await shell.until(lambda: any("✓" in line and "in the hole" in line for line in shell.lines), "the ack", 60)
    shell.type(CTRL_C)


async def main() -> None:
    for scene in (conversation, completion, xml, room, cut):
        async with studio() as stage, Terminal(stage.alice, "connect", size=SIZE) as shell:
            await shell.prompt()
            await shell.shows("all sent")
            await scene(shell, stage)
            shell.type(CTRL_D)
            await shell.exit_code()


if __name__ == "__main__":
    os.chdir(ROOT)
    asyncio.run(main())
