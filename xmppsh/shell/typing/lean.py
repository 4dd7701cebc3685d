"""What the first prompt needs of prompt_toolkit, and no more of it: the rest costs a fifth of its import."""

from __future__ import annotations

import gc
from importlib import import_module

from xmppsh.later import later

OURS = "·…"  # in the toolbar; one column each


def load_prompt() -> None:
    """Load the interactive shell: in a thread, while the server is waited for.

    What an import makes stays, so nothing is searched for garbage meanwhile.
    """
    gc.disable()
    try:
        _leave_out()
        import_module("xmppsh.shell.repl")
    finally:
        gc.freeze()
        gc.enable()


def _leave_out() -> None:
    """Dialogs, progress bars, HTML, the editor; and wcwidth, which has a table of each script, until something wide is
    drawn."""
    later(packages=("wcwidth",), wcwidth=_wcwidth)
    later("shutil", "tempfile", packages=("xml.dom", "prompt_toolkit", "prompt_toolkit.shortcuts"))
    later("xml.dom.minidom")
    import_module("prompt_toolkit.application")  # first, as in prompt_toolkit itself: its modules import each other


def _wcwidth(character: str, *others: str) -> int:
    """The columns of a character, as wcwidth has it."""
    if (" " <= character <= "~" or character in OURS) and len(character) == 1:
        return 1
    import wcwidth

    wcwidth.wcswidth("")  # has it loaded, and its own in the place of this one
    return wcwidth.wcwidth(character, *others)
