"""Every source of the password, their order, and what is refused."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from xmppsh.config.load import load
from xmppsh.config.secrets import find_password
from xmppsh.errors import ConfigError, NoInputError, SaslError, UsageError, XmppshError
from xmppsh.model import Jid

JULIET = Jid.parse("juliet@example.org/balcony")


class Place:
    """A home without any password, and ways to put some there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}

    def file(self, name: str, content: str | bytes, mode: int = 0o600) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def find(self, options: dict[str, Any] | None = None, *, jid: Jid = JULIET, **env: str) -> str:
        known = {**self.env, **env}
        return find_password(load(options or {}, known), jid, known, may_prompt=False).text


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


LINES = [
    ("pencil", "pencil"), ("pencil\n", "pencil"), ("pencil\r\n", "pencil"), ("pencil\nsecond\n", "pencil"),
    (" pen cil \n", " pen cil "), ("pe\u00e9\u2603\n", "pe\u00e9\u2603"), ("pen\rcil\n", "pen\rcil"),
    ("\ufeffpencil\r\n", "pencil"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "password"), LINES)
@pytest.mark.parametrize("source", ["file", "command", "fd"])
def test_the_first_line_of_a_source_is_the_password(place: Place, source: str, content: str, password: str) -> None:
    path = place.file("secret", content)
    if source == "file":
        assert place.find({"password_file": str(path)}) == password
    elif source == "command":
        assert place.find({"password_command": f"cat '{path}'"}) == password
    else:
        with path.open("rb") as file:
            assert place.find({"password_fd": file.fileno()}) == password


@pytest.mark.parametrize("content", ["", "\n", "\r\n", "\nsecond"])
@pytest.mark.parametrize("source", ["file", "command", "fd"])
def test_an_empty_password_is_refused(place: Place, source: str, content: str) -> None:
    path = place.file("secret", content)
    with path.open("rb") as file:
        options = {"file": str(path), "command": f"cat '{path}'", "fd": file.fileno()}
        with pytest.raises(ConfigError, match=r": the password is empty$"):
            place.find({f"password_{source}": options[source]})


def test_a_password_that_is_not_utf_8_is_refused(place: Place) -> None:
    path = place.file("secret", b"p\xff\n")
    with pytest.raises(ConfigError, match=r": the password is not UTF-8$"):
        place.find({"password_file": str(path)})


@pytest.mark.parametrize("content", ["/dev/zero", "p" * 20_000])
@pytest.mark.parametrize("source", ["file", "fd"])
def test_a_line_without_an_end_is_no_password(place: Place, source: str, content: str) -> None:
    path = Path(content) if content.startswith("/") else place.file("secret", content)
    with path.open("rb") as file, pytest.raises(ConfigError, match=": the first line is longer than 16384 bytes"):
        place.find({f"password_{source}": str(path) if source == "file" else file.fileno()})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_password_file_that_others_can_read_is_refused(place: Place, mode: int) -> None:
    path = place.file("secret", "pencil", mode)
    with pytest.raises(ConfigError) as caught:
        place.find({"password_file": str(path)})
    assert str(caught.value) == f"{path} holds a password and its mode is {mode:04o}: others can read it"
    assert (caught.value.hint, caught.value.exit_code) == (f"chmod 600 {path}, or --password-fd N", 78)


def test_a_password_file_may_be_a_pipe(place: Place) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"pencil\n")
    os.close(writer)
    assert place.find({"password_file": f"/dev/fd/{reader}"}) == "pencil"
    os.close(reader)


def test_a_password_file_that_is_not_there_is_an_input_that_cannot_be_read(place: Place) -> None:
    with pytest.raises(NoInputError) as caught:
        place.find({"password_file": "/nowhere/secret"})
    assert str(caught.value) == "/nowhere/secret: no such file or directory"
    assert caught.value.exit_code == 66


def test_the_tilde_of_a_password_file_is_the_home(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.file("secret", "pencil")
    monkeypatch.setenv("HOME", str(place.folder))
    assert place.find({"password_file": "~/secret"}) == "pencil"


@pytest.mark.parametrize(("command", "sentence"), [
    ("false", "--password-command 'false' ended with exit code 1"),
    ("/nowhere/program", "--password-command '/nowhere/program': no such file or directory"),
    ("echo 'open", "--password-command \"echo 'open\": no closing quotation"),
])  # fmt: skip
def test_a_command_that_fails_says_how(place: Place, command: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        place.find({"password_command": command})
    assert str(caught.value) == sentence


def test_a_command_is_run_without_a_shell(place: Place) -> None:
    assert place.find({"password_command": "echo 'a  b' '$HOME' '; false'"}) == "a  b $HOME ; false"


def test_an_empty_command_is_refused(place: Place) -> None:
    with pytest.raises(ConfigError):
        place.find({"password_command": " "})


def test_a_file_descriptor_that_is_closed_is_an_input_that_cannot_be_read(place: Place) -> None:
    with pytest.raises(NoInputError, match=r"^file descriptor 999: bad file descriptor$"):
        place.find({"password_fd": 999})


def test_a_file_descriptor_that_cannot_be_is_an_input_that_cannot_be_read(place: Place) -> None:
    with pytest.raises(XmppshError):
        place.find({"password_fd": 99999999999999})


def test_what_follows_the_password_in_a_descriptor_is_left_for_others(place: Place) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"pencil\nthe body")
    os.close(writer)
    try:
        assert place.find({"password_fd": reader}) == "pencil"
        assert os.read(reader, 100) == b"the body"
    finally:
        os.close(reader)


def test_two_sources_on_the_command_line_are_refused(place: Place) -> None:
    with pytest.raises(UsageError) as caught:
        place.find({"password_file": "a", "password_command": "b"})
    assert str(caught.value) == "more than one source of the password is given"
    assert caught.value.hint == "keep one of --password-file, --password-command"


FILE = {"XMPPSH_PASSWORD_FILE": "{file}"}
COMMAND = {"XMPPSH_PASSWORD_COMMAND": "echo from command"}


@pytest.mark.parametrize(("options", "env", "config", "password"), [
    ({"password_file": "{file}"}, {"XMPPSH_PASSWORD": "x"}, "password = 'y'", "from file"),
    ({"password_file": "{file}"}, COMMAND, "", "from file"),
    ({"password_command": "echo from command"}, FILE, "", "from command"),
    ({}, {"XMPPSH_PASSWORD": "from environment"}, "password = 'y'", "from environment"),
    ({}, {"XMPPSH_PASSWORD": "from environment"}, "password-command = 'echo y'", "from environment"),
    ({}, {}, "password = 'from config'", "from config"),
    ({}, {}, "password-command = 'echo from command'", "from command"),
    ({}, {}, "password = 'y'\n[profile.default]\npassword = 'from profile'", "from profile"),
    ({}, FILE, "password = 'y'", "from file"),
    ({}, COMMAND, "password-file = '/nowhere'", "from command"),
    ({}, {}, "password = 'y'\n[profile.default]\npassword-file = '{file}'", "from file"),
])  # fmt: skip
def test_the_source_of_the_first_layer_wins(
    place: Place, options: dict[str, str], env: dict[str, str], config: str, password: str
) -> None:
    file = place.file("secret", "from file\n")
    place.file("xmppsh/config.toml", config.replace("{file}", str(file)))

    def filled(table: dict[str, str]) -> dict[str, str]:
        return {key: value.replace("{file}", str(file)) for key, value in table.items()}

    assert place.find(filled(options), **filled(env)) == password


NETRC = "machine example.org login juliet password from-netrc\nmachine example.net login juliet password other\n"


@pytest.mark.parametrize(("text", "found"), [
    (NETRC, True),
    ("machine example.org login juliet@example.org password from-netrc", True),
    ("machine example.org password from-netrc", True),
    ("machine example.org login romeo password from-netrc", False),
    ("machine example.net login juliet password from-netrc", False),
    ("default login juliet password from-netrc", False),
    ("", False),
])  # fmt: skip
def test_netrc_is_asked_for_the_domain_and_the_name(place: Place, text: str, found: bool) -> None:
    place.file(".netrc", text)
    if found:
        assert place.find() == "from-netrc"
    else:
        with pytest.raises(SaslError):
            place.find()


def test_netrc_may_live_elsewhere(place: Place) -> None:
    assert place.find(NETRC=str(place.file("mine", NETRC))) == "from-netrc"


def test_a_netrc_that_others_can_read_is_refused_only_when_it_is_used(place: Place) -> None:
    path = place.file(".netrc", NETRC, 0o644)
    with pytest.raises(ConfigError, match=f"^{path} holds a password and its mode is 0644"):
        place.find()
    with pytest.raises(SaslError):
        place.find(jid=Jid.parse("romeo@elsewhere.example"))


@pytest.mark.parametrize(
    "text", ["\nmachine example.org pencil", "\nmachine a login b password c\nmy pencil", "\npencil"]
)
def test_a_netrc_that_is_malformed_is_refused_without_its_words(place: Place, text: str) -> None:
    path = place.file(".netrc", text)
    with pytest.raises(ConfigError, match=rf"^{path}:\d: not in the form of netrc$") as caught:
        place.find()
    assert "pencil" not in f"{caught.value.record()} {caught.value.__cause__}"


def test_the_byte_order_mark_of_a_netrc_is_named_since_nobody_sees_it(place: Place) -> None:
    path = place.file(".netrc", f"\ufeff{NETRC}")
    with pytest.raises(
        ConfigError, match=f"^{path}: not in the form of netrc: it begins with a byte order mark$"
    ) as it:
        place.find()
    assert it.value.hint == "save it as UTF-8 without one"


def test_a_netrc_that_is_no_text_is_one_line(place: Place) -> None:
    path = place.file(".netrc", "machine")
    path.write_bytes(b"machine \xff")
    with pytest.raises(ConfigError, match=f"^{path}: not in the form of netrc: it is not UTF-8$"):
        place.find()


def test_without_a_terminal_the_missing_options_are_named(place: Place) -> None:
    with pytest.raises(SaslError) as caught:
        place.find()
    assert str(caught.value) == "juliet@example.org: no password, and no terminal to ask for it"
    assert caught.value.hint == "--password-file FILE, --password-command CMD, --password-fd N or XMPPSH_PASSWORD"


def test_the_password_is_never_part_of_an_error(place: Place) -> None:
    path = place.file("secret", "pencil", 0o644)
    with pytest.raises(XmppshError) as caught:
        place.find({"password_file": str(path)})
    assert "pencil" not in str(caught.value.record())
    assert sys.exc_info() == (None, None, None)
