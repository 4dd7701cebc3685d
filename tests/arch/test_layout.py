"""The shape of the project, held by tests: file sizes, lazy imports, documentation drawn from the code."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "xmppsh"
FILES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MAX_LINES = 350
HEAVY = ("asyncio", "ssl", "slixmpp", "dns", "prompt_toolkit", "scramp", "cryptography", "sqlite3")


@pytest.mark.parametrize("path", FILES + TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_one_purpose_and_a_bounded_size(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    assert not text or text.startswith('"""'), "the first lines say what the file is for"


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [(words, (*HEAVY, "click", "enum", "re")) for words in (["--version"], ["--help"], ["send", "--help"], ["-h"])],
    ids=" ".join,
)
def test_help_and_version_load_nothing_heavy(arguments: list[str], unwanted: tuple[str, ...]) -> None:
    code = (
        "import atexit, sys\n"
        "from xmppsh.cli.__main__ import main\n"
        f"there = lambda: [name for name in {unwanted!r} if name in sys.modules]\n"
        "atexit.register(lambda: print(*there(), 'seen', file=sys.stderr))\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr == "seen\n"


def test_the_first_prompt_stands_without_click_and_all_of_prompt_toolkit_is_there_when_it_is_used() -> None:
    unwanted = ("click", "prompt_toolkit.shortcuts.dialogs", "prompt_toolkit.shortcuts.progress_bar", "wcwidth._width")
    code = (
        "import sys\n"
        "from xmppsh.registry.words import plain_work\n"
        "from xmppsh.shell.typing.lean import load_prompt\n"
        "assert plain_work(['connect']) is not None\n"
        "load_prompt()\n"
        "from prompt_toolkit.utils import get_cwidth\n"
        "widths = [get_cwidth('(nobody)> a · b …')]\n"
        f"print(*(name for name in {unwanted!r} if name in sys.modules), 'seen')\n"
        "from prompt_toolkit.shortcuts import ProgressBar, prompt\n"
        "print(callable(prompt), prompt.__module__, ProgressBar.__name__, widths, get_cwidth('é狗👍\u0301'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "seen\nTrue prompt_toolkit.shortcuts.prompt ProgressBar [17] 5\n"


NAMESPACE = re.compile(r"urn:xmpp:|urn:ietf:params:xml|(?<!\w)jabber:\w|http://(etherx\.)?jabber\.org/|eu\.siacs\.")
SHOWN_TO_PEOPLE = "commands/topics.py"  # examples of help


def _spelled(path: Path) -> list[str]:
    """The strings of a module that spell a namespace; docstrings do not count."""
    module = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        f"{path.name}:{node.lineno}: {node.value[:60]}"
        for node in ast.walk(module)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
        and NAMESPACE.search(node.value)
        and " (message, presence or iq in jabber:client)" not in node.value
    ]


def test_a_namespace_is_spelled_in_ns_alone() -> None:
    own = {PACKAGE / "ns.py", PACKAGE / SHOWN_TO_PEOPLE}
    assert [line for path in FILES if path not in own for line in _spelled(path)] == []
