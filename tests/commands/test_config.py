"""`config show`, `set` and `path`: what is in force, who says so, and a line of the file."""

import asyncio
import stat
from pathlib import Path

import pytest
from support.program import Program

FILE = 'timeout = 4\npassword-command = "pass x"\n\n[profile.work]\njid = "a@b.example"\nhost = ["c:1", "[::1]"]\n'


@pytest.fixture
def config(program: Program, tmp_path: Path) -> Path:
    path = tmp_path / "xmppsh" / "config.toml"
    path.parent.mkdir(mode=0o700)
    path.write_text(FILE)
    path.chmod(0o600)
    program.env |= {"XMPPSH_RESUME_MAX": "60", "XMPPSH_PASSWORD": "pencil"}
    return path


async def test_show_tells_what_is_in_force_and_who_says_so(program: Program, config: Path) -> None:
    outcome = await program.run("-P", "work", "config", "show", "--origin", "--tls", "direct")
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.splitlines() == [
        f"jid = a@b.example  ({config}:5)",
        "profile = work  (--profile)",
        "password = ***  (XMPPSH_PASSWORD)",
        f"host = c:1 [::1]  ({config}:6)",
        "tls = direct  (--tls)",
        f"timeout = 4  ({config}:1)",
        "resume-max = 60  (XMPPSH_RESUME_MAX)",
    ]
    assert "timeout = 4" in (await program.run("config", "show")).stdout.splitlines()


async def test_show_gives_every_setting_as_json(program: Program, config: Path) -> None:
    records = (await program.run("config", "show", "--all", "--format", "json")).records
    found = {record["key"]: (record["value"], record["origin"], record["where"]) for record in records}
    assert found["connect-timeout"] == ("10", "default", None)
    assert found["insecure"] == ("false", "default", None)
    assert found["timeout"] == ("4", "config file", f"{config}:1")
    assert found["format"] == ("json", "option", "--format")


SETS = {
    "a value": (["timeout", "5m"], 'timeout = "5m"\n', FILE.replace("timeout = 4\n", "")),
    "in a profile": (["-P", "work", "tls", "direct"], 'tls = "direct"\n', FILE),
    "several": (
        ["-P", "work", "host", "a", "b:1"],
        'host = ["a", "b:1"]\n',
        FILE.replace('host = ["c:1", "[::1]"]\n', ""),
    ),
    "a flag": (["no-guard", "true"], "no-guard = true\n", FILE),
    "away": (["timeout", "--unset"], "", FILE.replace("timeout = 4\n", "")),
}


@pytest.mark.parametrize(("arguments", "line", "others"), SETS.values(), ids=SETS)
async def test_set_changes_a_line(program: Program, config: Path, arguments: list[str], line: str, others: str) -> None:
    outcome = await program.run("config", "set", *arguments)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")
    assert line in config.read_text()
    assert config.read_text().replace(line, "", 1 if line else 0) == others
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


REFUSED = {
    "a dry run": (["-n", "timeout", "5"], 64, "config set changes a file; --dry-run is for what is sent"),
    "a password": (["password", "x"], 64, "a password is never given on the command line"),
    "a proxy's password": (
        ["proxy", "socks5h://me:pencil@localhost:1080"],
        64,
        "a proxy's password is never set on the command line",
    ),
    "an unknown key": (["jib", "x"], 64, "'jib' is not a setting"),
    "a wrong type": (["timeout", "soon"], 64, "'soon' is not a number of seconds"),
    "two values": (["timeout", "1", "2"], 64, "timeout takes one value"),
    "no value": (["timeout"], 64, "timeout takes one value"),
    "no flag": (["insecure", "perhaps"], 64, "insecure is true or false"),
}


@pytest.mark.parametrize(("arguments", "code", "sentence"), REFUSED.values(), ids=REFUSED)
async def test_set_refuses_and_leaves_the_file_as_it_is(
    program: Program, config: Path, arguments: list[str], code: int, sentence: str
) -> None:
    outcome = await program.run("config", "set", *arguments)
    assert (outcome.code, outcome.stdout) == (code, "")
    assert outcome.stderr.startswith(f"xmppsh: {sentence}")
    assert config.read_text() == FILE


async def test_a_file_is_stored_as_it_is_named_from_here(
    program: Program, config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert (await program.run("config", "set", "ca", "../ca.pem")).code == 0
    assert f'ca = "{tmp_path}/here/../ca.pem"' in config.read_text()
    assert (await program.run("config", "set", "ca", "~/ca.pem")).code == 0
    assert 'ca = "~/ca.pem"' in config.read_text()


async def test_path_names_the_file_and_set_makes_it(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "xmppsh" / "config.toml"
    assert (await program.run("config", "path")).stdout == f"{path}\n"
    assert (await program.run("config", "set", "timeout", "5")).code == 0
    assert path.read_text() == 'timeout = "5"\n'
    assert (stat.S_IMODE(path.parent.stat().st_mode), stat.S_IMODE(path.stat().st_mode)) == (0o700, 0o600)


async def test_a_config_that_is_linked_to_dev_null_is_empty_and_stays_a_link(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "xmppsh" / "config.toml"
    path.parent.mkdir(mode=0o700)
    path.symlink_to("/dev/null")
    assert (await program.run("config", "show")).code == 0
    outcome = await program.run("config", "set", "timeout", "5")
    assert (outcome.code, outcome.stderr) == (74, f"xmppsh: {path}: not a regular file\n")
    assert stat.S_ISCHR(path.stat().st_mode)


async def test_what_many_set_at_the_same_time_is_all_kept(program: Program, config: Path) -> None:
    values = {"timeout": "5", "connect-timeout": "6", "resume-max": "77", "tls": "starttls", "mechanism": "PLAIN"}
    outcomes = await asyncio.gather(*(program.run("config", "set", *item) for item in values.items()))
    assert [outcome.code for outcome in outcomes] == [0] * len(values)
    assert all(f'{key} = "{value}"' in config.read_text() for key, value in values.items())


@pytest.mark.parametrize("arguments", [("config", "path"), ("help",), ("schema",), ("completion", "bash")])
async def test_what_one_needs_to_mend_a_config_serves_while_it_is_broken(
    program: Program, config: Path, arguments: tuple[str, ...]
) -> None:
    config.write_text("jid = \n")
    outcome = await program.run(*arguments)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert (await program.run("config", "show")).code == 78
