"""`-F` and `--format`: which of them a record is printed by."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from xmppsh.app.app import App
from xmppsh.app.console import Console
from xmppsh.app.shutdown import Shutdown
from xmppsh.config.load import load
from xmppsh.output.streams import InputStream, OutputStream
from xmppsh.xmlio.reader import read_element

MESSAGE = read_element("<message from='a@b/c'><body>But soft!</body></message>")


async def printed(home: Path, config: str, options: dict[str, Any]) -> str:
    (home / "xmppsh").mkdir()
    (home / "xmppsh" / "config.toml").write_text(config)
    reader, writer = os.pipe()
    settings = load(options, {"XDG_CONFIG_HOME": str(home)})
    app = App.of(settings, Console({}, InputStream(reader), OutputStream(writer), print, Shutdown()))
    await app.print(app.record(MESSAGE))
    os.close(writer)
    text = os.read(reader, 65536).decode()
    os.close(reader)
    return text


async def test_a_format_that_was_asked_for_outdoes_the_template_of_the_config(tmp_path: Path) -> None:
    assert json.loads(await printed(tmp_path, "template = '%b'", {"format": "json"}))["body"] == "But soft!"


@pytest.mark.parametrize(("config", "options"), [
    ("format = 'json'", {"template": "%b"}),
    ("format = 'json'\ntemplate = '%b'", {}),
    ("", {"template": "%b", "format": "json"}),
])  # fmt: skip
async def test_a_template_is_nearer_than_a_format_of_its_own_layer_or_one_behind(
    tmp_path: Path, config: str, options: dict[str, Any]
) -> None:
    assert await printed(tmp_path, config, options) == "But soft!\n"
