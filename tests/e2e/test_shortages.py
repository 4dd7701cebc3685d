"""What is lacking while the program is still being loaded is told in one line, as it is later."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from support.program import COMMAND, Program

if TYPE_CHECKING:
    from pathlib import Path

MEMORY = "xmppsh: there is too little memory\n"
# A module that is loaded on the way (the first in run.py, the next by click's tree, the last for the work), and what
# Python raises there where the system gives no more.
LACKING = [
    ("pathlib", "MemoryError()", MEMORY),
    ("pathlib", "ImportError('libssl.so.3: failed to map segment from shared object')", MEMORY),
    ("click", "MemoryError()", MEMORY),
    ("click", "ImportError('libssl.so.3: failed to map segment from shared object')", MEMORY),
    ("click", "SystemError('error return without exception set')", "xmppsh: Python failed and gave no reason, "),
    ("click", 'RuntimeError("can\'t start new thread")', "xmppsh: the system starts no more threads"),
    ("asyncio", "MemoryError()", MEMORY),
]


@pytest.mark.parametrize(("module", "raises", "says"), LACKING)
def test_what_the_system_lacks_while_we_load_is_one_line(tmp_path: Path, module: str, raises: str, says: str) -> None:
    (tmp_path / f"{module}.py").write_text(f"raise {raises}\n")
    program = Program(tmp_path)
    env = {**program.env, "XMPPSH_JID": "alice@example.net", "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run([*COMMAND, "outbox", "list"], env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 74, ended.stderr
    assert ended.stderr.startswith(says)
    _told, hint = ended.stderr.splitlines()
    assert hint.startswith("  try: ")
    assert "ulimit -" in hint
