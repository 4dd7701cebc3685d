"""The line in an editor: what fails is named."""

import tempfile
from pathlib import Path

import pytest

from xmppsh.errors import IoError
from xmppsh.shell.typing.editor import _edit


def test_a_disk_without_room_for_the_line_is_not_the_fault_of_the_editor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(IoError, match=r"^the file for the editor: no such file or directory$") as caught:
        _edit("true", "a line")
    assert caught.value.hint == "is the disk full? TMPDIR names another folder for it"
