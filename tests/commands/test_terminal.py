"""What a record of foreign text does to a terminal: nothing."""

import os
import tty
from collections.abc import Iterator

import pytest

from xmppsh.app.app import App
from xmppsh.app.console import Console
from xmppsh.app.shutdown import Shutdown
from xmppsh.config.load import load
from xmppsh.output.streams import InputStream, OutputStream
from xmppsh.xmlio.reader import read_element

EVIL = read_element("<message from='a@b/\u202e'><body>\u009b31m\u202ex&#13;</body><subject>\u200b</subject></message>")


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The two ends of a pty: ours and the program's."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


async def printed(terminal: tuple[int, int], **settings: str) -> str:
    ours, theirs = terminal
    console = Console({}, InputStream(theirs), OutputStream(theirs), print, Shutdown())
    app = App.of(load(settings, {"HOME": "/nowhere"}), console)
    await app.print(app.record(EVIL))
    data = b""
    while not data.endswith(b"\n"):
        data += os.read(ours, 65536)
    return data.decode()


FORMATS = [
    {"format": "text"},
    {"format": "json"},
    {"format": "xml"},
    {"template": "%f %s %b %x"},
]


@pytest.mark.parametrize("settings", FORMATS)
async def test_nothing_that_a_terminal_obeys_is_printed(terminal: tuple[int, int], settings: dict[str, str]) -> None:
    text = await printed(terminal, **settings)
    assert text.endswith("\n")
    assert not set(text) & set("\u009b\u202e\u200b\r\x1b")
