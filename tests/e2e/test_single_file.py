"""The single file of `make zipapp`, run by a Python that sees nothing but that file and its own library."""

import sys
from pathlib import Path

import pytest
from support.program import Outcome, Program, finish
from support.servers import Server
from support.single_file import build

pytestmark = pytest.mark.either_server


async def test_the_single_file_sends_listens_and_has_an_agent_and_says_what_it_lacks(
    tmp_path: Path, server: Server
) -> None:
    file = tmp_path / "xmppsh.pyz"
    build(file)
    account = server.account()
    program = Program(tmp_path, server, account)

    async def run(*words: str) -> Outcome:
        return await finish(await program.start_as((sys.executable, "-I", "-S", str(file)), *words))

    assert (await run("send", account.jid, "to myself")).code == 0
    assert (await run("listen", "--drain", "-F", "%b")).stdout == "to myself\n"
    started = await run("agent", "start")
    assert (started.code, started.stderr) == (0, "")
    assert (await run("ping")).code == 0
    assert "1 session, 1 command" in (await run("agent", "status")).stdout
    assert (await run("agent", "stop")).code == 0
    by_xpath = ("iq", "get", server.domain, "<ping xmlns='urn:xmpp:ping'/>", "--xpath", "/*")
    outcome = await run(*by_xpath)
    assert (outcome.code, outcome.stderr) == (
        70,
        "xmppsh: xmppsh is not whole: No module named 'lxml'\n  try: install lxml, or xmppsh again\n",
    )
    assert (await run("playground", "--", "true")).code == 0
