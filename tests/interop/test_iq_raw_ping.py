"""`iq`, `raw` and `ping`: what they print of the answers, and what decides their exit codes."""

import asyncio
import json
import signal

import pytest
from support.program import Program
from support.servers import Account, Server

pytestmark = pytest.mark.either_server

VERSION = '<query xmlns="jabber:iq:version"/>'
PING = "<iq type='get' id='{id}' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>"


async def test_xpath_prints_what_it_finds(program: Program, server: Server) -> None:
    outcome = await program.run("iq", "get", server.domain, VERSION, "--xpath", "//*[local-name()='name']/text()")
    assert outcome.code == 0
    assert outcome.stdout.strip().lower() == server.name
    elements = await program.run("iq", "get", server.domain, VERSION, "--xpath", "//*[local-name()='name']")
    assert elements.stdout.startswith("<name")
    as_json = await program.run("iq", "get", server.domain, VERSION, "--xpath", "//*/text()", "--format", "json")
    assert {one["kind"] for one in as_json.records} == {"found"}
    assert server.name in as_json.records[0]["value"].lower()


async def test_a_whole_iq_is_no_payload(program: Program, server: Server) -> None:
    outcome = await program.run("iq", "get", server.domain, "<iq/>")
    assert outcome.code == 65
    assert outcome.stderr == "xmppsh: PAYLOAD goes inside the IQ: it cannot be <iq>\n  try: xmppsh raw sends stanzas\n"


async def test_raw_prints_the_answers_to_its_own_ids(program: Program, server: Server) -> None:
    stanzas = (PING.format(id="one", to=server.domain), "<presence/>", PING.format(id="two", to=server.domain))
    outcome = await program.run("raw", *stanzas, "--format", "json")
    assert outcome.code == 0, outcome.stderr
    assert sorted(one["id"] for one in outcome.records) == ["one", "two"]


async def test_raw_ends_with_the_code_of_what_bounced(program: Program, server: Server, alice: Account) -> None:
    lost = f"<message to='nobody@{server.domain}' id='m1'><body>x</body></message>"
    outcome = await program.run("raw", lost)
    assert (outcome.code, outcome.stdout) == (67, "")
    nameless = await program.run("raw", lost.replace(" id='m1'", ""))
    assert nameless.code == 67, "its bounce has no id either"
    some = await program.run("raw", lost, f"<message to='{alice.jid}' id='m2'><body>x</body></message>")
    assert some.code == 80
    assert some.stderr.startswith("xmppsh: 1 of 2 stanzas failed; the first: ")


@pytest.mark.parametrize("command", ["raw", "pipe"])
async def test_an_iq_to_what_is_no_address_fails_as_the_server_says_and_is_not_waited_for(
    program: Program, command: str
) -> None:
    stanza = PING.format(id="lost", to="no address@x")
    words = [command, stanza] if command == "raw" else [command]
    outcome = await program.run(*words, stdin=stanza.encode())
    assert outcome.code == 76, outcome.stderr
    assert outcome.stderr.startswith("xmppsh: no address@x: ")


@pytest.mark.parametrize("to", ["NoBody@DOMAIN", "nobody@-_."])
async def test_a_bounce_is_seen_however_the_server_writes_the_address(
    program: Program, server: Server, to: str
) -> None:
    """ejabberd leaves capitals as they stand; Prosody does not, and takes `nobody@-_.` for an address."""
    to = to.replace("DOMAIN", server.domain)
    for stanza in (f"<message to='{to}'{name}><body>x</body></message>" for name in ("", " id='m1'")):
        outcome = await program.run("raw", stanza)
        assert outcome.code in (67, 76, 77), (stanza, outcome)
        outcome = await program.run("pipe", stdin=stanza.encode())
        assert outcome.code in (67, 76, 77), (stanza, outcome)
        assert "sent 1, acked 0, failed 1" in outcome.stderr


async def test_ping_at_an_interval_ends_with_a_summary_at_ctrl_c(program: Program) -> None:
    process = await program.start("ping", "-i", "0.05", "--format", "json")
    assert process.stdout is not None
    for _ in range(3):
        assert json.loads(await asyncio.wait_for(process.stdout.readline(), 20))["kind"] == "pong"
    process.send_signal(signal.SIGINT)
    rest = (await asyncio.wait_for(process.communicate(), 20))[0].splitlines()
    assert json.loads(rest[-1])["kind"] == "summary"
    assert json.loads(rest[-1])["count"] == 3 + len(rest) - 1
    assert process.returncode == -signal.SIGINT
