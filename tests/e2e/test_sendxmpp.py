"""Called by the name `sendxmpp`: the examples of that program's manual (version 1.24), on a playground."""

import os
import sys
from pathlib import Path

import pytest
from playground.clients import visitor

from xmppsh.cli.sendxmpp import translated
from xmppsh.errors import ConfigError, UsageError

BOB, LOBBY = "bob@playground.localhost", "lobby@rooms.playground.localhost"
# The account stands in a file alone, as it does for sendxmpp; the file's server is an address.
PRELUDE = """
set -e -o pipefail
ln -s "$(command -v xmppsh)" sendxmpp; PATH=$PWD:$PATH
printf 'username: alice\\njserver: %s\\nport: %s\\npassword: %s\\ncomponent: playground.localhost\\n' \\
    "${XMPPSH_HOST%:*}" "${XMPPSH_HOST#*:}" "$XMPPSH_PASSWORD" > .sendxmpprc
chmod 600 .sendxmpprc
unset XMPPSH_HOST
"""
EXAMPLES = f"""
echo "hello bob!" | sendxmpp -s hello {BOB}
printf 'one\\ntwo\\n' | sendxmpp -i {BOB}
echo "<message to='{BOB}'><body>raw</body></message>" | sendxmpp --raw
echo "in a file" > text; sendxmpp -t --message text {BOB} < /dev/null
echo "Dinner Time" | sendxmpp -r TheCook --chatroom {LOBBY}
"""
SHOW = f"""
export XMPPSH_PASSWORD=$(sed -n 's/^password: //p' .sendxmpprc)
place=$(sed -n 's/^jserver: //p' .sendxmpprc):$(sed -n 's/^port: //p' .sendxmpprc)
xmppsh -j {BOB} --host $place listen --drain -F '%s|%b'
"""


async def test_the_examples_of_its_manual_work_with_its_file(tmp_path: Path) -> None:
    script = f"cd {tmp_path}; {PRELUDE}{EXAMPLES}{SHOW}echo x | sendxmpp nobody@playground.localhost"
    outcome = await visitor(tmp_path).run("playground", "--", "bash", "-c", script, deadline_s=60)
    assert outcome.stdout.splitlines() == ["hello|hello bob!", "|one", "|two", "|raw", "|in a file"], outcome.stderr
    assert outcome.code == 67
    assert "nobody@playground.localhost: service-unavailable" in outcome.stderr


async def test_its_help_is_about_its_own_options(tmp_path: Path) -> None:
    program = visitor(tmp_path)
    (tmp_path / "sendxmpp").symlink_to(Path(sys.executable).parent / "xmppsh")
    program.command = (str(tmp_path / "sendxmpp"),)
    shown = await program.run("--help")
    assert (shown.code, shown.stderr) == (0, "")
    assert shown.stdout.startswith("usage: sendxmpp [OPTIONS] RECIPIENT... < MESSAGE\n")
    assert "  -c, --chatroom " in shown.stdout
    assert "--room" not in shown.stdout
    assert [await program.run(word) for word in ("-h", "--usage")] == [shown, shown]
    assert (await program.run()).stderr.endswith("  try: sendxmpp --help\n")


FILES = {
    "user@example.org secret": ("user@example.org", None),
    "# mine\n\nuser@example.org;foo.example secret": ("user@example.org", "foo.example"),
    "user@example.org:1234 secret": ("user@example.org", "example.org:1234"),
    "user@example.org;foo.example:1234 secret": ("user@example.org", "foo.example:1234"),
    "username: user\njserver: talk.example.org\npassword: secret\ncomponent: example.org": (
        "user@example.org",
        "talk.example.org",
    ),
    "username: user\njserver: example.org\npassword: secret": ("user@example.org", None),
}


@pytest.mark.parametrize(("text", "expected"), FILES.items(), ids=range(len(FILES)))
def test_both_formats_of_its_file_are_read(text: str, expected: tuple[str, str | None], tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_text(text + "\n")
    file.chmod(0o600)
    words, variables = translated(["-f", str(file), "a@b", "c@d", "-l"], {"HOME": str(tmp_path)})
    jid, place = expected
    assert variables == {"XMPPSH_JID": jid, "XMPPSH_PASSWORD": "secret"}
    assert words[words.index("send") :] == ["send", "--to", "a@b", "--to", "c@d", "--type", "headline"]
    assert words[: words.index("send")] == ([] if place is None else ["--host", place])


def test_options_win_over_its_file_and_ask_for_trust(tmp_path: Path) -> None:
    options = ["-u", "me", "-j", "example.net:5223", "-p", "x", "-e", "-n", "-a", "ca.pem", "-r", "cron", "-v", "a@b"]
    words, variables = translated(options, {"HOME": str(tmp_path)})
    assert variables == {"XMPPSH_JID": "me@example.net/cron", "XMPPSH_PASSWORD": "x"}
    trust = ["--host", "example.net:5223", "--tls", "direct", "--insecure", "--ca", "ca.pem", "-v"]
    assert words[: words.index("send")] == trust


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".sendxmpprc").write_text("user@example.org secret\n")
    os.chmod(tmp_path / ".sendxmpprc", 0o644)
    with pytest.raises(ConfigError, match="others can read it"):
        translated(["a@b"], {"HOME": str(tmp_path)})


def test_a_comment_after_the_password_is_a_fault_of_the_file_as_it_is_for_sendxmpp(tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_text("user@example.org secret # at home\n")
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="line 1 goes on after the component"):
        translated(["-f", str(file), "a@b"], {"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("options", "kind"), [([], "chat"), (["--message-type", "normal"], "normal"), (["-l"], "headline")]
)
def test_a_message_has_the_type_that_the_program_gives_it(options: list[str], kind: str, tmp_path: Path) -> None:
    words, _ = translated([*options, "-u", "me", "-j", "example.org", "a@b"], {"HOME": str(tmp_path)})
    assert words[-2:] == ["--type", kind]


@pytest.mark.parametrize(
    "words", [["--sso", "a@b"], [], ["--bogus", "a@b"], ["-c", "-s", "x", "a@b"], ["-w", "a@b"], ["a@b"]]
)
def test_what_it_cannot_do_is_a_bad_command_line(words: list[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        translated(words, {"HOME": str(tmp_path)})
