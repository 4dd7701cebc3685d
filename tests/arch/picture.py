"""Draws the stream's states from the table, for ARCHITECTURE.md: `python tests/arch/picture.py` writes it there."""

from pathlib import Path

from xmppsh.protocol.table import TABLE, State

DOCUMENT = Path(__file__).parents[2] / "ARCHITECTURE.md"
BEGIN, END = "<!-- states -->\n", "<!-- /states -->"


def picture() -> str:
    """A mermaid diagram: each way from one state to another, with the events that lead there."""
    ways: dict[tuple[State, State], list[str]] = {}
    for (state, event), step in TABLE.items():
        for target in step.to:
            if target is not state:
                ways.setdefault((state, target), []).append(event.__name__)
    lines = [f"    {state} --> {target}: {', '.join(events)}" for (state, target), events in ways.items()]
    ours = ["    [*] --> connected", "    connected --> plain: STARTTLS", "    connected --> handshake: direct TLS"]
    ours += [
        "    connected --> secured: TLS off, loopback alone",
        "    live --> closing: close",
        "    closing --> closed",
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", *ours, *lines, "```", ""])


def with_picture(document: str) -> str:
    """The document with its picture drawn anew."""
    head, _, rest = document.partition(BEGIN)
    return head + BEGIN + picture() + END + rest.partition(END)[2]


if __name__ == "__main__":
    DOCUMENT.write_text(with_picture(DOCUMENT.read_text()))
