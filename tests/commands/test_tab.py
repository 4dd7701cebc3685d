"""The table of the Tab key (cli/tab.py) answers as click does, and without it."""

import os
from pathlib import Path

import pytest
from click.shell_completion import FishComplete
from support.program import Program

from xmppsh.cli.main import build_group
from xmppsh.cli.tab import answer
from xmppsh.config import glance
from xmppsh.registry import COMMANDS, GROUPS
from xmppsh.registry.known import write_contacts

EVERY = [" ".join([*path, last]) for path in [(), *GROUPS, *COMMANDS] for last in ("", "-", "--p", "j")]
SOME = [
    *("p", "ping --count 3 --c", "ping -c 3 -", "ping --format js", "ping --format=js", "send jul", "send -j a@b jul"),
    *("tybalt@example.net pi", "tybalt@example.net send jul", "pipe so", "-v ping --fo", "ping -vv ju", "ping "),
    *("room affiliation a@b c@d ow", "nope x", "-j tybalt@example.net ping ", "-j ty", "--jid=ro", "send -j "),
    *("listen --only m", "listen --only message,", "listen --only message,p", "send --wait ", "send --wait=rep"),
    *("send --batch 5", "send --batch x", "history list --since 2", "schema mes", "config set to", "config set jid x"),
    *("help ", "help ro", "help room ", "help room con", "help exit-codes ", "help nope x", "ping --interval=3"),
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    contacts = [("juliet@example.org", "Juliet"), ("nurse@example.org", ""), ("$(reboot)@example.org", "")]
    write_contacts(tmp_path / "xmppsh", "romeo@example.net", contacts)
    write_contacts(tmp_path / "xmppsh", "tybalt@example.net", [("mercutio@example.org", "")])
    for name, value in Program(tmp_path).env.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def at_once(line: str) -> list[str] | None:
    words = f"xmppsh {line}"
    told = answer({**os.environ, "COMP_WORDS": words, "COMP_CWORD": words.split(" ")[-1]})
    return None if told is None else told.splitlines()


def of_click(line: str) -> list[str]:
    *before, last = line.split(" ")
    if last.startswith("--") and "=" in last:
        name, _, last = last.partition("=")
        before.append(name)
    click = FishComplete(build_group(), {}, "xmppsh", "_XMPPSH_COMPLETE")
    return [click.format_completion(one) for one in click.get_completions(before, last)]


@pytest.mark.parametrize("account", ["romeo@example.net", "nobody@example.net", ""])
def test_the_table_says_what_click_says(home: Path, monkeypatch: pytest.MonkeyPatch, account: str) -> None:
    monkeypatch.setenv("XMPPSH_JID", account)
    asked_of_click = 0
    for line in EVERY + SOME:
        told = at_once(line)
        assert told is None or told == of_click(line), line
        asked_of_click += told is None
    assert asked_of_click <= 5


@pytest.mark.parametrize("line", ["ping -vv ju", "nope x", "ping 'ju", "ping -- ju"])
def test_what_the_table_cannot_read_is_asked_of_click(home: Path, line: str) -> None:
    assert at_once(line) is None


def test_an_account_in_another_spelling_is_asked_of_click(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XMPPSH_JID", "Romeo@Example.net")
    assert at_once("send jul") is None
    assert of_click("send jul") == ["plain,juliet@example.org\tJuliet"]


PLAIN = """# who I am
jid = "romeo@example.net"
tls = "starttls"

[profile.work]
jid = "tybalt@example.net/bot"
connect-timeout = 20
insecure = true
"""
CONFIGS = {
    "plain": PLAIN,
    "a default profile": '[profile.default]\njid = "tybalt@example.net"\n',
    "no account": "verbose = 1\n",
    "a profile without one": 'jid = "romeo@example.net"\n[profile.work]\ntls = "auto"\n',
    "empty": "",
}
UNCLEAR = {
    "a list": 'host = ["a", "b"]\njid = "romeo@example.net"\n',
    "a comment behind": 'jid = "romeo@example.net" # me\n',
    "an escape": 'jid = "romeo\\u0040example.net"\n',
    "literal": "jid = 'romeo@example.net'\n",
    "dotted": 'profile.work.jid = "tybalt@example.net"\n',
    "inline": 'profile = { work = { jid = "tybalt@example.net" } }\n',
    "several lines": 'template = """\njid = "tybalt@example.net"\n"""\njid = "romeo@example.net"\n',
    "twice": 'jid = "romeo@example.net"\njid = "tybalt@example.net"\n',
    "a profile twice": '[profile.work]\n[profile.work]\njid = "tybalt@example.net"\n',
    "quoted": '[profile."work"]\njid = "tybalt@example.net"\n',
    "spaces": '[ profile . work ]\njid = "tybalt@example.net"\n',
    "no setting": 'jdi = "romeo@example.net"\n',
    "nothing": "jid = \n",
    "another table": '[other]\njid = "romeo@example.net"\n',
    "a password": 'jid = "romeo@example.net"\npassword = "x"\n',
    "a proxy with a password": 'jid = "romeo@example.net"\nproxy = "http://a:b@c"\n',
}
PROFILES = (
    "ping -P work ",
    "ping --profile=work ",
    "-P work send jul",
    "ping ",
    "send -j tybalt@example.net me",
    "-j ",
)


def with_config(home: Path, text: str) -> None:
    path = Path(os.environ["XDG_CONFIG_HOME"]) / "xmppsh/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)


@pytest.mark.parametrize("text", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("profile", ["", "work"])
def test_the_account_of_a_plain_config_file_is_read_without_click(
    home: Path, monkeypatch: pytest.MonkeyPatch, text: str, profile: str
) -> None:
    monkeypatch.setenv("XMPPSH_JID", "")
    monkeypatch.setenv("XMPPSH_PROFILE", profile)
    with_config(home, text)
    told = {line: at_once(line) for line in PROFILES}
    assert {line: of_click(line) for line, rows in told.items() if rows is not None} == {
        line: rows for line, rows in told.items() if rows is not None
    }
    if "[profile.work]" in text or not profile:
        assert told["ping "] is not None


@pytest.mark.parametrize("text", UNCLEAR.values(), ids=UNCLEAR)
def test_any_other_config_file_is_read_in_full(home: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("XMPPSH_JID", "")
    with_config(home, text)
    assert at_once("ping ") is None
    assert at_once("ping -P work ") is None
    with pytest.raises(glance.Unclear):
        glance.account(str(Path(os.environ["XDG_CONFIG_HOME"]) / "xmppsh/config.toml"), "", {"jid", "host", "template"})


def test_a_config_file_that_others_may_write_is_not_believed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XMPPSH_JID", "")
    with_config(home, PLAIN)
    (Path(os.environ["XDG_CONFIG_HOME"]) / "xmppsh/config.toml").chmod(0o666)
    assert at_once("ping ") is None
