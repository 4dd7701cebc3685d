"""Where files live for a user, for a systemd service, and for who has no home, no name and no right."""

import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from xmppsh.config.load import load
from xmppsh.config.paths import (
    config_file,
    expanded,
    file_name,
    home,
    refuse_readable_by_others,
    state_folder,
    writable_state,
)
from xmppsh.config.secrets import find_password
from xmppsh.errors import ConfigError, IoError, NoInputError, SaslError
from xmppsh.model import Jid

NOBODY = 65534
NO_ENTRY = 4_242_421  # no passwd entry
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")


STATE = [
    ({"STATE_DIRECTORY": "/var/lib/bot", "XDG_STATE_HOME": "/x", "HOME": "/h"}, "/var/lib/bot"),
    ({"STATE_DIRECTORY": "/var/lib/bot:/var/lib/second", "HOME": "/h"}, "/var/lib/bot"),
    ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/xmppsh"),
    ({"HOME": "/h"}, "/h/.local/state/xmppsh"),
    ({"STATE_DIRECTORY": "", "XDG_STATE_HOME": "", "HOME": "/h"}, "/h/.local/state/xmppsh"),
    ({"STATE_DIRECTORY": "state", "HOME": "/h"}, "/h/.local/state/xmppsh"),
    ({"XDG_STATE_HOME": "./state", "HOME": "/h"}, "/h/.local/state/xmppsh"),
    ({"HOME": "/"}, None),
]


@pytest.mark.parametrize(("env", "folder"), STATE)
def test_the_state_is_where_systemd_then_xdg_then_the_home_say(env: dict[str, str], folder: str | None) -> None:
    assert state_folder(env) == (None if folder is None else Path(folder))


CONFIGS = [
    ({"CONFIGURATION_DIRECTORY": "/etc/bot", "XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/etc/bot/config.toml"),
    ({"CONFIGURATION_DIRECTORY": "etc", "XDG_CONFIG_HOME": "/x"}, "/x/xmppsh/config.toml"),
    ({"CONFIGURATION_DIRECTORY": "", "XDG_CONFIG_HOME": "", "HOME": "/h"}, "/h/.config/xmppsh/config.toml"),
    ({"XDG_CONFIG_HOME": ".", "HOME": "/h"}, "/h/.config/xmppsh/config.toml"),
    ({"HOME": "/"}, None),
]


@pytest.mark.parametrize(("env", "file"), CONFIGS)
def test_the_config_is_where_systemd_then_xdg_then_the_home_say(env: dict[str, str], file: str | None) -> None:
    assert config_file(env) == (None if file is None else Path(file))


@pytest.mark.parametrize("env", [{}, {"HOME": ""}, {"HOME": "relative"}, {"HOME": "."}])
def test_a_home_that_is_not_named_in_full_is_the_one_of_the_user_database(env: dict[str, str]) -> None:
    assert home(env) == Path(pwd.getpwuid(os.getuid()).pw_dir)


@pytest.mark.parametrize("name", ["CONFIGURATION_DIRECTORY", "XDG_CONFIG_HOME", "HOME"])
def test_a_config_file_of_the_working_directory_is_not_believed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("", "xmppsh", ".config/xmppsh"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "config.toml").write_text("jid = 'mallory@example.net'\n")
    monkeypatch.chdir(tmp_path)
    for value in ("", ".", "./"):
        assert load({}, {"HOME": "/", name: value}).jid is None


def test_paths_in_the_config_file_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        'ca = "certs/ca.pem"\npassword-file = "secret"\ncert = "/etc/c.pem"\nkey = "~/k.pem"\ntrace = "-"\n'
    )
    settings, env = load({}, {"CONFIGURATION_DIRECTORY": str(tmp_path)}), {"HOME": "/h"}
    found = {name: str(settings.path(name, env)) for name in ("ca", "password_file", "cert", "key")}
    assert found == {
        "ca": str(tmp_path / "certs/ca.pem"),
        "password_file": str(tmp_path / "secret"),
        "cert": "/etc/c.pem",
        "key": "/h/k.pem",
    }


def test_a_password_file_beside_the_config_is_found_from_any_working_directory(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('password-file = "secret"\n')
    (tmp_path / "secret").write_text("pencil\n")
    (tmp_path / "secret").chmod(0o600)
    env = {"CONFIGURATION_DIRECTORY": str(tmp_path)}
    assert find_password(load({}, env), JULIET, env, may_prompt=False).text == "pencil"


def test_paths_of_options_and_of_the_environment_are_those_of_the_working_directory(tmp_path: Path) -> None:
    settings = load({"ca": "a.pem"}, {"CONFIGURATION_DIRECTORY": str(tmp_path), "XMPPSH_TRACE": "b.xml"})
    assert (settings.path("ca", {}), settings.path("trace", {})) == (Path("a.pem"), Path("b.xml"))


@pytest.mark.parametrize("text", ["~/ca.pem", "~nobody-of-that-name/ca.pem"])
def test_a_tilde_without_a_home_is_one_line(text: str) -> None:
    with pytest.raises(NoInputError, match="there is no such home"):
        expanded(text, {"HOME": "/"})


# ── The password of a service ───────────────────────────────────────────────────────────────────────────────────────


JULIET = Jid.parse("juliet@example.org")


@pytest.mark.parametrize("name", ["xmppsh.password", "password"])
def test_the_credentials_of_systemd_hold_the_password(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("pencil\n")
    (tmp_path / name).chmod(0o444)  # readable for all, as systemd leaves some, and nobody is to change that
    env = {"HOME": "/", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert find_password(load({}, env), JULIET, env, may_prompt=False).text == "pencil"


def test_a_secret_behind_the_links_of_a_volume_is_read(tmp_path: Path) -> None:
    """As Kubernetes mounts them: all are replaced at once by another target of `..data`."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "password").write_text("pencil\n")
    (tmp_path / "..2026" / "password").chmod(0o400)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "password").symlink_to("..data/password")
    for env in ({"CREDENTIALS_DIRECTORY": str(tmp_path)}, {"XMPPSH_PASSWORD_FILE": str(tmp_path / "password")}):
        assert find_password(load({}, {"HOME": "/", **env}), JULIET, env, may_prompt=False).text == "pencil"


@pytest.mark.parametrize("folder", ["", ".", "credentials", "/nowhere"])
def test_credentials_that_are_not_there_are_no_password(
    tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("pencil\n")
    monkeypatch.chdir(tmp_path)
    env = {"HOME": "/", "CREDENTIALS_DIRECTORY": folder}
    with pytest.raises(SaslError):
        find_password(load({}, env), JULIET, env, may_prompt=False)


def test_a_given_password_comes_before_the_credentials(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pencil\n")
    env = {"HOME": "/", "CREDENTIALS_DIRECTORY": str(tmp_path), "XMPPSH_PASSWORD": "crayon"}
    assert find_password(load({}, env), JULIET, env, may_prompt=False).text == "crayon"


@as_root
def test_a_secret_that_is_somebody_elses_is_not_ours_to_change(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("pencil\n")
    path.chmod(0o444)
    with pytest.raises(ConfigError) as caught:
        refuse_readable_by_others(path, "a password", {})
    assert "--password-fd" in str(caught.value.hint)
    os.chown(path, NOBODY, NOBODY)
    refuse_readable_by_others(path, "a password", {})


def test_a_secret_on_a_read_only_mount_is_not_ours_to_change(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("pencil\n")
    path.chmod(0o444)
    mount = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,ro,bind {tmp_path}"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mounts of one's own here")
    judged = f"from xmppsh.config.paths import *; refuse_readable_by_others(Path({str(path)!r}), 'a password', {{}})"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} && exec {sys.executable} -c "{judged}"'],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# ── Who may not write ───────────────────────────────────────────────────────────────────────────────────────────────


def _child(body: Callable[[], None], uid: int) -> None:
    """Run it in a child with this user id; what it raises is the test's failure."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            body()
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _says_nothing_can_be_stored(env: dict[str, str], reason: str) -> None:
    with pytest.raises(IoError, match=reason) as caught:
        writable_state(state_folder(env))
    assert "STATE_DIRECTORY" in str(caught.value.hint)


@as_root
def test_a_home_that_may_not_be_written_or_entered_is_told_by_the_variable_to_set(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    closed, foreign, readonly = (tmp_path / name for name in ("closed", "foreign", "readonly"))
    for folder, mode in ((closed, 0o700), (foreign, 0o755), (readonly, 0o555)):
        folder.mkdir()
        folder.chmod(mode)
    os.chown(readonly, NOBODY, NOBODY)
    for folder in (closed, foreign, readonly, Path("/nonexistent")):
        _child(lambda home=folder: _says_nothing_can_be_stored({"HOME": str(home)}, "permission denied"), NOBODY)  # type: ignore[misc]
    _child(lambda: _says_nothing_can_be_stored({}, "there is no home"), NO_ENTRY)


@as_root
def test_a_home_that_may_not_be_entered_holds_no_config_and_a_named_folder_is_an_error(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    def body() -> None:
        assert load({}, {"HOME": str(closed)}).jid is None
        with pytest.raises(ConfigError, match="permission denied"):
            load({}, {"XDG_CONFIG_HOME": str(closed)})

    _child(body, NOBODY)


def test_a_state_folder_that_can_be_made_is_taken_and_not_made(tmp_path: Path) -> None:
    env = {"STATE_DIRECTORY": str(tmp_path / "a" / "b")}
    assert writable_state(state_folder(env)) == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "expected"), [
    ("romeo_1@a-b.example", "romeo_1@a-b.example"), ("a/b@c", "a%2Fb@c"), ("ä@c", "%C3%A4@c"), ("a b%", "a%20b%25"),
    ("\u00b2@c", "%C2%B2@c"), ("[::1]", "%5B%3A%3A1%5D"), ("~x", "~x"),
])  # fmt: skip
def test_an_account_s_file_is_called_like_it_where_a_file_system_takes_the_name(name: str, expected: str) -> None:
    assert file_name(name) == expected
