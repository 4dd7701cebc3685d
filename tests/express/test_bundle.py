"""The bundle: our modules in one file, which is never believed more than the sources."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from support.program import Outcome, Program, finish
from support.servers import Server

import xmppsh

# Says on stderr how many of our modules came out of the bundle.
MAIN = """
import atexit, sys
from xmppsh.cli.__main__ import main
def tell():
    ours = [type(one.__loader__).__name__ for name, one in sys.modules.items() if name.startswith("xmppsh.")]
    sys.stderr.write(f"{ours.count('_Loader')} from the bundle\\n")
atexit.register(tell)
main()
"""
CONTACTS = 3  # from the third on a message needs no event loop, and that run writes the file
MOST = 80


class Copy:
    """The program in a folder of its own; each `send` tells how many of its modules came out of the bundle."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.to = folder / "copy", server.account()
        sources = Path(xmppsh.__file__).parent
        shutil.copytree(sources, self.folder / "xmppsh", ignore=shutil.ignore_patterns("__pycache__"))
        self._program = Program(folder, server, self.to)
        self._program.env.pop("PYTHONDONTWRITEBYTECODE", None)

    @property
    def file(self) -> Path:
        """The bundle."""
        return self.folder / "xmppsh" / "__pycache__" / f"xmppsh.{sys.implementation.cache_tag}.bundle"

    async def send(self, **variables: str) -> Outcome:
        """One message, acknowledged."""
        self._program.env |= {"PYTHONPATH": str(self.folder), "PYTHONSAFEPATH": "1", **variables}
        process = await self._program.start_as((sys.executable, "-c", MAIN), "send", self.to.jid, "hello")
        outcome = await finish(process)
        assert outcome.code == 0, outcome.stderr
        return outcome

    async def from_bundle(self, **variables: str) -> int:
        """How many of its modules came out of it."""
        return int((await self.send(**variables)).stderr.splitlines()[-1].split()[0])


@pytest.fixture
async def copy(prosody: Server, tmp_path: Path) -> Copy:
    """It has met its server often enough."""
    made = Copy(tmp_path, prosody)
    for _ in range(CONTACTS):
        await made.send()
    return made


async def test_after_the_first_message_without_a_loop_the_modules_come_out_of_one_file(copy: Copy) -> None:
    assert copy.file.stat().st_mode & 0o777 == 0o666 & (copy.folder / "xmppsh/cli/bundle.py").stat().st_mode
    assert await copy.from_bundle() > MOST


async def test_a_module_that_was_changed_is_loaded_from_its_source(copy: Copy) -> None:
    changed = copy.folder / "xmppsh" / "commands" / "send" / "order.py"
    with changed.open("a") as source:
        source.write("\nimport sys\nsys.stderr.write('the changed one\\n')\n")
    first, second = [(await copy.send()).stderr.splitlines() for _ in range(2)]
    assert first[0] == second[0] == "the changed one"
    assert int(second[-1].split()[0]) > int(first[-1].split()[0]) > MOST


@pytest.mark.parametrize("there", [b"", b"garbage", None], ids=["empty", "garbage", "cut off"])
async def test_a_file_that_is_not_whole_is_ignored_and_written_anew(copy: Copy, there: bytes | None) -> None:
    copy.file.write_bytes(copy.file.read_bytes()[:20_000] if there is None else there)
    assert await copy.from_bundle() == 0
    assert await copy.from_bundle() > MOST


async def test_where_the_program_was_moved_to_the_file_of_the_old_place_is_ignored(copy: Copy) -> None:
    moved = copy.folder.with_name("moved")
    os.rename(copy.folder, moved)
    copy.folder = moved
    assert await copy.from_bundle() == 0
    assert await copy.from_bundle() > MOST


async def test_where_python_keeps_no_compiled_modules_there_is_no_file_either(copy: Copy) -> None:
    copy.file.unlink()
    await copy.send(PYTHONDONTWRITEBYTECODE="1")
    assert not list(copy.file.parent.glob("*.bundle*"))
    assert await copy.from_bundle(PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=str(copy.folder / "elsewhere")) == 0
    assert not list(copy.folder.rglob("*.bundle*"))


async def test_what_cannot_be_written_is_left_alone_without_a_word(copy: Copy) -> None:
    copy.file.unlink()
    copy.file.mkdir()
    assert (await copy.send()).stderr == "0 from the bundle\n"
    assert [one.name for one in copy.file.parent.glob("*.bundle*")] == [copy.file.name]
