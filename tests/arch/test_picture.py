"""The pictures in ARCHITECTURE.md are those of the tables."""

import importlib.util
from pathlib import Path

from xmppsh.protocol.stream import Stream
from xmppsh.protocol.table import TABLE

spec = importlib.util.spec_from_file_location("picture", Path(__file__).with_name("picture.py"))
assert spec is not None
assert spec.loader is not None
drawing = importlib.util.module_from_spec(spec)
spec.loader.exec_module(drawing)


def test_the_pictures_of_states_and_phases_are_drawn_from_their_tables() -> None:
    document = drawing.DOCUMENT.read_text()
    assert drawing.with_pictures(document) == document, "run: python tests/arch/picture.py"


def test_every_handler_of_the_table_exists() -> None:
    assert [step.handler for step in TABLE.values() if not hasattr(Stream, step.handler)] == []
