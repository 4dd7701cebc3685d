"""Folders and files that somebody else could change: refused in one line, before anything is read or written."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from xmppsh.config.contacts import read_contacts
from xmppsh.config.ours import (
    open_private,
    read_regular,
    refuse_foreign_file,
    refuse_foreign_folder,
    write_aside,
    write_output,
)
from xmppsh.errors import ConfigError, IoError
from xmppsh.outbox.store import Store

MALLORY = 65534
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes what is somebody else's")


def test_a_file_that_takes_a_part_gets_the_rest_or_tells(tmp_path: Path) -> None:
    code = (
        "import os, resource, signal, sys\n"
        "from xmppsh.config.ours import write_all\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)\n"
        "try: write_all(fd, b'x' * 20)\n"
        "except OSError as error: print(error.strerror)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "f")], capture_output=True, text=True, check=False
    )
    assert (done.stdout, (tmp_path / "f").read_bytes()) == ("File too large\n", b"x" * 10), done.stderr


@pytest.mark.parametrize("before", [None, b"kept"])
def test_what_a_full_disk_cuts_short_leaves_the_file_as_it_was(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "picture"
    if before is not None:
        path.write_bytes(before)
    code = (
        "import pathlib, resource, signal, sys\n"
        "from xmppsh.config.ours import write_output\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "try: write_output(pathlib.Path(sys.argv[1]), b'x' * 20)\n"
        "except OSError as error: print(error.strerror)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout == "File too large\n", done.stderr
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == ([("picture", before)] if before else [])


def test_what_is_saved_goes_through_a_link_keeps_the_mode_and_fits_a_pipe(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.touch(0o640)
    link.symlink_to(real)
    write_output(link, b"new")
    assert (link.is_symlink(), real.read_bytes(), stat.S_IMODE(real.stat().st_mode)) == (True, b"new", 0o640)
    reading, writing = os.pipe()
    write_output(Path(f"/dev/fd/{writing}"), b"new")
    assert os.read(reading, 10) == b"new"


def test_contacts_behind_a_link_or_of_another_user_are_not_read(tmp_path: Path) -> None:
    ours, link = tmp_path / "ours", tmp_path / "link"
    ours.write_text("romeo@example.org\tRomeo\n")
    link.symlink_to(ours)
    os.mkfifo(tmp_path / "pipe")
    assert read_contacts(str(ours)) == [("romeo@example.org", "Romeo")]
    assert [read_contacts(str(tmp_path / name)) for name in ("link", "pipe", "missing")] == [[], [], []]
    if os.geteuid() == 0:
        os.chown(ours, MALLORY, MALLORY)
        assert read_contacts(str(ours)) == []


def linked(path: Path) -> None:
    """A link of mallory's to a folder of mallory's."""
    theirs = path.with_name("theirs")
    theirs.mkdir(mode=0o777)
    path.symlink_to(theirs)
    os.chown(theirs, MALLORY, MALLORY)
    os.lchown(path, MALLORY, MALLORY)


def linked_by_us(path: Path) -> None:
    theirs = path.with_name("theirs")
    theirs.mkdir(mode=0o755)
    os.chown(theirs, MALLORY, MALLORY)
    path.symlink_to(theirs)


def linked_to_ours(path: Path) -> None:
    ours = path.with_name("ours")
    ours.mkdir(mode=0o700)
    path.symlink_to(ours)
    os.lchown(path, MALLORY, MALLORY)


def of_mallory(path: Path) -> None:
    path.mkdir(mode=0o755)
    os.chown(path, MALLORY, MALLORY)


def open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def open_to_a_group(path: Path) -> None:
    path.mkdir()
    os.chown(path, -1, MALLORY)
    path.chmod(0o770)


FOREIGN = [linked, linked_by_us, linked_to_ours, of_mallory, open_to_all, open_to_a_group]
ABOVE = [linked, of_mallory, open_to_all]


def run(home: Path, *arguments: str, umask: int = 0o022, **env: str) -> subprocess.CompletedProcess[str]:
    env = {"XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config"), "HOME": str(home), **env}
    return subprocess.run(
        [sys.executable, "-m", "xmppsh", *arguments],
        env=env, input="", capture_output=True, text=True, check=False, umask=umask,
    )  # fmt: skip


@as_root
@pytest.mark.parametrize("kind", ["state", "config"])
@pytest.mark.parametrize(
    ("below", "make"),
    [*(("xmppsh", make) for make in FOREIGN), *(("", make) for make in ABOVE)],
    ids=lambda value: value.__name__ if callable(value) else value or "above",
)
def test_a_folder_that_somebody_else_could_change_is_refused_in_one_line(
    tmp_path: Path, kind: str, below: str, make: Callable[[Path], None]
) -> None:
    home = tmp_path / "home"
    folder = home / kind / below if below else home / kind
    folder.parent.mkdir(parents=True)
    make(folder)
    with pytest.raises(ConfigError) as caught:
        refuse_foreign_folder(home / kind / "xmppsh", "XDG_STATE_HOME")
    assert str(caught.value).startswith(str(folder))
    assert "XDG_STATE_HOME" in str(caught.value.hint)


@as_root
@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("state", ("send", "--queue", "b@c.example", "x")),
        ("state", ("sessions", "list")),
        ("state", ("outbox", "list")),
        ("state", ("pipe", "--checkpoint", "cp")),
        ("config", ("explain",)),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_commands_end_with_78_and_write_nothing_there(tmp_path: Path, kind: str, command: tuple[str, ...]) -> None:
    (tmp_path / kind).mkdir()
    linked(tmp_path / kind / "xmppsh")
    done = run(tmp_path, *command, XMPPSH_JID="a@b.example", XMPPSH_PASSWORD="p", XMPPSH_HOST="127.0.0.1:1")
    assert done.returncode == 78, done.stderr
    sentence, hint = done.stderr.splitlines()[:2]
    assert sentence == f"xmppsh: {tmp_path}/{kind}/xmppsh is a link of another user (uid {MALLORY})"
    assert hint.startswith("  try: ")
    assert list((tmp_path / kind / "theirs").iterdir()) == []


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: linked_within(path), lambda path: None])
def test_our_own_folder_and_our_own_link_to_it_are_taken(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "xmppsh")
    refuse_foreign_folder(tmp_path / "xmppsh", "XDG_STATE_HOME")


def linked_within(path: Path) -> None:
    path.with_name("dotfiles").mkdir()
    path.symlink_to("dotfiles")


# ── Files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@as_root
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("how", ["theirs", "a link", "open"])
def test_a_file_of_messages_that_somebody_else_has_put_there_is_not_opened(
    tmp_path: Path, suffix: str, how: str
) -> None:
    store, planted = tmp_path / "o.sqlite", tmp_path / f"o.sqlite{suffix}"
    if suffix:
        Store(store, "me").close()
    if how == "a link":
        planted.symlink_to(tmp_path / "elsewhere")
        os.lchown(planted, MALLORY, MALLORY)
    else:
        planted.touch()
        planted.chmod(0o666)
    if how == "theirs":
        os.chown(planted, MALLORY, MALLORY)
    with pytest.raises(IoError) as caught:  # as whatever keeps us from storing: the session ends with it at once
        Store(store, "me")
    assert caught.value.exit_code == 78
    assert str(planted) in str(caught.value)
    assert not (tmp_path / "elsewhere").exists()


@as_root
def test_a_config_file_of_another_user_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("password-command = 'touch x'\n")
    refuse_foreign_file(file, "the config file")
    os.chown(file, MALLORY, MALLORY)
    with pytest.raises(IoError, match="is the config file and belongs to another user"):
        refuse_foreign_file(file, "the config file")


def test_a_private_file_is_no_link_and_ours(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="it is a link"):
        open_private(tmp_path / "link", os.O_WRONLY | os.O_CREAT)
    assert not (tmp_path / "target").exists()
    if os.geteuid() == 0:
        (tmp_path / "theirs").touch()
        os.chown(tmp_path / "theirs", MALLORY, MALLORY)
        with pytest.raises(PermissionError, match="another user"):
            open_private(tmp_path / "theirs", os.O_RDONLY)


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND | os.O_CREAT])
def test_a_private_file_is_a_regular_one_and_nothing_else_is_waited_for(tmp_path: Path, flags: int) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.mknod(tmp_path / "socket", stat.S_IFSOCK | 0o600)
    for name in ("pipe", "socket"):
        with pytest.raises(OSError, match="not a regular file"):
            open_private(tmp_path / name, flags)


def test_a_link_to_a_file_may_be_read_and_one_to_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    os.mkfifo(tmp_path / "pipe")
    for name in ("file", "pipe"):
        (tmp_path / f"to-{name}").symlink_to(name)
    assert read_regular(tmp_path / "to-file") == b"text"
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(tmp_path / "to-pipe")


def test_what_is_written_aside_goes_through_no_link_that_waits_there(tmp_path: Path) -> None:
    file, target = tmp_path / "checkpoint", tmp_path / "target"
    write_aside(file, b"one")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (tmp_path / f"checkpoint.{os.getpid()}").symlink_to(target)
    with pytest.raises(OSError, match="it is a link"):
        write_aside(file, b"two")
    assert (file.read_bytes(), target.exists()) == (b"one", False)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777], ids=oct)
def test_what_is_stored_is_for_us_alone_under_any_umask(tmp_path: Path, umask: int) -> None:
    done = run(
        tmp_path, "send", "--queue", "b@c.example", "x", "--trace", str(tmp_path / "trace"), umask=umask,
        XMPPSH_JID="a@b.example", XMPPSH_PASSWORD="p", XMPPSH_HOST="127.0.0.1:1",
    )  # fmt: skip
    assert done.returncode == 81, done.stderr
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert any(path.suffix == ".sqlite" for path in modes)
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_an_outbox_that_only_root_may_write_or_that_leads_nowhere_is_told_so(tmp_path: Path) -> None:
    closed, link = tmp_path / "closed", tmp_path / "link"
    Store(closed, "me").close()
    closed.chmod(0o444)
    link.symlink_to(tmp_path / "nowhere")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from xmppsh.errors import IoError\n"
        "from xmppsh.outbox.queue import Queue\n"
        "from xmppsh.outbox.store import Store\n"
        "try: Store(Path(sys.argv[1]), 'me').open_session('a@b.example', 'a@b.example/c')\n"
        "except IoError as error: print(error, '|', error.hint)\n"
    )
    told = [
        subprocess.run(
            [*UNPRIVILEGED, sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
        ).stdout
        for path in (closed, link)
    ]
    assert told == [
        f"{closed}: permission denied | None\n",
        f"{link} is a link that leads nowhere | move it away, or give another file\n",
    ]


@pytest.mark.parametrize("level", ["state", "state/xmppsh", "state/xmppsh/locks", "state/xmppsh/outbox"])
@pytest.mark.parametrize("make", [Path.touch, os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_stands_in_the_place_of_a_folder_is_named(
    tmp_path: Path, level: str, make: Callable[[Path], None]
) -> None:
    (tmp_path / level).parent.mkdir(parents=True, exist_ok=True)
    make(tmp_path / level)
    done = run(
        tmp_path, "send", "--queue", "b@c.example", "x",
        XMPPSH_JID="a@b.example", XMPPSH_PASSWORD="p", XMPPSH_HOST="127.0.0.1:1",
    )  # fmt: skip
    why = "it is a link that leads nowhere" if (tmp_path / level).is_symlink() else "not a directory"
    assert (done.returncode, done.stderr.splitlines()[0]) == (74, f"xmppsh: {tmp_path / level}: {why}")


@as_root
def test_a_link_of_another_user_far_above_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real" / "b").mkdir(parents=True)
    (tmp_path / "a").symlink_to("real")
    refuse_foreign_folder(tmp_path / "a" / "b" / "state" / "xmppsh", "XDG_STATE_HOME")
    os.lchown(tmp_path / "a", MALLORY, MALLORY)
    with pytest.raises(ConfigError, match=f"^{tmp_path}/a is a link of another user"):
        refuse_foreign_folder(tmp_path / "a" / "b" / "state" / "xmppsh", "XDG_STATE_HOME")


def test_an_outbox_in_the_place_of_a_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(IoError):
        Store(tmp_path, "me")
