"""The Tab key as it is pressed: in a real bash, zsh and fish on a terminal, with the scripts of completions/."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from support.program import Program
from support.terminal import Terminal

from xmppsh.registry.known import write_contacts

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PROMPT = "at> "
START = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "--no-config", "--interactive"),
}
SET_UP = {
    "bash": f"bind 'set enable-bracketed-paste off'; source {ROOT}/completions/xmppsh.bash; PS1='{PROMPT}'; clear",
    "zsh": f"fpath+=({ROOT}/completions); autoload -Uz compinit; compinit -u -d ~/dump; PS1='{PROMPT}'; clear",
    "fish": f"source {ROOT}/completions/xmppsh.fish; function fish_prompt; printf '{PROMPT}'; end; clear",
}
CLEAR_LINE = "\x15"  # Ctrl-U
# What is typed before Tab, and the line behind it.
TYPED = [
    ("xmppsh pla", "xmppsh playground"),
    ("xmppsh outbox re", "xmppsh outbox retry"),
    ("xmppsh ping --cou", "xmppsh ping --count"),
    ("xmppsh ping --format js", "xmppsh ping --format json"),
    ("xmppsh send jul", "xmppsh send juliet@example.org"),
    ("xmppsh send juliet@ex", "xmppsh send juliet@example.org"),
    ("xmppsh pipe ~/som", "xmppsh pipe ~/some\\ file"),
    ("xmppsh pipe som", "xmppsh pipe some\\ file"),
]


@pytest.mark.parametrize(
    "shell",
    [pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"no {name} here")) for name in START],
)
async def test_the_tab_key_completes_what_is_typed(shell: str, tmp_path: Path) -> None:
    write_contacts(tmp_path / "xmppsh", "romeo@example.net", [("juliet@example.org", "Juliet")])
    (tmp_path / "some file").touch()
    program = Program(tmp_path)
    program.env |= {"PATH": f"{BIN}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    async with Terminal(program, command=START[shell]) as terminal:
        terminal.type(f"cd; {SET_UP[shell]}\r")
        await terminal.until(lambda: terminal.lines[:1] == [PROMPT.strip()], "the prompt")
        for typed, completed in TYPED:
            terminal.type(f"{typed}\t")
            await terminal.until(lambda wanted=completed: terminal.line == PROMPT + wanted, completed)
            terminal.type(CLEAR_LINE)
            await terminal.until(lambda: terminal.line == PROMPT.strip(), "an empty line")
        terminal.type("exit\r")
