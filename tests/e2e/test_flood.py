"""More messages at once than a reader's memory may hold, right behind the presence: none stops anything."""

import json
from pathlib import Path

from support.flood import DOMAIN, JID, FloodServer
from support.program import Outcome, Program

COUNT = 12_000  # of 150 bytes; the bus holds a MiB
ME = JID.partition("/")[0]
ROMEO = "from='romeo@example.net/x'"
CARBON = (
    f"<message from='{ME}' to='{JID}'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>"
    f"<message xmlns='jabber:client' {ROMEO} to='{ME}/other' type='chat'><body>a copy</body></message>"
    "</forwarded></received></message>"
)
LATE = "<delay xmlns='urn:xmpp:delay' stamp='2025-01-01T00:00:00Z'/>"
MIXED = [
    *(f"<message {ROMEO} to='{JID}' type='chat' id='m{n}'><body>{n} &amp; 'é'</body></message>" for n in range(60)),
    f"<message {ROMEO} id='d'><body>late</body>{LATE}</message>",
    f"<message {ROMEO}><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
    CARBON,
    f"<iq type='get' id='p' {ROMEO}><ping xmlns='urn:xmpp:ping'/></iq>",
    *(f"<message from='eve@example.net/{n}' type='groupchat'><body>{n}</body><thread/></message>" for n in range(20)),
    f"<presence {ROMEO}/>",
    *(
        f'<message id="{n}" from="romeo@example.net/x"><body>\n{n}</body><x xmlns="urn:x"/></message>'
        for n in range(40)
    ),
]


async def listen(folder: Path, messages: list[str], *options: str, early: str = "") -> tuple[Outcome, FloodServer]:
    async with FloodServer(messages, early=early) as server:
        way = ("-j", DOMAIN, "--anonymous", "--tls", "off", "--host", f"127.0.0.1:{server.port}")
        return await Program(folder).run(*way, "listen", *options, deadline_s=90), server


async def test_a_flood_right_behind_the_presence_is_printed_in_order_and_touches_no_file(tmp_path: Path) -> None:
    bodies = [f"message {number} with some words, to be like one of people" for number in range(COUNT)]
    messages = [f"<message from='romeo@example.net/x' type='chat'><body>{body}</body></message>" for body in bodies]
    outcome, server = await listen(tmp_path, messages, "-C", str(COUNT), "-F", "%b")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.splitlines() == bodies
    assert server.acked == COUNT
    assert not (tmp_path / "xmppsh" / "inbox").exists()


async def test_messages_that_come_together_are_shown_as_each_is_by_itself(tmp_path: Path) -> None:
    shown = []
    for options in ([], ["--trace", str(tmp_path / "trace")]):  # a trace shows what comes one by one
        outcome, _ = await listen(tmp_path, MIXED * 20, *options, "-C", "2440", "--format", "json")
        assert (outcome.code, outcome.stderr) == (0, "")
        shown.append([json.loads(line) | {"stamp": ""} for line in outcome.stdout.splitlines()])
    together, one_by_one = shown
    assert len(together) == 2440
    assert together == one_by_one


async def test_filters_and_the_number_of_records_hold_for_messages_that_come_together(tmp_path: Path) -> None:
    outcome, _ = await listen(tmp_path, MIXED * 3, "-C", "30", "--from", "eve@example.net", "-F", "%f")
    assert outcome.stdout.splitlines() == [f"eve@example.net/{n % 20}" for n in range(30)]


async def test_what_the_server_had_stored_is_printed_before_what_came_to_the_full_address_meanwhile(
    tmp_path: Path,
) -> None:
    note = f"<delay xmlns='urn:xmpp:delay' from='{DOMAIN}' stamp='2025-01-01T00:00:00Z'>Offline storage</delay>"
    stored = [f"<message {ROMEO} to='{ME}' type='chat'><body>{n}</body>{note}</message>" for n in range(600)]
    live = [f"<message {ROMEO} to='{JID}' type='chat'><body>{n}</body></message>" for n in (600, 601)]
    outcome, server = await listen(tmp_path, [*stored, live[1]], "-C", "602", "-F", "%b", early=live[0])
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.splitlines() == [*map(str, range(602))]
    assert server.acked == 602
