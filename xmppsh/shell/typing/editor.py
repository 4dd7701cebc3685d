"""The line in an editor (Ctrl-X Ctrl-E): `$VISUAL`, `$EDITOR`, or the first one that is there."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompt_toolkit.application import run_in_terminal

from xmppsh.errors import IoError, translate
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

USUAL = ("editor", "nano", "vi", "emacs")
HINT = "export EDITOR=PROGRAM"


async def edited(text: str, env: Mapping[str, str], lend: Callable[[asyncio.Future[Any]], None]) -> str:
    """What an editor leaves of the text. Raises IoError where it fails: then the line must stay as it was.

    lend: gives the terminal away until the future is done.
    """
    editor = env.get("VISUAL") or env.get("EDITOR") or next(filter(shutil.which, USUAL), None)
    if editor is None:
        raise IoError("no editor is installed", hint=HINT)
    # Not all editors draw on a screen of their own, so the prompt makes place.
    editing = asyncio.ensure_future(run_in_terminal(partial(_edit, editor, text), in_executor=True))
    lend(editing)
    return await editing


def _edit(editor: str, text: str) -> str:
    try:
        with (
            translate(OSError, _no_file),
            tempfile.TemporaryDirectory(prefix="xmppsh-", ignore_cleanup_errors=True) as folder,
        ):
            file = Path(folder) / "line.xmpp"
            file.write_text(text, encoding="utf-8", errors="surrogateescape")
            _call(editor, file)
            return file.read_text(encoding="utf-8").rstrip("\n")
    except UnicodeDecodeError:
        raise IoError(f"the editor {editor!r} left no UTF-8: the line stays as it was") from None


def _call(editor: str, file: Path) -> None:
    try:
        code = subprocess.call([*shlex.split(editor), os.fspath(file)])
    except ValueError as error:
        raise IoError(f"the editor {editor!r}: {str(error).lower()}", hint=HINT) from None
    except OSError as error:
        raise IoError(f"the editor {editor!r}: {os_reason(error)}", hint=HINT) from error
    if code:
        raise IoError(f"the editor {editor!r} ended with exit code {code}: the line stays as it was")


def _no_file(reason: str) -> IoError:
    return IoError(
        f"the file for the editor: {reason[:1].lower()}{reason[1:]}",
        hint="is the disk full? TMPDIR names another folder for it",
    )
