"""The main job on real servers: what is sent arrives exact, in order, and exit 0 means that the server has it."""

import json
import random
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest
from support.contact import Contact
from support.program import Program, finish
from support.servers import Account, Server

pytestmark = pytest.mark.either_server

HARD_TEXTS = {
    "emoji": "Ünïcödé 😀👩‍👩‍👧‍👦 𝔘𝔫𝔦",
    "markup": "<&>'\" ]]> &amp; <body/>",
    "lines": "first\nsecond\n\n  fourth, after an empty one\ttab",
    "carriage-return": "dos\r\nline",
    "right-to-left": "שלום \u202eabc\u202c",
    "long": "x" * 20_000,
}


@pytest.fixture
def alice(server: Server) -> Account:
    return server.account()


@pytest.fixture
def bob(server: Server) -> Account:
    return server.account()


@pytest.fixture
def program(tmp_path: Path, server: Server, alice: Account) -> Program:
    return Program(tmp_path, server, alice)


@pytest.mark.parametrize("text", HARD_TEXTS.values(), ids=HARD_TEXTS)
async def test_a_text_from_the_command_line_arrives_exact(
    server: Server, program: Program, bob: Account, text: str
) -> None:
    async with Contact(server, bob) as contact:
        outcome = await program.run("send", bob.jid, text)
        assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")
        message = await contact.wait_for_message(lambda _: True)
        # XML 1.0 §2.11 makes a literal CR a line feed; ours is a reference, and servers may still normalise it.
        assert message.body.replace("\r\n", "\n") == text.replace("\r\n", "\n")
        assert message.type == "chat"


async def test_a_text_from_stdin_arrives_without_the_last_newline_alone(
    server: Server, program: Program, bob: Account
) -> None:
    async with Contact(server, bob) as contact:
        assert (await program.run("send", bob.jid, stdin=b" two\nlines \n\n")).code == 0
        message = await contact.wait_for_message(lambda _: True)
        assert message.body == " two\nlines \n"


async def test_several_recipients_get_the_same_message(server: Server, program: Program, tmp_path: Path) -> None:
    accounts = [server.account() for _ in range(4)]
    listed = tmp_path / "recipients"
    listed.write_text(f"# more\n{accounts[2].jid}\n\nxmpp:{accounts[3].jid}\n")
    arguments = [accounts[0].jid, "to all", "--to", accounts[1].jid, "--to-file", str(listed), "--each"]
    outcome = await program.run("send", *arguments)
    assert outcome.code == 0
    assert [(result["to"], result["ok"]) for result in outcome.records] == [(one.jid, True) for one in accounts]
    for account in accounts:
        async with Contact(server, account) as contact:
            assert (await contact.wait_for_message(lambda _: True)).body == "to all"


async def test_each_line_of_stdin_is_a_message_sent_as_it_comes(server: Server, program: Program, bob: Account) -> None:
    async with Contact(server, bob) as contact:
        process = await program.start("send", bob.jid, "--lines")
        assert process.stdin is not None
        for number in range(5):
            process.stdin.write(f"line {number}\n".encode())
            await process.stdin.drain()
            await contact.wait_for_message(lambda message, n=number: message.body == f"line {n}")
        assert (await finish(process)).code == 0
        assert [message.body for message in contact.messages] == [f"line {number}" for number in range(5)]


async def test_an_unknown_user_is_67_with_one_line_and_what_to_try(server: Server, program: Program) -> None:
    outcome = await program.run("send", f"nobody-here@{server.domain}", "hello")
    assert outcome.code == 67
    cause, hint = outcome.stderr.splitlines()
    assert cause == f"xmppsh: nobody-here@{server.domain}: service-unavailable"
    assert hint.startswith("  try: ")


async def test_some_of_many_failed_is_80_and_each_says_which(server: Server, program: Program, bob: Account) -> None:
    outcome = await program.run("send", bob.jid, "hi", "--to", f"nobody-here@{server.domain}", "--each")
    assert outcome.code == 80
    assert [result["ok"] for result in outcome.records] == [True, False]
    assert outcome.records[1]["error"]["code"] == 67


async def test_two_hundred_mixed_stanzas_are_piped_in_order(server: Server, program: Program, bob: Account) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    stanzas, expected = [], []
    for number in range(200):
        match source.choice(["message", "message", "presence", "iq"]):
            case "message":
                body = f"{number} {source.choice(list(HARD_TEXTS.values())[:3])}"
                expected.append(body)
                stanzas.append(f"<message to={quoteattr(bob.jid)} type='chat'><body>{escape(body)}</body></message>")
            case "presence":
                stanzas.append(f"<presence to={quoteattr(bob.jid)}><status>{number}</status></presence>")
            case _:
                stanzas.append(f"<iq type='get' id='i{number}' to='{server.domain}'><ping xmlns='urn:xmpp:ping'/></iq>")
    async with Contact(server, bob) as contact:
        outcome = await program.run("--format", "json", "pipe", stdin="\n".join(stanzas).encode())
        assert outcome.code == 0, outcome.stderr
        summary = outcome.records[-1]
        assert (summary["sent"], summary["acked"], summary["failed"]) == (200, 200, 0)
        await contact.wait_for_messages(len(expected))
        assert [message.body for message in contact.messages] == expected


async def test_what_came_before_a_bad_stanza_is_sent_and_the_line_is_named(
    server: Server, program: Program, bob: Account
) -> None:
    good = f"<message to={quoteattr(bob.jid)}><body>good</body></message>\n"
    async with Contact(server, bob) as contact:
        outcome = await program.run("pipe", stdin=(good * 3 + "  <message><body>oops</message>").encode())
        assert outcome.code == 65
        assert "sent 3, acked 3, failed 0" in outcome.stderr
        assert "xmppsh: line 4, column 24: mismatched tag" in outcome.stderr
        await contact.wait_for_messages(3)


async def test_listen_prints_one_json_record_and_ends(server: Server, tmp_path: Path, bob: Account) -> None:
    listener = Program(tmp_path, server, server.account())
    async with Contact(server, bob) as contact:
        ready = tmp_path / "ready"
        async with listener.listening("-C", "1", "--format", "json", ready=ready) as process:
            text = "<&>'\" 😀\nsecond"
            await contact.send(listener.env["XMPPSH_JID"], text, id="the-id")
            outcome = await finish(process)
        assert outcome.code == 0
        (record,) = outcome.records
        assert (record["kind"], record["from"], record["body"]) == ("message", contact.jid, text)
        assert (record["id"], record["type"], record["delayed"]) == ("the-id", "chat", False)


async def test_listen_is_75_when_fewer_records_came(program: Program) -> None:
    outcome = await program.run("listen", "-C", "2", "-W", "0.3")
    assert outcome.code == 75
    assert "0 of 2 records came within 0.3 s" in outcome.stderr


async def test_listen_without_a_count_is_0_when_the_time_is_over(program: Program) -> None:
    assert (await program.run("listen", "-W", "0.3")).code == 0


async def test_messages_that_were_never_printed_reach_the_next_client(
    server: Server, tmp_path: Path, bob: Account
) -> None:
    """-C 1 takes one of three; the others were not acknowledged, so the server keeps them."""
    account = server.account()
    listener = Program(tmp_path, server, account)
    async with Contact(server, bob) as contact:
        for number in range(3):
            await contact.send(account.jid, f"message {number}")
        await contact.settle()
    for number in range(3):
        outcome = await listener.run("listen", "-C", "1", "-W", "10", "-F", "%b")
        assert (outcome.code, outcome.stdout) == (0, f"message {number}\n")


async def test_an_iq_prints_the_payload_of_the_answer(server: Server, program: Program) -> None:
    query = '<query xmlns="http://jabber.org/protocol/disco#info"/>'
    outcome = await program.run("iq", "get", server.domain, query)
    assert outcome.code == 0
    assert outcome.stdout.startswith("<query")
    assert "<feature" in outcome.stdout
    from_stdin = await program.run("iq", "get", server.domain, "-", stdin=query.encode())
    assert from_stdin.stdout == outcome.stdout


async def test_an_iq_that_is_refused_has_the_code_of_its_condition(
    server: Server, program: Program, bob: Account
) -> None:
    outcome = await program.run("--format", "json", "iq", "get", f"{bob.jid}/nowhere", "<x xmlns='urn:example:none'/>")
    assert outcome.code == 67
    assert outcome.error["condition"] == "service-unavailable"


async def test_pings_are_answered_by_the_server_and_by_our_own_listener(
    server: Server, program: Program, tmp_path: Path
) -> None:
    outcome = await program.run("ping", "-c", "3", "--format", "json")
    assert outcome.code == 0
    assert [record["kind"] for record in outcome.records] == ["pong", "pong", "pong", "summary"]
    account = server.account()
    listener = Program(tmp_path, server, account)
    listener.env["XMPPSH_JID"] = f"{account.jid}/here"
    server.befriend(account, Account(program.env["XMPPSH_JID"], ""))
    async with listener.listening(ready=tmp_path / "ready"):
        assert (await program.run("ping", f"{account.jid}/here")).code == 0


async def test_raw_sends_stanzas_as_they_stand(server: Server, program: Program, bob: Account) -> None:
    async with Contact(server, bob) as contact:
        stanza = f"<message to='{bob.jid}' id='kept'><x xmlns='urn:example:x' a='1'/><body>raw</body></message>"
        assert (await program.run("raw", stanza)).code == 0
        message = await contact.wait_for_message(lambda _: True)
        assert message.id == "kept"
        assert "urn:example:x" in message.xml


async def test_a_direct_tls_port_works_like_starttls(server: Server, program: Program, bob: Account) -> None:
    program.env["XMPPSH_HOST"] = f"{server.host}:{server.tls_port}"
    async with Contact(server, bob) as contact:
        assert (await program.run("--tls", "direct", "send", bob.jid, "direct")).code == 0
        assert (await contact.wait_for_message(lambda _: True)).body == "direct"


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"])
async def test_each_password_mechanism_logs_in(server: Server, program: Program, mechanism: str) -> None:
    outcome = await program.run("-v", "--mechanism", mechanism, "ping")
    if mechanism == "SCRAM-SHA-512" and server.name == "prosody":
        assert outcome.code == 77  # Prosody 0.12 does not offer it
        assert "does not offer SCRAM-SHA-512" in outcome.stderr
    else:
        assert outcome.code == 0
        said = outcome.stderr.replace(" (SASL2)", "")  # which the newest servers have
        assert f"by {mechanism}, TLSv1.3" in said


async def test_an_anonymous_session_is_bound(server: Server, program: Program) -> None:
    del program.env["XMPPSH_PASSWORD"]
    outcome = await program.run("--anonymous", "-j", server.anonymous_domain, "-v", "ping")
    assert outcome.code == 0, outcome.stderr
    assert "by ANONYMOUS" in outcome.stderr


async def test_the_trace_holds_the_stream_and_no_secret(server: Server, program: Program, tmp_path: Path) -> None:
    trace = tmp_path / "trace.xml"
    password = program.env["XMPPSH_PASSWORD"]
    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
        outcome = await program.run("-vvv", "--trace", str(trace), "--mechanism", mechanism, "ping")
        assert outcome.code == 0
        everything = trace.read_text() + outcome.stderr
        assert "urn:xmpp:ping" in everything
        assert password not in everything
        assert json.dumps(password) not in everything
        assert ">***</auth>" in everything or ">***</initial-response>" in everything
    assert trace.stat().st_mode & 0o077 == 0
