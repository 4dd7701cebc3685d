"""More messages at once than a reader's memory may hold, right behind the presence: none stops anything."""

from pathlib import Path

from support.flood import DOMAIN, FloodServer
from support.program import Program

COUNT = 12_000  # of 150 bytes; the bus holds a MiB


async def test_a_flood_right_behind_the_presence_is_printed_in_order_and_touches_no_file(tmp_path: Path) -> None:
    bodies = [f"message {number} with some words, to be like one of people" for number in range(COUNT)]
    messages = [f"<message from='romeo@example.net/x' type='chat'><body>{body}</body></message>" for body in bodies]
    async with FloodServer(messages) as server:
        way = ("-j", DOMAIN, "--anonymous", "--tls", "off", "--host", f"127.0.0.1:{server.port}")
        outcome = await Program(tmp_path).run(*way, "listen", "-C", str(COUNT), "-F", "%b", deadline_s=90)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.splitlines() == bodies
    assert server.acked == COUNT
    assert not (tmp_path / "xmppsh" / "inbox").exists()
