"""What servers offered the last time is kept, and trusted for nothing."""

from pathlib import Path

import pytest

from xmppsh.connection.known import CAUTION_S, KnownServers
from xmppsh.protocol.ahead import Known, Rung

JULIET = "juliet@example.org"
KNOWN = Known(frozenset({"PLAIN", "SCRAM-SHA-1"}), frozenset({"tls-exporter"}), "SCRAM-SHA-1", True, 10_000, Rung.BIND)


def test_what_was_put_is_there_for_its_account_alone(tmp_path: Path) -> None:
    path = tmp_path / "servers.json"
    KnownServers(path, print).put(JULIET, KNOWN)
    assert KnownServers(path, print).get(JULIET) == KNOWN
    assert KnownServers(path, print).get("romeo@example.org") is None
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_server_that_was_surprised_is_tried_again_after_a_week(tmp_path: Path) -> None:
    now = [1_000_000.0]
    servers = KnownServers(tmp_path / "servers.json", print, lambda: now[0])
    known = Known(KNOWN.mechanisms, KNOWN.bindings, KNOWN.mechanism, KNOWN.acks, KNOWN.max_bytes, Rung.NOTHING)
    servers.put(JULIET, known)
    rungs = []
    for passed in (0, CAUTION_S - 1, 1):
        now[0] += passed
        rungs.append(servers.get(JULIET).rung)  # type: ignore[union-attr]
    assert rungs == [Rung.NOTHING, Rung.NOTHING, Rung.BIND]


@pytest.mark.parametrize("content", ["", "[]", '{"juliet@example.org": {}}', '{"juliet@example.org": {"rung": 7}}'])
def test_a_file_that_holds_something_else_is_ignored(tmp_path: Path, content: str) -> None:
    path, told = tmp_path / "servers.json", list[str]()
    path.write_text(content)
    path.chmod(0o600)
    servers = KnownServers(path, lambda _, text: told.append(text))
    assert servers.get(JULIET) is None
    assert "is ignored" in told[0]
    servers.put(JULIET, KNOWN)
    assert servers.get(JULIET) == KNOWN
