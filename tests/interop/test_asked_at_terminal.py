"""Forms on a real terminal: what is missing is asked for, a wrong answer again; who stops leaves nothing half done."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.contact import Contact
from support.program import Program
from support.servers import Account, Server
from support.terminal import CTRL_C, CTRL_D, Terminal

pytestmark = pytest.mark.either_server

NS, FORMS = "http://jabber.org/protocol/commands", "jabber:x:data"
FORM = """<x xmlns='jabber:x:data' type='form'><title>New account</title><instructions>All of it.</instructions>
<field var='FORM_TYPE' type='hidden'><value>urn:kept</value></field>
<field type='fixed'><value>Only a text</value></field>
<field var='captcha-fallback-url' type='text-single'><value>https://example.org/seen</value></field>
<field var='name' type='text-single' label='Your name'><required/></field>
<field var='word' type='text-private' label='A word'><required/></field>
<field var='sure' type='boolean' label='Sure'><required/></field>
<field var='one' type='list-single' label='Choose'><required/><option><value>a</value></option>
<option><value>b</value></option></field>
<field var='many' type='list-multi' label='Colours'><required/><option><value>red</value></option>
<option><value>blue</value></option><option><value>grey, dark</value></option></field>
<field var='who' type='jid-single' label='Who'><required/></field>
<field var='all' type='jid-multi' label='Everybody'><required/></field>
<field var='text' type='text-multi' label='Words'><required/></field>
<field var='kept' type='text-single' label='Stays'><required/><value>as it is</value></field>
<field var='free' type='text-single' label='May be left out'/></x>"""
QUESTIONS = [
    ("Your name", "Juli\x01et", "the text holds U+0001 at character 5, which XML cannot carry"),
    ("Your name", "Juliet", None),
    ("A word", "s3cret", None),
    ("Sure (yes|no)", "perhaps", "sure: 'perhaps' is not yes or no"),
    ("Sure (yes|no)", "yes", None),
    ("Choose (a|b)", "c", "one: 'c' is not one of a, b"),
    ("Choose (a|b)", "b", None),
    ("Colours (red|blue|grey, dark)", "red, grey", "many: 'grey' is not one of red, blue, grey, dark"),
    ("Colours (red|blue|grey, dark)", "grey, dark, blue", None),
    ("Who", "@", "who: "),
    ("Who", "Romeo@Example.net", None),
    ("Everybody", "a@example.org, b@example.org", None),
    ("Words (an empty line ends it)", "one line", None),
    ("…", "and another\x01", "the text holds U+0001 at character 12"),
    ("…", "and another", None),
    ("…", "", None),
]
ANSWERED = {
    "FORM_TYPE": ["urn:kept"],
    "captcha-fallback-url": ["https://example.org/seen"],
    "name": ["Juliet"],
    "word": ["s3cret"],
    "sure": ["1"],
    "one": ["b"],
    "many": ["grey, dark", "blue"],
    "who": ["romeo@example.net"],
    "all": ["a@example.org", "b@example.org"],
    "text": ["one line", "and another"],
    "kept": ["as it is"],
    "free": [],
}


class Asking:
    """A client with one command, whose form has every type of field, and what was sent to it."""

    def __init__(self, contact: Contact) -> None:
        self.jid, self.steps = contact.jid, asyncio.Queue[Any]()
        self._client = contact.client
        contact.client.add_filter("in", self._answer)

    def _answer(self, stanza: Any) -> Any:
        asked = stanza.xml.find(f"{{{NS}}}command")
        if asked is None:
            return stanza
        self.steps.put_nowait(asked)
        action = asked.get("action")
        status = {"execute": "executing", "cancel": "canceled"}.get(action, "completed")
        if asked.find(f"{{{FORMS}}}x") is not None:
            status = "completed"
        content = FORM if status == "executing" else ""
        facts = f"type='result' id='{stanza.xml.get('id')}' to='{stanza.xml.get('from')}'"
        self._client.send_raw(
            f"<iq {facts}><command xmlns='{NS}' node='x' sessionid='s' status='{status}'>{content}</command></iq>"
        )
        return None

    async def step(self) -> Any:
        async with asyncio.timeout(15):
            return await self.steps.get()


@pytest.fixture
async def asking(server: Server) -> AsyncIterator[Asking]:
    async with Contact(server, server.account()) as contact:
        yield Asking(contact)


async def test_every_type_of_field_is_asked_for_and_a_wrong_answer_again(program: Program, asking: Asking) -> None:
    async with Terminal(program, "adhoc", "run", asking.jid, "x") as terminal:
        for label, answer, complaint in QUESTIONS:
            end = label if label == "…" else f"{label}:"
            await terminal.until(lambda end=end: terminal.line.endswith(end), f"the question {label}")
            terminal.type(answer + "\r")
            if complaint is not None:
                await terminal.shows(f"Error: {complaint}")
        assert await terminal.exit_code() == 0
        shown = "\n".join(terminal.history)
    assert "New account" in shown
    assert "All of it.\nOnly a text\n" in shown
    assert "https://example.org/seen" in shown
    assert "s3cret" not in shown
    await asking.step()
    form = (await asking.step()).find(f"{{{FORMS}}}x")
    values = {one.get("var"): [value.text for value in one] for one in form}
    assert values == ANSWERED


async def test_what_was_given_is_checked_before_anything_is_asked(program: Program, asking: Asking) -> None:
    async with Terminal(program, "adhoc", "run", asking.jid, "x", "sure=perhaps", "who=@") as terminal:
        assert await terminal.exit_code() == 64
        shown = "\n".join(terminal.history)
    assert "sure: 'perhaps' is not yes or no; who: " in shown
    assert "must be given" not in shown
    assert "Your name:" not in shown


async def test_a_captcha_is_for_a_terminal(program: Program, asking: Asking) -> None:
    outcome = await program.run("adhoc", "run", asking.jid, "x")
    assert (outcome.code, outcome.stderr.splitlines()[-1]) == (
        64,
        "  try: run it on a terminal: it asks for a CAPTCHA, and each run for another one",
    )


@pytest.mark.parametrize(("key", "code"), [(CTRL_C, 130), (CTRL_D, 64)])
async def test_who_stops_answering_gives_up_the_whole_command(
    program: Program, asking: Asking, key: str, code: int
) -> None:
    async with Terminal(program, "adhoc", "run", asking.jid, "x") as terminal:
        await terminal.until(lambda: terminal.line.endswith("Your name:"), "the first question")
        terminal.type("Juliet\r")
        await terminal.until(lambda: terminal.line.endswith("A word:"), "the second question")
        terminal.type(key)
        assert await terminal.exit_code() == code
    await asking.step()
    step = await asking.step()
    assert (step.get("action"), list(step)) == ("cancel", [])


@pytest.mark.parametrize(("key", "code"), [(CTRL_C, 130), (CTRL_D, 0)])
async def test_who_does_not_confirm_deletes_nothing(program: Program, alice: Account, key: str, code: int) -> None:
    async with Terminal(program, "account", "delete") as terminal:
        await terminal.until(lambda: terminal.line.endswith("[y/N]:"), "the question")
        terminal.type(key)
        assert await terminal.exit_code() == code
        assert "error" not in "\n".join(terminal.history)
    assert (await program.run("roster", "list")).code == 0
