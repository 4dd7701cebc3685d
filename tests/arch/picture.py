"""Draws the states of the stream and the phases of a session from their tables, for ARCHITECTURE.md.

`python tests/arch/picture.py` writes them there.
"""

from pathlib import Path

from xmppsh.protocol.table import TABLE, State
from xmppsh.session import phase
from xmppsh.session.phase import Phase

DOCUMENT = Path(__file__).parents[2] / "ARCHITECTURE.md"


def diagram(lines: list[str]) -> str:
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```", ""])


def states() -> str:
    """Each way from one state of the stream to another, with the events that lead there."""
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
    return diagram([*ours, *lines])


def phases() -> str:
    """Each way from one phase of a session to another, with the turns that lead there."""
    ways: dict[tuple[Phase, Phase], list[str]] = {}
    for (before, turn), after in phase.TABLE.items():
        if after is not before:
            ways.setdefault((before, after), []).append(turn)
    lines = [f"    {before} --> {after}: {', '.join(turns)}" for (before, after), turns in ways.items()]
    return diagram(["    [*] --> offline", *lines, "    over --> [*]"])


PICTURES = {"states": states, "phases": phases}


def with_pictures(document: str) -> str:
    """The document with its pictures drawn anew."""
    for name, draw in PICTURES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        head, mark, rest = document.partition(begin)
        assert mark, f"ARCHITECTURE.md has no place for the picture {name!r}"
        document = head + begin + draw() + end + rest.partition(end)[2]
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(with_pictures(DOCUMENT.read_text()))
