"""Every option of the verbs for scripts, and every exit code, has a test by its name (promises.py)."""

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

import click

from xmppsh.commands.topics import EXIT_CODES, SIGNALS
from xmppsh.registry import COMMANDS
from xmppsh.registry.groups import load

TESTS = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("promises", Path(__file__).with_name("promises.py"))
assert _spec is not None
assert _spec.loader is not None
promises = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(promises)


def promised() -> dict[str, set[str]]:
    """Each option by its command and its longest name, with all its names."""
    return {
        f"{' '.join(path)} {max(option.opts, key=len)}": {*option.opts, *option.secondary_opts}
        for path in COMMANDS
        if path[0] in promises.VERBS
        for option in load(path).params
        if isinstance(option, click.Option) and not option.hidden and option.name != "help"
    }


@cache
def _parts(file: str) -> dict[str, ast.stmt]:
    """What a file of tests defines, by its name."""
    parts: dict[str, ast.stmt] = {}
    for node in ast.parse((TESTS / file).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parts[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            parts |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    return parts


def used(file: str, test: str) -> tuple[set[str], set[int]]:
    """The words and the numbers of a test, and of what its own file gives it: tables, helpers, fixtures."""
    parts, seen, todo = _parts(file), set(), [test]
    words: set[str] = set()
    numbers: set[int] = set()
    while todo:
        name = todo.pop()
        seen.add(name)
        for node in ast.walk(parts[name]):
            if isinstance(node, ast.Constant) and isinstance(node.value, int):
                numbers.add(node.value)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.update(re.findall(r"[\w-]+", node.value))
            elif isinstance(node, ast.Attribute) and node.attr == "listening":  # Program.listening runs `listen`
                words |= {"listen", "--ready-file"}
            for other in (getattr(node, "id", None), getattr(node, "arg", None)):
                if other in parts and other not in seen:
                    todo.append(other)
    return words, numbers


def test_every_option_of_a_verb_for_scripts_has_a_test_that_uses_it() -> None:
    names, shown = promised(), []
    for file, tests in promises.OPTIONS.items():
        for test, options in tests.items():
            words, _ = used(file, test)
            for option in options.split(", "):
                assert names[option] & words, f"{test} uses no {option}"
                assert option.split()[0] in words, f"{test} runs no {option.split()[0]}"
                shown.append(option)
    assert sorted(shown) == sorted(names)


def test_every_exit_code_has_a_test_that_brings_it_about() -> None:
    assert {int(code) for code in (*EXIT_CODES, *SIGNALS)} == set(promises.CODES)
    for code, place in promises.CODES.items():
        file, _, test = place.partition("::")
        assert code in used(file, test)[1], f"{test} looks for no {code}"
