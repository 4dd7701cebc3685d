"""What a bad command line is answered with: exit code 64, one line, and what to try."""

import json
import subprocess
from pathlib import Path

import pytest
from support.program import COMMAND, Program, finish

BAD = {
    "unknown command": (["bogus"], "'bogus' is not a command", "xmppsh --help"),
    "mistyped command": (["lsiten"], "'lsiten' is not a command", "xmppsh listen"),
    "mistyped subcommand": (["outbox", "lst"], "'outbox lst' is not a command", "xmppsh outbox list"),
    "mistyped option": (["pipe", "--windw", "1"], "No such option '--windw'", "--window"),
    "mistyped word": (["--format", "jsno", "ping"], "--format: 'jsno' is not one of text, json, xml", "json"),
    "mistyped record": (["schema", "mesage"], "'mesage' is not a record", "message"),
    "mistyped setting": (["config", "set", "formt", "xml"], "'formt' is not a setting", "format"),
    "unknown topic": (["help", "exitcodes"], "'exitcodes' is not a command", "xmppsh help exit-codes"),
    "unknown option": (["send", "--bogus", "a@b"], "No such option '--bogus'", "xmppsh send --help"),
    "a text like an option": (
        ["send", "a@b", "-5 °C"],
        "No such option '-5'",
        "xmppsh send --help, or -- before words",
    ),
    "more than a year": (["ping", "--connect-timeout", "1e9"], "--connect-timeout: 1e9 seconds is more than 3", ""),
    "no recipient": (["send"], "Missing argument 'TO'", "xmppsh send --help"),
    "no stanza": (["raw"], "Missing argument 'STANZA…'", "xmppsh raw --help"),
    "malformed JID": (
        ["ping", "a b@c"],
        "'a b@c' is not an XMPP address: its localpart holds the character U+0020",
        "localpart@domain/resource",
    ),
    "no account": (["ping"], "no account is given", "--jid user@domain"),
    "an account without a name": (["-j", "example.org", "ping"], "example.org is a domain, not an account", "user@e"),
    "count below one": (["ping", "-c", "0"], "Invalid value for '-c' / '--count': 0 is not in the range", "xmppsh"),
    "unknown kind of IQ": (["iq", "put", "a@b", "<x/>"], "Invalid value for 'get|set': 'put' is not", "xmppsh iq"),
    "bad timeout": (["ping", "--timeout", "soon"], "--timeout: 'soon' is not a number of seconds", ""),
    "bad host": (["--host", "h:0", "ping"], "--host: '0' is not a port (1 to 65535)", ""),
    "no template": (["-n", "-F", "%b", "ping"], "-F: %b is 'body', which ping does not print", "-F %j"),
    "no body": (
        ["-n", "send", "a@b", "x", "-F", "%i %b"],
        "-F: %b is 'body', which send does not print without --wait reply",
        "--wait reply",
    ),
    "no XML of what is sent": (
        ["-n", "send", "a@b", "x", "--format", "xml"],
        "send does not print XML without --wait reply",
        "--wait reply",
    ),
    "no replies": (
        ["-n", "pipe", "-F", "%i"],
        "-F: %i is 'id', which pipe does not print without --replies",
        "--replies",
    ),
    "no XML": (["-n", "--format", "xml", "ping"], "ping does not print XML", "--format text or json"),
    "bad template": (["-n", "-F", "%q", "ping"], "-F: %q is not a verb", "one of %f"),
    "no such subcommand": (["help", "disco", "foo"], "'disco foo' is not a command", "xmppsh disco --help"),
    "no language": (["-n", "send", "a@b", "x", "--lang", "x y"], "--lang: 'x y' is not a language tag", "--lang en"),
    "an id that is empty": (["-n", "send", "a@b", "x", "--replace", ""], "--replace is empty", ""),
    "a file without a name": (["-n", "upload", ""], "the name of the file is empty", "is a variable"),
    "a file of a setting without a name": (
        ["--ca", "", "ping"],
        "--ca: the name of the file is empty",
        "is a variable",
    ),
    "a file of a plain command without a name": (["-n", "pipe", ""], "the name of the file is empty", "is a variable"),
    "a node without a name": (["-n", "pubsub", "create", "p.b", ""], "the name of the node is empty", "is a variable"),
    "lines and a file": (["-n", "send", "a@b", "--lines", "--attach", "f"], "--lines takes the text from stdin", ""),
    "taken back and corrected": (["-n", "send", "a@b", "--retract", "m1", "--replace", "m2"], "--retract takes", ""),
    "a file for later": (["-n", "send", "a@b", "x", "--queue", "--attach", "f"], "--queue is for texts", ""),
    "no type": (["-n", "listen", "--type", "cat"], "--type: 'cat' is not a type of stanzas", "one of chat, normal"),
    "a room's answer": (["-n", "send", "r@b", "x", "--room", "--wait", "reply"], "--room is for --type groupchat", ""),
    "no room": (["-n", "send", "rooms.b", "x", "--room"], "rooms.b is not the address of a room", "ROOM@SERVICE"),
    "lines and text": (["-n", "send", "--lines", "a@b", "x"], "--lines takes the text from stdin", ""),
}


@pytest.mark.parametrize(("arguments", "sentence", "hint"), BAD.values(), ids=BAD)
async def test_a_bad_command_line_is_one_line_and_what_to_try(
    program: Program, arguments: list[str], sentence: str, hint: str
) -> None:
    outcome = await program.run(*arguments)
    assert (outcome.code, outcome.stdout) == (64, "")
    first, *rest = outcome.stderr.splitlines()
    assert first.startswith(f"xmppsh: {sentence}")
    assert "\\x" not in first
    if hint:
        assert len(rest) == 1
        assert rest[0].startswith(f"  try: {hint}")


async def test_without_arguments_the_help_is_shown(program: Program) -> None:
    outcome = await program.run()
    assert "Traceback" not in outcome.stderr
    assert outcome.code == 64
    assert "Usage: xmppsh" in outcome.stderr


async def test_a_missing_choice_is_one_readable_line(program: Program) -> None:
    outcome = await program.run("iq")
    assert outcome.code == 64
    assert "\\x" not in outcome.stderr


async def test_a_bad_argument_is_told_before_a_password_is_wanted(program: Program) -> None:
    outcome = await program.run("-j", "a@b", "listen", "--only", "foo")
    assert (outcome.code, outcome.stderr.splitlines()[0]) == (
        64,
        "xmppsh: --only: 'foo' is not one of message, presence, iq",
    )


async def test_a_password_descriptor_that_cannot_be_is_no_bug(program: Program) -> None:
    for number, code in (("99999999999999", 64), ("999999999", 66)):
        assert (await program.run("-j", "a@b", "--password-fd", number, "ping")).code == code


DATA = {
    "a control character": (["-n", "send", "a@b", "a\x1bb"], b"", "the text holds U+001B at character 2"),
    "not a stanza": (["-n", "raw", "<foo/>"], b"", "line 1, column 1: <foo> is not a stanza"),
    "not well-formed": (["-n", "iq", "get", "a@b", "<a>"], b"", "line 1, column 4: the input ends inside an element"),
    "two payloads": (["-n", "iq", "get", "a@b", "<a/><b/>"], b"", "line 1, column 1: one element is wanted here"),
    "an empty stdin": (["-n", "send", "a@b"], b"", "there is nothing to send: stdin holds no text"),
    "an empty line for a body": (["-n", "send", "a@b", "-"], b"\r\n", "there is nothing to send: stdin holds no text"),
    "a body that is not UTF-8": (["-n", "send", "a@b"], b"abc\xff", "stdin is not UTF-8 (byte 4)"),
    "a body in UTF-16": (["-n", "send", "a@b"], "hi\n".encode("utf-16"), "stdin is UTF-16, not UTF-8"),
    "contacts in UTF-16": (["-n", "roster", "import"], "{}".encode("utf-16"), "the input is UTF-16, not UTF-8"),
    "contacts without an end": (
        ["-n", "roster", "import", "/dev/zero"],
        b"",
        "/dev/zero is longer than 67108864 bytes",
    ),
    "recipients without an end": (
        ["-n", "send", "--to-file", "/dev/zero", "x"],
        b"",
        "/dev/zero is longer than 67108864 bytes",
    ),
    "recipients in Latin-1": (["-n", "send", "--to-file", "-", "x"], b"\xe4@b\n", "the input is not UTF-8 (byte 1)"),
    "an input in UTF-16": (["-n", "pipe", "--to", "a@b"], "hi\n".encode("utf-16"), "the input is UTF-16, not UTF-8"),
    "two stanzas in one": (["-n", "pipe"], b'{"xml": "<a/><b/>"}\n', "line 1, column 1: one element is wanted here"),
    "stanzas that are not UTF-8": (["-n", "raw", "-"], b"<message>\xff</message>", "line 1, column 10: "),
}


@pytest.mark.parametrize(("arguments", "stdin", "sentence"), DATA.values(), ids=DATA)
async def test_bad_input_is_65_with_its_place(
    program: Program, arguments: list[str], stdin: bytes, sentence: str
) -> None:
    program.env["XMPPSH_JID"] = "juliet@example.org"
    outcome = await program.run(*arguments, stdin=stdin)
    assert (outcome.code, outcome.stdout) == (65, "")
    assert outcome.stderr.startswith(f"xmppsh: {sentence}")


@pytest.mark.parametrize("arguments", [["-n", "pipe", "/nowhere"], ["-n", "send", "a@b", "x", "--to-file", "/nowhere"]])
async def test_a_file_that_is_not_there_is_66(program: Program, arguments: list[str]) -> None:
    program.env["XMPPSH_JID"] = "juliet@example.org"
    outcome = await program.run(*arguments)
    assert outcome.code == 66
    assert outcome.stderr.lower().startswith("xmppsh: /nowhere: no such file or directory")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(["pipe"], "give it something: <FILE, or </dev/null"), (["send", "a@b"], "give TEXT, or <FILE")],
)
async def test_a_stdin_that_is_closed_is_66_and_no_empty_input(
    program: Program, arguments: list[str], hint: str
) -> None:
    program.env["XMPPSH_JID"] = "juliet@example.org"
    outcome = await finish(await program.start_as(("sh", "-c", 'exec "$@" <&-', "sh", *COMMAND), "-n", *arguments))
    assert (outcome.code, outcome.stdout) == (66, "")
    assert outcome.stderr.startswith(f"xmppsh: stdin is closed or not open for reading\n  try: {hint}\n")


async def test_a_folder_that_the_user_names_is_not_made(program: Program, tmp_path: Path) -> None:
    program.env |= {"XMPPSH_JID": "juliet@example.org", "XMPPSH_PASSWORD": "secret", "XMPPSH_HOST": "127.0.0.1:1"}
    outcome = await program.run("pipe", "--checkpoint", str(tmp_path / "mistyped" / "done.db"))
    assert outcome.code == 74
    assert f"the folder {tmp_path / 'mistyped'} does not exist" in outcome.stderr


KEYS = ["code", "name", "layer", "condition", "text", "hint"]


@pytest.mark.parametrize(("arguments", "code", "name", "layer"), [
    (["--format", "json", "ping", "@"], 64, "USAGE", "usage"),
    (["ping", "@", "--format=json"], 64, "USAGE", "usage"),
    (["--format", "json", "bogus"], 64, "USAGE", "usage"),
    (["--format", "json", "-n", "raw", "<a\u202e/>"], 65, "DATA", "stanza"),
    (["--format", "json", "-n", "pipe", "/nowhere"], 66, "NOINPUT", "io"),
    (["--format", "json", "-j", "a@b", "ping"], 77, "NOPERM", "sasl"),
    (["--format", "json", "-P", "none", "ping"], 78, "CONFIG", "config"),
])  # fmt: skip
async def test_an_error_in_json_is_one_object(
    program: Program, arguments: list[str], code: int, name: str, layer: str
) -> None:
    outcome = await program.run(*arguments)
    (line,) = outcome.stderr.splitlines()
    error = json.loads(line)["error"]
    assert list(json.loads(line)) == ["error"]
    assert list(error) == KEYS
    assert (outcome.code, error["code"], error["name"], error["layer"]) == (code, code, name, layer)
    assert error["text"]
    assert "\u202e" not in line


async def test_the_environment_can_want_json(program: Program) -> None:
    program.env["XMPPSH_FORMAT"] = "json"
    assert (await program.run("ping", "@")).error["code"] == 64
    assert (await program.run("-j", "a@b", "ping")).error["code"] == 77


@pytest.mark.parametrize("arguments", [
    ["-j", "a@b", "--tls", "direct", "-n", "ping", "c@d"],
    ["ping", "-j", "a@b", "--tls", "direct", "-n", "c@d"],
    ["ping", "c@d", "-n", "--tls=direct"],
    ["-n", "ping", "c@d", "--jid=a@b"],
])  # fmt: skip
async def test_global_options_stand_before_or_after_the_command(program: Program, arguments: list[str]) -> None:
    outcome = await program.run(*arguments)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert 'to="c@d"' in outcome.stdout


async def test_an_option_wins_over_the_environment_and_that_over_the_file(program: Program, tmp_path: Path) -> None:
    (tmp_path / "xmppsh").mkdir()
    (tmp_path / "xmppsh" / "config.toml").write_text("jid = 'file@x'\n")
    assert "file@x: no password" in (await program.run("ping")).stderr
    program.env["XMPPSH_JID"] = "environment@x"
    assert "environment@x: no password" in (await program.run("ping")).stderr
    assert "option@x: no password" in (await program.run("ping", "-j", "option@x")).stderr


async def test_a_fault_of_the_config_is_78(program: Program, tmp_path: Path) -> None:
    (tmp_path / "xmppsh").mkdir()
    config = tmp_path / "xmppsh" / "config.toml"
    config.write_text("jib = 1\n")
    outcome = await program.run("-n", "ping")
    assert (outcome.code, outcome.stderr) == (78, f"xmppsh: {config}:1: jib is not a setting\n  try: jid = …\n")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["send", "--help"], ["--version"], ["ping", "-V"]])
async def test_help_and_version_go_to_stdout(program: Program, arguments: list[str]) -> None:
    outcome = await program.run(*arguments)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith("xmppsh 0" if arguments[-1] in ("--version", "-V") else "Usage: xmppsh")


async def test_a_version_that_cannot_be_printed_says_so(program: Program) -> None:
    process = await program.start_as(("sh", "-c", 'exec "$@" >&-', "sh", *COMMAND), "--version")
    outcome = await finish(process)
    assert (outcome.code, outcome.stderr) == (74, "xmppsh: stdout: bad file descriptor\n")


async def test_an_error_that_holds_foreign_text_is_safe_to_print(program: Program) -> None:
    outcome = await program.run("ping", "a\x1b[31m@b\u202e\n")
    assert outcome.code == 64
    assert "\x1b" not in outcome.stderr
    assert "\u202e" not in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 2


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_what_is_printed_before_anything_is_loaded_is_74_where_it_cannot_be(word: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, word], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (74, b"xmppsh: stdout: no space left on device\n")
