"""The Tab key: one source for every shell, tried in the shells themselves."""

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from support.program import Program
from support.until import DEADLINE_S

from xmppsh.cli.main import build_group
from xmppsh.cli.tab import answer
from xmppsh.commands.completion import SCRIPTS
from xmppsh.config.contacts import MAX_SHOWN, read_contacts
from xmppsh.registry import COMMANDS, GROUPS, children
from xmppsh.registry.groups import load
from xmppsh.registry.known import cache_file, write_contacts

ROOT = Path(__file__).parents[2]
FILES = {"bash": "xmppsh.bash", "zsh": "_xmppsh", "fish": "xmppsh.fish"}
SHELL = pytest.mark.parametrize(
    "shell",
    [pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"no {name} here")) for name in FILES],
)
BASH = """
source "$1"
COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDS=("$3" $2)
_xmppsh 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
autoload -Uz compinit && compinit -u -d "$HOME/dump" && source "$1"
compadd() { print -l -- "${values[@]}" }
_files() { print -l -- ${words[CURRENT]}*(N) }
compset() { return 0 }
words=("$3" ${(z)2}) && [[ $2 == *" " ]] && words+=("")
words[2]=()
CURRENT=${#words}
_xmppsh
"""


def values(line: str) -> list[str]:
    *words, incomplete = line.split(" ")
    return [item.value for item in ShellComplete(build_group(), {}, "xmppsh", "_XMPPSH_COMPLETE").get_completions(
        words, incomplete
    )]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    contacts = [("juliet@example.org", "Juliet"), ("nurse@example.org", ""), ("$(reboot)@example.org", "")]
    write_contacts(tmp_path / "xmppsh", "romeo@example.net", contacts)
    (tmp_path / "some file").touch()
    return tmp_path


def asked(shell: str, home: Path, line: str) -> list[str]:
    """What a shell completes for a line."""
    environment = Program(home).env | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = ROOT / "completions" / FILES[shell]
    name = str(Path(sys.executable).parent / "xmppsh")
    argv = {
        "bash": ["bash", "--norc", "-c", BASH, "bash", str(script), line, name],
        "zsh": ["zsh", "-f", "-c", ZSH, "zsh", str(script), line, name],
        "fish": ["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"],
    }[shell]
    done = subprocess.run(
        argv, env=environment, cwd=home, capture_output=True, text=True, check=False, timeout=DEADLINE_S
    )
    return [row.partition("\t")[0] for row in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", FILES)
def test_the_scripts_of_the_repository_are_those_of_the_program(shell: str) -> None:
    assert (ROOT / "completions" / FILES[shell]).read_text() == SCRIPTS[shell]


@SHELL
def test_a_script_is_read_without_an_error(shell: str) -> None:
    done = subprocess.run([shell, "-n", ROOT / "completions" / FILES[shell]], capture_output=True, check=True)
    assert done.stderr == b""


def test_every_command_completes() -> None:
    for path in COMMANDS:
        assert path[-1] in values(" ".join(path))
    for path in GROUPS:
        assert set(children(path)) <= set(values(" ".join(path) + " "))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_and_choice_of_a_command_completes(path: tuple[str, ...]) -> None:
    command, name = load(path), " ".join(path)
    for param in command.params:
        if isinstance(param, click.Option):
            assert set(param.opts) <= {*values(f"{name} -"), *values(f"{name} --")}
        if isinstance(param.type, click.Choice) and isinstance(param, click.Argument) and param is command.params[0]:
            assert set(map(str, param.type.choices)) <= set(values(f"{name} "))


@SHELL
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pi", ["pipe", "ping"]),
        ("outbox r", ["retry"]),
        ("ping --cou", ["--count"]),
        ("ping --format js", ["json"]),
        ("iq g", ["get"]),
        ("send jul", ["juliet@example.org"]),
        ("help roo", ["room"]),
        ("pipe so", ["some file"]),
    ],
)
def test_a_shell_completes(shell: str, home: Path, words: str, expected: list[str]) -> None:
    if shell == "bash" and words.startswith("pipe"):
        expected = [""]  # readline's own
    found = [value.replace("\\ ", " ") for value in asked(shell, home, f"xmppsh {words}")]
    assert sorted(found) == sorted(expected)


# Each line of stdin is completed, all in one process.
EACH = 'while IFS= read -r line; do set -- "$1" "$line" "$3"\n'
ALL = {
    "bash": BASH.replace("COMP_LINE=", f"{EACH}COMPREPLY=() COMP_LINE=", 1) + "echo ----\ndone\n",
    "zsh": ZSH.replace("words=(", f"{EACH}words=(", 1) + "print -- ----\ndone\n",
    "fish": "source $argv[1]\nwhile read line; complete -C $line; echo ----; end\n",
}


def registered() -> Iterator[tuple[str, set[str]]]:
    """Lines, and what must be among that which completes them."""
    for path in ((), *GROUPS):
        yield " ".join(("xmppsh", *path, "")), set(children(path))
    for path in COMMANDS:
        name = " ".join(("xmppsh", *path))
        options = [one for one in load(path).params if isinstance(one, click.Option) and not one.hidden]
        yield f"{name} --", {name for one in options for name in one.opts if name.startswith("--")}
        for one in options:
            if isinstance(one.type, click.Choice):
                yield f"{name} {max(one.opts, key=len)} ", set(map(str, one.type.choices))
        first = next((one for one in load(path).params if isinstance(one, click.Argument)), None)
        if first is not None and isinstance(first.type, click.Choice):
            yield f"{name} ", set(map(str, first.type.choices))


@SHELL
def test_a_shell_completes_each_command_each_option_and_each_choice(shell: str, home: Path) -> None:
    table = list(registered())
    script, name = ROOT / "completions" / FILES[shell], str(Path(sys.executable).parent / "xmppsh")
    flags = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    words = [str(script)] if shell == "fish" else [shell, str(script), "", name]
    done = subprocess.run(
        [shell, *flags, "-c", ALL[shell], *words],
        env=Program(home).env | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        input="".join(f"{line}\n" for line, _ in table),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    answers = done.stdout.split("----\n")[:-1]
    assert len(answers) == len(table)
    missing = {
        line: left
        for (line, expected), answer in zip(table, answers, strict=True)
        if (left := expected - {row.partition("\t")[0].strip() for row in answer.splitlines()})
    }
    assert missing == {}


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("send $", ["\\$\\(reboot\\)@example.org"]),
        ("send juliet@ex", ["@example.org"]),
        ("send juliet@", ["@example.org"]),
        ("ping --format=j", ["json"]),
    ],
)
def test_bash_which_cuts_words_at_signs_is_given_what_stands_behind_them(
    home: Path, words: str, expected: list[str]
) -> None:
    assert asked("bash", home, f"xmppsh {words}") == expected


def test_contacts_of_the_account_alone_complete_where_it_is_known(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_contacts(home / "xmppsh", "tybalt@example.net", [("mercutio@example.org", "")])
    for name, value in Program(home).env.items():
        monkeypatch.setenv(name, value)
    accounts = {"romeo@example.net", "tybalt@example.net"}
    assert set(values("ping ")) == {
        *accounts,
        *("juliet@example.org", "nurse@example.org", "$(reboot)@example.org", "mercutio@example.org"),
    }
    assert values("-j ty") == ["tybalt@example.net"]
    assert values("-j tybalt@example.net ping ") == ["tybalt@example.net", "example.net", "mercutio@example.org"]
    assert values("tybalt@example.net ping me") == ["mercutio@example.org"]
    assert "ping" in values("tybalt@example.net pi")


def test_the_cache_is_for_nobody_else_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    write_contacts(tmp_path, "a@b", [("c@d", "é")])
    path = cache_file(tmp_path, "a@b")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_contacts(str(path)) == [("c@d", "é")]
    for damaged in (b"[", b"[1]", b"\xff", b'{"a": 1}'):
        path.write_bytes(damaged)
        assert read_contacts(str(path)) == []


def test_what_the_first_of_many_contacts_have_in_common_is_not_typed_as_if_all_had_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contacts = [(f"c{'r' if number < 2500 else 's'}{number}@example.org", "") for number in range(3000)]
    write_contacts(home / "xmppsh", "romeo@example.net", contacts)
    for name, value in (Program(home).env | {"XMPPSH_JID": "romeo@example.net"}).items():
        monkeypatch.setenv(name, value)
    shown = values("send c")
    assert len(shown) == MAX_SHOWN
    assert {jid[:2] for jid in shown} == {"cr", "cs"}  # so that a shell types no `r`
    at_once = answer({**os.environ, "COMP_WORDS": "xmppsh send c", "COMP_CWORD": "c"})
    assert at_once is not None
    assert [row.removeprefix("plain,").partition("\t")[0] for row in at_once.splitlines()] == shown


def test_the_tab_key_loads_neither_click_nor_the_commands() -> None:
    code = "import sys, xmppsh.cli.__main__, xmppsh.cli.tab; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"click", "re", "json", "pathlib", "xmppsh.commands", "xmppsh.errors"} & set(done.stdout.split())


async def test_completing_asks_nobody_and_loads_nothing_heavy(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.env |= {"COMP_WORDS": "xmppsh send x", "COMP_CWORD": "x", "_XMPPSH_COMPLETE": "fish_complete"}
    code = (
        "import atexit, sys\nfrom xmppsh.cli.__main__ import main\n"
        "unwanted = ('dns', 'prompt_toolkit', 'sqlite3')\n"
        "atexit.register(lambda: print(*(name for name in unwanted if name in sys.modules), 'seen', file=sys.stderr))\n"
        "main()"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=program.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert [part.strip() for part in await process.communicate()] == [b"", b"seen"]
