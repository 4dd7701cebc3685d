"""FAST tokens on disk: for their owner, for the right password, until they expire or are refused."""

import re
import resource
from pathlib import Path

import pytest

from xmppsh.connection.tokens import KeptTokens
from xmppsh.protocol.fast import Token

ACCOUNT = "juliet@example.org"
TOKEN = Token("HT-SHA-256-NONE", "secret-1", "2026-12-01T00:00:00Z", "SCRAM-SHA-1")
DAY_OF_EXPIRY = 1796083200.0  # 2026-12-01, midnight


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def kept(path: Path, password: str = "pencil", account: str = ACCOUNT, now: float = DAY_OF_EXPIRY - 1) -> KeptTokens:
    return KeptTokens(path, account, password, lambda *_: None, lambda: now)


def test_a_token_comes_back_with_the_id_that_it_was_got_by(path: Path) -> None:
    new = kept(path).client()
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", new.id)
    assert new.token is None
    kept(path).put(new.id, TOKEN)
    assert kept(path).client().id == new.id
    assert kept(path).client().token == TOKEN
    assert path.stat().st_mode & 0o777 == 0o600
    assert "pencil" not in path.read_text()


@pytest.mark.parametrize("other", [
    {"password": "pencil2"}, {"account": "romeo@example.org"}, {"now": DAY_OF_EXPIRY}, {"now": DAY_OF_EXPIRY + 1},
])  # fmt: skip
def test_a_token_is_not_for_another_password_or_account_nor_for_ever(path: Path, other: dict[str, object]) -> None:
    kept(path).put("id", TOKEN)
    assert kept(path, **other).client().token is None  # type: ignore[arg-type]


def test_a_refused_token_goes_and_the_id_stays(path: Path) -> None:
    kept(path).put("id", TOKEN)
    kept(path).drop(TOKEN)
    assert kept(path).client().id == "id"
    assert kept(path).client().token is None
    assert "secret-1" not in path.read_text()


def test_a_newer_token_of_another_process_survives_the_refusal_of_the_old_one(path: Path) -> None:
    newer = Token("HT-SHA-256-NONE", "secret-2", "", "SCRAM-SHA-1")
    kept(path).put("id", newer)
    kept(path).drop(TOKEN)
    assert kept(path).client().token == newer


def test_a_file_of_something_else_is_ignored(path: Path) -> None:
    path.touch(0o600)
    path.write_text('{"juliet@example.org": {"id": "x", "token": 1}}')
    assert kept(path).client().token is None


def test_a_full_disk_costs_the_new_token_and_not_the_one_that_is_kept(path: Path) -> None:
    kept(path).put("id", TOKEN)
    told: list[str] = []
    mine = KeptTokens(path, ACCOUNT, "pencil", lambda _, text: told.append(text), lambda: DAY_OF_EXPIRY - 1)
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))  # Python ignores SIGXFSZ
    try:
        mine.put("id", Token("HT-SHA-256-NONE", "secret-2", "", "SCRAM-SHA-1"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
    assert told == [f"{path} cannot be written: file too large"]
    assert kept(path).client().token == TOKEN
    assert list(path.parent.iterdir()) == [path]
