"""Without a locale, as cron, systemd and containers start programs, text and names are UTF-8 all the same."""

from pathlib import Path
from typing import NamedTuple

import pytest
from support.program import Program
from support.servers import Account

pytestmark = pytest.mark.either_server

TEXT = "Grüße ☃ 😀"
LOCALES = {
    "none": {},
    "LANG=C": {"LANG": "C"},
    "LC_ALL=C": {"LC_ALL": "C"},
    "LC_ALL=POSIX": {"LC_ALL": "POSIX"},
    "one that is not installed": {"LC_ALL": "xx_XX.ISO-8859-1"},
}


class Way(NamedTuple):
    """How the text is given: FILE and TRACE have names that are not ASCII; TO is the recipient."""

    words: tuple[str, ...]
    stdin: str = ""


WAYS = {
    "as an argument": Way(("send", "TO", TEXT)),
    "on stdin": Way(("send", "TO"), TEXT),
    "by lines": Way(("pipe", "--input", "lines", "--to", "TO"), TEXT + "\n"),
    "as XML": Way(("pipe",), f"<message to='TO'><body>{TEXT}</body></message>"),
    "as JSON": Way(("pipe", "--input", "json"), f'{{"to": "TO", "body": "{TEXT}"}}\n'),
    "to those of a file": Way(("send", "--to-file", "FILE", TEXT)),
    "with a trace": Way(("send", "TO", TEXT, "--trace", "TRACE")),
}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", WAYS)
async def test_text_and_names_that_are_not_ascii_need_no_locale(
    program: Program, alice: Account, tmp_path: Path, name: str, locale: str
) -> None:
    kept = {key: value for key, value in program.env.items() if not key.startswith(("LANG", "LC_", "PYTHON"))}
    program.env = kept | LOCALES[locale]
    file, trace = tmp_path / "Größe ☃.txt", tmp_path / "spür ☃"
    file.write_text(f"{alice.jid}\n")
    named = {"FILE": str(file), "TRACE": str(trace)}
    way = WAYS[name]
    words = [named.get(word, word.replace("TO", alice.jid)) for word in way.words]
    outcome = await program.run(*words, stdin=way.stdin.replace("TO", alice.jid).encode())
    assert outcome.code == 0, outcome.stderr
    assert name != "with a trace" or TEXT in trace.read_text(encoding="utf-8")
    heard = await program.run("listen", "-C", "1", "-W", "20", "-F", "%b ✓")
    assert (heard.code, heard.stdout) == (0, f"{TEXT} ✓\n"), heard.stderr


@pytest.mark.parametrize("locale", LOCALES)
async def test_an_error_names_what_is_not_ascii_as_it_is(program: Program, alice: Account, locale: str) -> None:
    program.env = {key: value for key, value in program.env.items() if not key.startswith(("LANG", "LC_", "PYTHON"))}
    program.env |= LOCALES[locale]
    missing = await program.run("run", "/nowhere/Größe ☃")
    assert (missing.code, missing.stderr) == (66, "xmppsh: /nowhere/Größe ☃: no such file or directory\n")
    nobody = f"jürgen@{alice.jid.partition('@')[2]}"
    unknown = await program.run("send", nobody, "x")
    assert unknown.code == 67, unknown.stderr
    assert unknown.stderr.startswith(f"xmppsh: {nobody}: ")
