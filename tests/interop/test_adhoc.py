"""Ad-hoc commands (XEP-0050), of a client and of the server."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.contact import Contact
from support.program import Program
from support.servers import Account, Server

pytestmark = pytest.mark.either_server


async def records(program: Program, *arguments: str) -> list[dict[str, Any]]:
    outcome = await program.run(*arguments, "--format", "json")
    assert outcome.code == 0, outcome.stderr
    return outcome.records


@pytest.fixture
async def offering(server: Server) -> AsyncIterator[Contact]:
    """A client with a command of two stages."""
    async with Contact(server, server.account()) as contact:
        client: Any = contact.client
        client.register_plugin("xep_0050")

        def second(payload: Any, session: Any) -> Any:
            name = payload["values"]["name"]
            form = client["xep_0004"].make_form("result", "Done")
            form.add_field(var="greeting", ftype="text-single", value=f"hello {name}")
            return session | {"payload": form, "next": None, "has_next": False}

        def first(_: Any, session: Any) -> Any:
            form = client["xep_0004"].make_form("form", "Who")
            form.add_field(var="name", ftype="text-single", label="Your name", required=True)
            return session | {"payload": form, "next": second, "has_next": False}

        client["xep_0050"].add_command(node="greet", name="Greets", handler=first)
        yield contact


async def test_a_command_of_several_stages_is_run(program: Program, offering: Contact) -> None:
    (listed,) = await records(program, "adhoc", "list", offering.jid)
    assert (listed["node"], listed["name"]) == ("greet", "Greets")
    (result,) = await records(program, "adhoc", "run", offering.jid, "greet", "name=Juliet")
    assert result["values"] == {"greeting": ["hello Juliet"]}


async def test_a_form_that_wants_more_lists_its_fields(program: Program, offering: Contact) -> None:
    outcome = await program.run("adhoc", "run", offering.jid, "greet", "--format", "json")
    assert outcome.code == 64
    assert [(one["name"], one["required"]) for one in outcome.records] == [("name", True)]
    assert outcome.error["text"] == "name must be given"


async def test_what_offers_no_commands_says_so(program: Program, server: Server) -> None:
    async with Contact(server, server.account()) as plain:
        outcome = await asyncio.wait_for(program.run("adhoc", "run", plain.jid, "x"), 30)
    assert outcome.code in (67, 69, 76)


async def test_a_command_that_is_not_there_is_said_with_how_to_see_all(program: Program, offering: Contact) -> None:
    outcome = await program.run("adhoc", "run", offering.jid, "gret")
    assert (outcome.code, outcome.stderr.splitlines()[-1]) == (67, f"  try: xmppsh adhoc list {offering.jid}")


async def test_a_command_that_a_server_does_not_have_is_said_with_how_to_see_all(
    program: Program, server: Server
) -> None:
    outcome = await program.run("adhoc", "run", server.domain, "gret")
    assert outcome.stderr.startswith(f"xmppsh: {server.domain} has no command 'gret'\n")
    assert (outcome.code, outcome.stderr.splitlines()[-1]) == (67, f"  try: xmppsh adhoc list {server.domain}")


ADD_USER = "http://jabber.org/protocol/admin#add-user"  # XEP-0133 §4.1


async def test_the_server_s_own_commands_are_run_by_its_admin(server: Server, tmp_path: Path, alice: Account) -> None:
    account = server.account(server.admin.partition("@")[0])
    admin = Program(tmp_path, server, account)
    fresh = f"{secrets.token_hex(4)}@{server.domain}"
    listed = await records(admin, "adhoc", "list", server.domain)
    assert ADD_USER in [one["node"] for one in listed]
    run = ("adhoc", "run", server.domain, ADD_USER)
    asked = await admin.run(*run, "--format", "json")
    assert asked.code == 64, asked.stderr
    assert {"accountjid", "password"} <= {one["name"] for one in asked.records}
    words = (f"accountjid={fresh}", "password=first-word", "password-verify=first-word")
    refused = await admin.run(*run, *words, "colour=red")
    assert (refused.code, refused.stderr.partition("\n")[0]) == (64, "xmppsh: it does not ask for colour")
    done = await admin.run(*run, *words)
    assert done.code == 0, done.stderr
    (tmp_path / "fresh").mkdir()
    made = Program(tmp_path / "fresh", server, Account(fresh, "first-word"))
    assert (await made.run("roster", "list")).code == 0
    (tmp_path / "alice").mkdir()
    nobody = await Program(tmp_path / "alice", server, alice).run(*run)
    assert nobody.code in (67, 69, 77), nobody.stderr


# ── What a command may answer at its stages, good or bad ────────────────────────────────────────────────────────────

NS = "http://jabber.org/protocol/commands"
Answer = Callable[[str | None, str], str | None]


@pytest.fixture
async def answering(server: Server) -> AsyncIterator[tuple[Contact, dict[str, Answer]]]:
    """A client, and its commands by node: each gives the payload for an action and what came with it, None for an
    error."""
    commands: dict[str, Answer] = {}
    async with Contact(server, server.account()) as contact:

        def answer(stanza: Any) -> Any:
            asked = stanza.xml.find(f"{{{NS}}}command")
            if asked is None:
                return stanza
            payload = commands[asked.get("node")](asked.get("action"), ElementTree.tostring(asked).decode())
            error = "<error type='cancel'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
            kind, content = ("error", error) if payload is None else ("result", payload)
            facts = f"type='{kind}' id='{stanza.xml.get('id')}' to='{stanza.xml.get('from')}'"
            contact.client.send_raw(f"<iq {facts}>{content}</iq>")
            return None

        contact.client.add_filter("in", answer)
        yield contact, commands


def stage(status: str, content: str = "", node: str = "x") -> str:
    return f"<command xmlns='{NS}' node='{node}' sessionid='s' status='{status}'>{content}</command>"


def form(name: str) -> str:
    field = f"<field var='{name}'><required/></field>"
    return f"<x xmlns='jabber:x:data' type='form'>{field}</x>"


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (stage("canceled"), "did not complete x: its status is canceled"),
        (stage("finished"), "did not complete x: its status is finished"),
        (f"<command xmlns='{NS}' node='x'/>", "did not complete x: its status is not told"),
        ("", "does not say what became of the command"),
        (stage("completed", "<note type='error'>it broke</note>"), "it broke"),
    ],
)
async def test_what_did_not_complete_is_no_success(
    program: Program, answering: tuple[Contact, dict[str, Answer]], payload: str, sentence: str
) -> None:
    contact, commands = answering
    commands["x"] = lambda *_: payload
    outcome = await program.run("adhoc", "run", contact.jid, "x")
    assert (outcome.code, outcome.stdout) == (76, "")
    assert sentence in outcome.stderr


async def test_a_stage_is_gone_back_to_and_answered_again_and_each_stage_s_notes_are_shown(
    program: Program, answering: tuple[Contact, dict[str, Answer]]
) -> None:
    contact, commands = answering
    first = stage("executing", f"<actions><next/></actions><note>who are you?</note>{form('a')}")
    second = stage("executing", f"<actions><prev/><complete/></actions><note type='error'>a is odd</note>{form('b')}")
    done = stage("completed", "<note type='warn'>for a day</note>")

    def answer(action: str | None, sent: str) -> str:
        return first if action in ("execute", "prev") else done if 'var="b"' in sent else second

    commands["x"] = answer
    run = ("adhoc", "run", contact.jid, "x", "a=1", "b=2", "--prev")
    outcome = await program.run(*run, "--format", "json")
    assert outcome.code == 0, outcome.stderr
    told = [(one["level"], one["note"]) for one in outcome.records]
    assert told == [("info", "who are you?"), ("info", "who are you?"), ("warn", "for a day")]
    assert outcome.stderr.count("a is odd") == 2
    assert (await program.run(*run)).stdout.splitlines()[-1] == "warning: for a day"


@pytest.mark.parametrize("wanted", ["next", "complete"])
async def test_where_a_stage_leaves_the_choice_the_option_decides(
    program: Program, answering: tuple[Contact, dict[str, Answer]], wanted: str
) -> None:
    contact, commands = answering
    by_itself = {"next": "complete", "complete": "next"}[wanted]
    offered = f"<actions execute='{by_itself}'><next/><complete/></actions>"
    chosen: list[str | None] = []

    def answer(action: str | None, _: str) -> str:
        chosen.append(action)
        return stage("executing", offered) if action == "execute" else stage("completed")

    commands["x"] = answer
    for option, action in ((f"--{wanted}", wanted), (None, by_itself)):
        chosen.clear()
        outcome = await program.run("adhoc", "run", contact.jid, "x", *([] if option is None else [option]))
        assert (outcome.code, chosen) == (0, ["execute", action]), outcome.stderr


async def test_what_cannot_be_sent_gives_up_the_whole_command(
    program: Program, answering: tuple[Contact, dict[str, Answer]]
) -> None:
    contact, commands = answering
    actions: list[str | None] = []

    def answer(action: str | None, _: str) -> str:
        actions.append(action)
        return stage("canceled") if action == "cancel" else stage("executing", form("a"))

    commands["x"] = answer
    outcome = await program.run("adhoc", "run", contact.jid, "x", "a=\x01")
    assert (outcome.code, outcome.stdout, actions) == (65, "", ["execute", "cancel"])
    assert outcome.stderr.startswith("xmppsh: the text holds U+0001 at character 1, which XML cannot carry\n")


async def test_what_is_missing_is_named_though_the_command_cannot_be_canceled(
    program: Program, answering: tuple[Contact, dict[str, Answer]]
) -> None:
    contact, commands = answering
    commands["x"] = lambda action, _: None if action == "cancel" else stage("executing", form("a"))
    outcome = await program.run("adhoc", "run", contact.jid, "x")
    assert (outcome.code, outcome.stderr.partition("\n")[0]) == (64, "xmppsh: a must be given")
