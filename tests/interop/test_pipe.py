"""`pipe`: its kinds of input, what it refuses or leaves out, what comes back, and figures that add up."""

import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Outcome, Program, finish
from support.servers import Account, Server

pytestmark = pytest.mark.either_server


@pytest.fixture
async def bob(server: Server) -> AsyncIterator[Contact]:
    async with Contact(server, server.account()) as contact:
        yield contact


def summary(outcome: Outcome) -> dict[str, int]:
    """The last record, whose figures add up to what was read."""
    found = outcome.records[-1]
    assert found["sent"] + found["not_sent"] == (
        found["acked"] + found["failed"] + found["unconfirmed"] + found["not_sent"]
    )
    return {name: count for name, count in found.items() if name != "seconds" and count}


async def received(bob: Contact, last: str) -> list[str]:
    await bob.wait_for_message(lambda one: one.body == last)
    return [one.body for one in bob.messages]


INPUTS: dict[str, tuple[list[str], str, list[str]]] = {
    "json": (
        [],
        '{{"to": "{bob}", "body": "one"}}\n\n{{"to": "{bob}", "body": "two \\u00e4", "type": "normal", "id": "m2"}}',
        ["one", "two ä"],
    ),
    "json with xml": (
        ["--input", "json"],
        '{{"xml": "<message to=\'{bob}\'><body>x</body></message>"}}\n{{"to": "{bob}", "body": "end"}}\n',
        ["x", "end"],
    ),
    "json without a recipient": (["--to", "{bob}"], '{{"body": "x"}}', ["x"]),
    "lines": (["--to", "{bob}"], "one\n\n<two\r\n", ["one", "<two"]),
    "lines that begin with a brace": (["--input", "lines", "--to", "{bob}"], "{{x", ["{x"]),
    "xml": ([], "\n <message to='{bob}'><body>x</body></message>", ["x"]),
    "--root": (["--root", "log"], "<log><message to='{bob}'><body>x</body></message></log>", ["x"]),
    "our own from": ([], "<message from='{alice}' to='{bob}'><body>x</body></message>", ["x"]),
}


@pytest.mark.parametrize(("arguments", "text", "expected"), INPUTS.values(), ids=INPUTS)
async def test_each_kind_of_input_is_understood(
    program: Program, bob: Contact, alice: Account, arguments: list[str], text: str, expected: list[str]
) -> None:
    named = {"bob": bob.jid.partition("/")[0], "alice": alice.jid}
    given = [word.format(**named) for word in arguments]
    outcome = await program.run("pipe", "--format", "json", *given, stdin=text.format(**named).encode())
    assert outcome.code == 0, outcome.stderr
    assert summary(outcome) == {"sent": len(expected), "acked": len(expected)}
    assert await received(bob, expected[-1]) == expected


WRONG: dict[str, tuple[list[str], str, int, str]] = {
    "no JSON": (["--input", "json"], '{"xml": "<message/>"}\n{"to"\n', 65, "line 2, column 6: it is not JSON"),
    "a tab in JSON": ([], '{"to": "a\tb"}', 65, "line 1, column 10: it is not JSON: invalid control character\n"),
    "JSON too deep": (["--input", "json"], "[" * 100_000, 65, "line 1, column 1: it is no JSON that can be read"),
    "a number too long": (["--input", "json"], "1" * 5000, 65, "line 1, column 1: it is no JSON that can be read"),
    "nothing to send": ([], '{"to": "a@b", "body": null}', 65, "line 1, column 1: there is nothing to send"),
    "a field beside xml": ([], '{"xml": "<message/>", "to": "a@b"}', 65, "line 1, column 1: 'to' stands beside 'xml'"),
    "a rate that is no number": (["--rate", "nan"], "", 64, "--rate: nan is not a number of stanzas"),
    "a rate without an end": (["--rate", "1e999"], "", 64, "--rate: inf is not a number of stanzas"),
    "an unknown field": ([], '{"to": "a@b", "bodi": "x"}', 65, "line 1, column 1: 'bodi' is not a field"),
    "no recipient": ([], '{"body": "x"}', 65, "line 1, column 1: it has no recipient"),
    "lines without --to": ([], "hello", 64, "lines say nothing of their recipient"),
    "a from of somebody else": ([], "<message from='boss@b' to='a@b'/>", 65, "line 1, column 1: it is from boss@b"),
    "--to with xml": (["--input", "xml", "--to", "a@b"], "", 64, "--to is for --input json and lines"),
    "--to with what turns out to be xml": (["--to", "a@b"], "<message/>", 64, "--to is for --input json and lines"),
    "--root with a tag": (["--root", "<log>"], "", 64, "--root: '<log>' is not the name of an element"),
    "--root with what is no xml": (["--root", "r"], '{"to": "a@b", "body": "x"}', 64, "--root is for --input xml"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "text", "code", "sentence"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_is_named_with_its_place(
    program: Program, arguments: list[str], text: str, code: int, sentence: str
) -> None:
    outcome = await program.run("pipe", *arguments, stdin=text.encode())
    assert outcome.code == code
    assert sentence in outcome.stderr


BROKEN = """<message to='{bob}'><body>1</body></message>
<foo/>
<message to='{bob}'><body>2</body></message>
<message to='{bob}'><body>broken</message>
<message to='{bob}'><body>3</body></message>
<message to='{bob}' from='boss@b'><body>4</body></message>
"""


async def test_skip_bad_reports_and_goes_on(program: Program, bob: Contact) -> None:
    text = BROKEN.format(bob=bob.jid.partition("/")[0])
    outcome = await program.run("pipe", "--skip-bad", "--format", "json", stdin=text.encode())
    assert outcome.code == 80
    assert await received(bob, "3") == ["1", "2", "3"]
    told = [json.loads(line)["error"]["text"] for line in outcome.stderr.splitlines() if line.startswith("{")]
    assert told[0].startswith("line 2, column 1: <foo> is not a stanza")
    assert told[1].startswith("line 4, column ")
    assert told[2].startswith("line 6, column 1: it is from boss@b")
    assert summary(outcome) == {"sent": 3, "acked": 3, "skipped": 3}


@pytest.mark.parametrize("options", [(), ("-n",)])
async def test_skip_bad_of_nothing_but_bad_ones_is_80_too(program: Program, options: tuple[str, ...]) -> None:
    outcome = await program.run(*options, "pipe", "--skip-bad", "--input", "json", stdin=b"{}\n{}\n")
    assert outcome.code == 80
    left_out = [line for line in outcome.stderr.splitlines() if line.startswith("xmppsh: left out: ")]
    assert len(left_out) == 2
    assert "xmppsh: 2 of 2 stanzas skipped; the first: line 1" in outcome.stderr


async def test_what_failed_and_what_was_skipped_are_counted_apart_as_in_the_summary(
    program: Program, server: Server, bob: Contact
) -> None:
    text = f'{{}}\n{{"to": "nobody@{server.domain}", "body": "x"}}\n{{"to": "{bob.jid}", "body": "y"}}\n'
    outcome = await program.run("pipe", "--skip-bad", "--input", "json", stdin=text.encode())
    assert outcome.code == 80
    assert "xmppsh: 1 of 3 stanzas failed, 1 skipped; the first: line 1" in outcome.stderr
    assert "sent 2, acked 1, failed 1, skipped 1" in outcome.stderr


async def test_replies_tell_the_line_of_what_they_answer(program: Program, server: Server, bob: Contact) -> None:
    text = (
        f"<message to='{bob.jid}'><body>fine</body></message>\n"
        f"<message to='nobody@{server.domain}' id='lost'><body>x</body></message>\n"
        f"<iq type='get' to='{server.domain}' id='asked'><ping xmlns='urn:xmpp:ping'/></iq>\n"
    )
    outcome = await program.run("pipe", "--replies", "--format", "json", stdin=text.encode())
    assert outcome.code == 80
    replies = {(one["line"], one["id"], one["type"], one["condition"]) for one in outcome.records[:-1]}
    (lost,) = (one for one in replies if one[1] == "lost")
    assert lost[:3] == (2, "lost", "error")
    assert (3, "asked", "result", None) in replies
    assert summary(outcome) == {"sent": 3, "acked": 2, "failed": 1}


async def test_a_full_disk_under_the_replies_is_told_once_before_the_last_line(
    program: Program, server: Server
) -> None:
    text = f"<iq type='get' to='{server.domain}'><ping xmlns='urn:xmpp:ping'/></iq>"
    to_full_disk = ("sh", "-c", 'exec "$@" >/dev/full', "sh", *program.command)
    outcome = await finish(await program.start_as(to_full_disk, "pipe", "--replies"), text.encode())
    assert outcome.code == 74
    told, last = outcome.stderr.splitlines()
    assert told == "xmppsh: stdout: no space left on device"
    assert last.startswith("sent 1, acked 1, failed 0, ")


async def test_a_bounce_from_the_middle_of_a_long_input_tells_its_line(
    program: Program, server: Server, bob: Contact
) -> None:
    lines = [f"<message to='{bob.jid}' id='i{number}'><body>{number}</body></message>" for number in range(1, 41)]
    lines[24] = f"<message to='nobody@{server.domain}' id='lost'><body>x</body></message>"
    outcome = await program.run(
        "pipe", "--replies", "--format", "json", "--window", "1", stdin="\n".join(lines).encode()
    )
    assert outcome.code == 80
    assert [(one["line"], one["id"]) for one in outcome.records[:-1]] == [(25, "lost")]
    assert summary(outcome) == {"sent": 40, "acked": 39, "failed": 1}
    assert await received(bob, "40") == [str(number) for number in range(1, 41) if number != 25]


async def test_an_iq_that_is_never_answered_has_failed(program: Program, server: Server, bob: Contact) -> None:
    bob.client.add_filter("in", lambda stanza: None)  # it hears, and says nothing
    text = f"<iq type='get' to='{bob.jid}' id='asked'><ping xmlns='urn:xmpp:ping'/></iq>"
    outcome = await program.run("pipe", "--timeout", "3", "--format", "json", stdin=text.encode())
    assert outcome.code == 75
    assert outcome.error["text"] == "1 IQ was not answered within 3 s"
    assert summary(outcome) == {"sent": 1, "failed": 1}


async def test_rate_spreads_the_stanzas(program: Program, bob: Contact) -> None:
    text = "".join(f'{{"to": "{bob.jid}", "body": "{number}"}}\n' for number in range(6))
    start = time.monotonic()
    outcome = await program.run("pipe", "--rate", "10", stdin=text.encode())
    assert outcome.code == 0
    assert time.monotonic() - start >= 0.5
    await received(bob, "5")
    arrived = [one.at for one in bob.messages]
    assert arrived[-1] - arrived[0] >= 0.35


async def test_the_first_stanza_does_not_wait_for_its_turn(program: Program, bob: Contact) -> None:
    text = f"<message to='{bob.jid}'><body>x</body></message>"
    assert (await program.run("pipe", "--rate", "0.001", stdin=text.encode())).code == 0  # the next in 1000 s


async def test_keep_from_leaves_the_judgement_to_the_server(program: Program, bob: Contact) -> None:
    text = f"<message from='boss@example.org' to='{bob.jid}'><body>x</body></message>"
    outcome = await program.run("pipe", "--keep-from", stdin=text.encode())
    assert "it is from boss" not in outcome.stderr
    assert all(not one.sender.startswith("boss@") for one in bob.messages)


async def test_what_nobody_reads_is_not_taken_by_a_pipe(program: Program, server: Server, alice: Account) -> None:
    """Without presence nothing comes to a pipe but what was sent to its very address; the rest waits."""
    async with Contact(server, server.account()) as bob:
        await bob.send(alice.jid, "for later")
        await bob.settle()
        assert (await program.run("pipe", stdin=b"<presence/>")).code == 0
    outcome = await program.run("listen", "--drain", "--format", "json")
    assert [json.loads(line)["body"] for line in outcome.stdout.splitlines()] == ["for later"]


def _as_xml(number: int, to: str) -> str:
    return f"<message to='{to}' type='chat'><body>{number}</body></message>\n"


def _as_json(number: int, to: str) -> str:
    return json.dumps({"to": to, "body": str(number)}) + "\n"


@pytest.mark.parametrize("made", [_as_xml, _as_json], ids=["xml", "json"])
@pytest.mark.parametrize("count", [3, 300])
async def test_a_checkpoint_goes_on_with_the_same_input_alone(
    program: Program, bob: Contact, tmp_path: Path, made: Callable[[int, str], str], count: int
) -> None:
    arguments = ("pipe", "--checkpoint", str(tmp_path / "checkpoint"))
    first, rest = ("".join(made(n, bob.jid) for n in some) for some in (range(count), range(count, count + 2)))
    assert (await program.run(*arguments, stdin=first.encode())).code == 0
    changed = await program.run(*arguments, stdin=(first + rest).replace("2", "7", 1).encode())
    assert (changed.code, "the input is not the one" in changed.stderr) == (65, True)
    assert changed.stderr.splitlines()[-1].startswith("sent 0, acked 0")
    again = await program.run(*arguments, stdin=(first + rest).encode())
    assert (again.code, again.stderr.splitlines()[-1].split(",")[0]) == (0, "sent 2")
