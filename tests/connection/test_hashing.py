"""The hash of the password that is begun before the server asks for it."""

import hashlib
import json
import time
from pathlib import Path

import pytest

from xmppsh.connection.hashing import Hashing

ACCOUNT, SALT, ROUNDS = "juliet@example.net", b"a salt", 4096


def logged_in(folder: Path, salt: bytes, password: str = "secret") -> Hashing:
    """A login that asks for a hash by this salt, and is told the right one."""
    hashing = Hashing(folder / "salts.json", ACCOUNT, lambda *_: None)
    hashing.begin(password)
    wanted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS)
    assert hashing.pbkdf2("sha256", password.encode(), salt, ROUNDS) == wanted
    hashing.remember()
    return hashing


def kept(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "salts.json").read_bytes())
    return found


def test_the_hash_of_the_last_time_is_made_before_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged_in(tmp_path, SALT)
    hashing = Hashing(tmp_path / "salts.json", ACCOUNT, lambda *_: None)
    hashing.begin("secret")
    wanted = hashlib.pbkdf2_hmac("sha256", b"secret", SALT, ROUNDS)
    with hashing._hashing:  # it is done
        pass
    monkeypatch.delattr(hashlib, "pbkdf2_hmac")
    assert hashing.pbkdf2("sha256", b"secret", SALT, ROUNDS) == wanted


def test_another_password_or_salt_gets_a_hash_of_its_own(tmp_path: Path) -> None:
    logged_in(tmp_path, SALT)
    logged_in(tmp_path, SALT, "another")
    logged_in(tmp_path, b"another salt")


def test_nothing_that_is_made_of_the_password_is_written_down(tmp_path: Path) -> None:
    logged_in(tmp_path, SALT)
    assert set(kept(tmp_path)[ACCOUNT]) == {"hash", "salt", "rounds", "seen", "varies"}  # type: ignore[call-overload]
    assert (tmp_path / "salts.json").stat().st_mode & 0o777 == 0o600


def test_a_server_with_another_salt_each_time_is_left_alone(tmp_path: Path) -> None:
    for number in range(3):
        logged_in(tmp_path, b"salt %d" % number)
    before = kept(tmp_path)
    hashing = logged_in(tmp_path, b"salt 3")
    assert (kept(tmp_path), hashing._wanted) == (before, None)


def test_a_login_that_needs_no_hash_gets_none_the_next_time(tmp_path: Path) -> None:
    logged_in(tmp_path, SALT)
    by_token = Hashing(tmp_path / "salts.json", ACCOUNT, lambda *_: None)
    by_token.begin("secret")
    by_token.remember()
    assert kept(tmp_path) == {}


@pytest.mark.parametrize("change", [{"rounds": 1}, {"rounds": 10**9}, {"salt": "é"}, {"hash": "md5"}, {"varies": 1}])
def test_a_file_that_holds_something_else_is_ignored(tmp_path: Path, change: dict[str, object]) -> None:
    entry = {"hash": "sha256", "salt": "YQ==", "rounds": ROUNDS, "seen": int(time.time()), "varies": False}
    (tmp_path / "salts.json").write_text(json.dumps({ACCOUNT: entry | change}))
    logged_in(tmp_path, SALT)
