"""Words, names, variables, input and output are UTF-8, whatever the locale and Python's variables say."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.program import Program

TEXT, NAME, JID = "Grüße ☃ 😀", "Größe ☃", "jürgen@example.net"
LATIN = "de_DE.ISO-8859-1"
SETTINGS = {
    "POSIX without UTF-8": {"LC_ALL": "POSIX", "PYTHONUTF8": "0"},
    "C as it was long ago": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "another encoding of streams": {"LC_ALL": "C", "PYTHONUTF8": "1", "PYTHONIOENCODING": "latin-1"},
    "ISO 8859-1": {"LC_ALL": LATIN, "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii:strict"},
}


@pytest.fixture(scope="session")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a locale of ISO 8859-1, where the sources of locales are installed."""
    folder = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef") is not None:
        make = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / LATIN)]
        subprocess.run(make, capture_output=True, check=False)
    return folder


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program of somebody whose address and profile are not ASCII, without a locale."""
    program = Program(tmp_path)
    kept = {key: value for key, value in program.env.items() if not key.startswith(("LANG", "LC_", "PYTHON"))}
    program.env = kept | {"XMPPSH_PROFILE": NAME}
    (tmp_path / "xmppsh").mkdir(mode=0o700)
    (tmp_path / "xmppsh" / "config.toml").write_text(f'[profile."{NAME}"]\njid = "{JID}"\n', encoding="utf-8")
    return program


@pytest.mark.parametrize("name", SETTINGS)
async def test_what_is_not_ascii_is_understood_wherever_it_is_given(
    program: Program, tmp_path: Path, locales: Path, name: str
) -> None:
    settings = SETTINGS[name]
    if LATIN in settings.values() and not os.listdir(locales):
        pytest.skip("there are no sources of locales")
    program.env |= {**settings, "LOCPATH": str(locales)}
    (tmp_path / NAME).write_text(f"{JID}\n", encoding="utf-8")
    said = await program.run("--dry-run", "send", "--to-file", str(tmp_path / NAME), TEXT)
    assert (said.code, said.stderr) == (0, "")
    assert f'to="{JID}"' in said.stdout
    assert f"<body>{TEXT}</body>" in said.stdout


async def test_what_it_starts_finds_the_environment_as_it_was(program: Program) -> None:
    program.env |= {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}
    command = f"sh -c 'echo $LC_ALL $PYTHONUTF8 {NAME} >&2; false'"
    ended = await program.run("--password-command", command, "login", JID)
    assert ended.code == 78
    assert ended.stderr.startswith(f'POSIX 0 {NAME}\nxmppsh: --password-command "{command}" ended with exit code 1')
