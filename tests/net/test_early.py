"""A connection that is begun before the command line is understood: by the very settings of the last time."""

import os
import socket
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from xmppsh.config import paths
from xmppsh.net import early
from xmppsh.net.early import NAME, Early
from xmppsh.net.head_start import HeadStart

if TYPE_CHECKING:
    from xmppsh.model import TlsMode

ACCOUNT, ASKED = "alice@example.net", "nothing special"
WORDS = b"<?xml version='1.0'?><stream:stream>"
SEND = ["send", "bob@example.net", "hello"]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port of loopback, where nobody waits long for a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(15)
        yield server


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "XMPPSH_JID": ACCOUNT, **more}


def after_a_run(
    listener: socket.socket, env: dict[str, str], words: list[str] | None = None, tls: "TlsMode" = "starttls"
) -> Path:
    """A run that came to the listener has ended; its file."""
    folder = Path(env["XDG_STATE_HOME"]) / "xmppsh"
    early = Early(SEND if words is None else words, env)
    head_start = HeadStart(folder / "places.json", ACCOUNT, ASKED, lambda *_: None, early)
    head_start.wanted = WORDS
    head_start.remember_place("127.0.0.1", port_of(listener), tls)
    return folder / NAME


def begins(listener: socket.socket, words: list[str], env: dict[str, str]) -> bool:
    """Does this run begin a connection to the listener?"""
    taken = Early(words, env).take("127.0.0.1", port_of(listener))
    if taken is not None:
        listener.accept()[0].close()
        taken.sock.close()
    return taken is not None


def test_the_first_run_begins_nothing_and_the_next_one_with_the_same_settings_does(
    tmp_path: Path, listener: socket.socket
) -> None:
    env = environment(tmp_path)
    assert not begins(listener, SEND, env)
    file = after_a_run(listener, env)
    assert file.stat().st_mode & 0o777 == 0o600
    assert begins(listener, SEND, env)
    assert begins(listener, ["ping"], env)


@pytest.mark.parametrize(
    "words",
    [
        ["listen"],
        ["send", "-n", "bob"],
        ["--proxy", "http://p:1", "send", "bob"],
        ["-j", "carol@example.net", *SEND],
        ["carol@example.net", *SEND],
        [],
    ],
)
def test_another_command_line_begins_nothing(tmp_path: Path, listener: socket.socket, words: list[str]) -> None:
    env = environment(tmp_path)
    after_a_run(listener, env)
    assert not begins(listener, words, env)


@pytest.mark.parametrize(
    "more",
    [{"XMPPSH_JID": "carol@example.net"}, {"XMPPSH_HOST": "127.0.0.2"}, {"XMPPSH_PROFILE": "work"},
     {"XMPPSH_DRY_RUN": "1"}, {"XMPPSH_PROXY": "socks5h://127.0.0.1:9"}],
)  # fmt: skip
def test_another_environment_begins_nothing(tmp_path: Path, listener: socket.socket, more: dict[str, str]) -> None:
    after_a_run(listener, environment(tmp_path))
    assert not begins(listener, SEND, environment(tmp_path, **more))


def test_a_changed_config_file_begins_nothing(tmp_path: Path, listener: socket.socket) -> None:
    env = environment(tmp_path)
    config = tmp_path / ".config/xmppsh/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("")
    after_a_run(listener, env)
    assert begins(listener, SEND, env)
    config.write_text('proxy = "socks5h://127.0.0.1:9"\n')
    assert not begins(listener, SEND, env)


CAROL = [["-j", "carol@example.net", "ping"], ["ping", "-j", "carol@example.net"], ["carol@example.net", "ping"]]


@pytest.mark.parametrize("words", CAROL)
def test_the_account_is_one_of_the_settings_wherever_it_stands(
    tmp_path: Path, listener: socket.socket, words: list[str]
) -> None:
    env = environment(tmp_path)
    after_a_run(listener, env, words)
    assert all(begins(listener, same, env) for same in CAROL)
    assert not begins(listener, ["ping"], env)
    assert not begins(listener, ["ping", "carol@example.net"], env)


def test_what_leads_elsewhere_by_now_is_closed(tmp_path: Path, listener: socket.socket) -> None:
    env = environment(tmp_path)
    after_a_run(listener, env)
    assert Early(SEND, env).take("127.0.0.1", 1) is None
    with listener.accept()[0] as begun:
        begun.settimeout(15)
        assert b"".join(iter(lambda: begun.recv(100), b"")) == WORDS


def test_what_is_said_first_in_the_clear_is_said_before_the_settings_are_read(
    tmp_path: Path, listener: socket.socket
) -> None:
    env = environment(tmp_path)
    after_a_run(listener, env)
    taken = Early(SEND, env).take("127.0.0.1", port_of(listener))
    assert taken is not None
    with listener.accept()[0] as begun:
        taken.sock.close()
        begun.settimeout(15)
        assert b"".join(iter(lambda: begun.recv(100), b"")) == taken.said == WORDS


def test_nothing_is_said_early_where_tls_comes_first(tmp_path: Path, listener: socket.socket) -> None:
    env = environment(tmp_path)
    after_a_run(listener, env, tls="direct")
    taken = Early(SEND, env).take("127.0.0.1", port_of(listener))
    assert taken is not None
    with listener.accept()[0] as begun:
        taken.sock.close()
        begun.settimeout(15)
        assert begun.recv(1) == b""


# What each of the two folders follows; {} is its variable of systemd, or of XDG.
SERVICE, USER = "of_service", "of_user"
FOLDERS: list[tuple[dict[str, str], str]] = [
    ({"HOME": "/h"}, "home"),
    ({"HOME": "/h/"}, "home"),
    ({USER: "/x", "HOME": "/h"}, "user"),
    ({USER: "/x"}, "user"),
    ({USER: "", "HOME": "/h"}, "home"),
    ({USER: "./x", "HOME": "/h"}, "home"),
    ({SERVICE: "/s", USER: "/x", "HOME": "/h"}, "service"),
    ({SERVICE: "/s"}, "service"),
    ({SERVICE: "/s:/t", "HOME": "/h"}, "service"),
    ({SERVICE: ":/t", "HOME": "/h"}, "home"),
    ({SERVICE: "s", USER: "x", "HOME": "/h"}, "home"),
    ({}, "nowhere"),
    ({"HOME": ""}, "nowhere"),
    ({"HOME": "."}, "nowhere"),
    ({"HOME": "/"}, "nowhere"),
]


@pytest.mark.parametrize(("given", "follows"), FOLDERS)
@pytest.mark.parametrize("kind", ["STATE", "CONFIG"])
def test_its_folders_are_those_of_the_whole_program(kind: str, given: dict[str, str], follows: str) -> None:
    variables = getattr(paths, kind)
    assert getattr(early, kind) == astuple(variables)
    env = {getattr(variables, name, name): value for name, value in given.items()}
    found = early.folder(env, *getattr(early, kind))
    config = paths.config_file(env)
    there = paths.state_folder(env) if kind == "STATE" else None if config is None else config.parent
    assert found == "" if follows == "nowhere" else Path(found) == there
    where = {"home": f"/h/{variables.below_home}/xmppsh", "user": "/x/xmppsh", "service": "/s"}
    assert follows == "nowhere" or there == Path(where[follows])


@pytest.mark.parametrize("home", [{}, {"HOME": ""}, {"HOME": "."}])
def test_where_the_user_database_says_where_the_config_is_nothing_begins(
    tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch, home: dict[str, str]
) -> None:
    """That file could name a proxy by now. And nothing is read from the working directory."""
    monkeypatch.chdir(tmp_path)
    env = {"XDG_STATE_HOME": str(tmp_path / "state"), "XMPPSH_JID": ACCOUNT, **home}
    after_a_run(listener, env)
    assert not begins(listener, SEND, env)


@pytest.mark.parametrize("text", ["\x00", "a\tb", "a\tb\tc\td\n", f"{'x' * 20_000}\n", "\xff"])
def test_a_file_of_no_use_begins_nothing_and_is_written_anew(
    tmp_path: Path, listener: socket.socket, text: str
) -> None:
    env = environment(tmp_path)
    file = after_a_run(listener, env)
    file.write_bytes(text.encode("latin-1"))
    assert not begins(listener, SEND, env)
    after_a_run(listener, env)
    assert begins(listener, SEND, env)


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_may_write_begins_nothing(tmp_path: Path, listener: socket.socket, mode: int) -> None:
    env = environment(tmp_path)
    after_a_run(listener, env).chmod(mode)
    assert not begins(listener, SEND, env)


def test_a_link_begins_nothing(tmp_path: Path, listener: socket.socket) -> None:
    env = environment(tmp_path)
    file = after_a_run(listener, env)
    os.rename(file, tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert not begins(listener, SEND, env)
