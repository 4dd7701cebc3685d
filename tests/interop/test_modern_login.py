"""The newer login, SASL2 with a FAST token, on servers that have it (`make interop-next`; Debian 12's have not)."""

import json
from pathlib import Path

import pytest
from support.program import Program
from support.repeated import sent
from support.root import root
from support.servers import Server

pytestmark = pytest.mark.skipif(root() is None, reason="the servers of Debian 12 have no SASL2")
RUNS = 4  # the first gets a token; the last has all of it in four flights
WITH_TOKEN = "(SASL2 with a FAST token)"


async def test_a_token_stands_for_the_password_from_the_second_login_on(server: Server, tmp_path: Path) -> None:
    account = server.account()
    program = Program(tmp_path, server, account)
    program.env |= {"XMPPSH_HOST": f"{server.host}:{server.tls_port}", "XMPPSH_TLS": "direct"}
    said = await sent(program, server, RUNS, "-v")
    assert [WITH_TOKEN in text for text in said] == [False, True, True, True]
    assert "(SASL2)" in said[0]
    kept = tmp_path / "xmppsh" / "tokens.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert account.password not in kept.read_text()


async def test_a_wrong_password_is_not_let_in_by_a_token(server: Server, tmp_path: Path) -> None:
    account = server.account()
    program = Program(tmp_path, server, account)
    assert (await program.run("ping")).code == 0
    program.env["XMPPSH_PASSWORD"] += "x"
    done = await program.run("ping")
    assert done.code == 77, done.stderr


async def test_a_token_that_the_server_does_not_know_is_dropped_and_the_password_logs_in(
    server: Server, tmp_path: Path
) -> None:
    account = server.account()
    program, kept = Program(tmp_path, server, account), tmp_path / "xmppsh" / "tokens.json"
    assert (await program.run("ping")).code == 0
    entries = json.loads(kept.read_text())
    entries[account.jid]["id"] = "00000000-0000-4000-8000-000000000000"
    kept.write_text(json.dumps(entries))
    done = await program.run("-v", "ping")
    assert done.code == 0, done.stderr
    assert "does not take the FAST token" in done.stderr
    assert WITH_TOKEN in (await program.run("-v", "ping")).stderr
