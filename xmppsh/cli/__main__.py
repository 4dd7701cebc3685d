"""`python -m xmppsh.cli` and the console script: version, help, Tab key at once, then the agent, else the rest."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # see agent/thin.py
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SOFTWARE, IOERR = 70, 74  # of errors.ExitCode, which may be what cannot be loaded


def _open_closed_streams() -> None:
    """A closed 0, 1 or 2 would become the number of a socket or a file, and be read and written as such.

    Nothing can be read from a closed stdin, and what is printed to a closed stdout is lost: they are opened so that
    reading and writing fail.
    """
    for fd, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDWR)):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest free number


def _start_in_utf8() -> None:
    """Start once more where Python takes words, names and variables for something else than UTF-8.

    It does so by PYTHONUTF8=0 in the C locale, and in a locale with another encoding. Here all text is UTF-8, and the
    programs that we start find the environment as it was.
    """
    if sys.getfilesystemencoding() != "utf-8" and "utf8" not in sys._xoptions and sys.executable:
        try:
            os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
        except OSError:
            return  # what is not ASCII will be told as that


def _says(text: bytes | None) -> bool:
    """Print a text; False where there is none, or where it cannot be written: run.py tells what is wrong."""
    try:
        while text:
            text = text[os.write(1, text) :]
    except OSError:
        return False
    return text is not None


def _version(words: list[str]) -> bytes | None:
    if words not in (["--version"], ["-V"]):
        return None
    from xmppsh import __version__

    return f"xmppsh {__version__}\n".encode()


def _help(words: list[str]) -> bytes | None:
    """The help that was made before; None where there is none."""
    if words[-1:] not in (["--help"], ["-h"]):
        return None
    from xmppsh.cli.help import kept_help

    return kept_help(words)


def _completion() -> bytes | None:
    """What the Tab key gives, from the table that was made before; None where click has to be asked."""
    if os.environ.get("_XMPPSH_COMPLETE") != "fish_complete":
        return None
    from xmppsh.cli.tab import answer

    text = answer(os.environ)
    return None if text is None else text.encode("utf-8", "surrogateescape")


def _quote(*bytes_and_safe: Any) -> str:
    """urllib's `quote_from_bytes`. pathlib imports it for `as_uri`, which hardly anybody calls."""
    import urllib.parse

    urllib.parse.quote("")  # has it loaded
    return urllib.parse.quote_from_bytes(*bytes_and_safe)


def _deepcopy(*value_and_memo: Any) -> Any:
    """copy's. `_elementtree` imports it for the copies of elements, which nobody makes here."""
    import copy

    copy.copy(None)  # has it loaded
    return copy.deepcopy(*value_and_memo)


def main() -> None:
    """Start xmppsh."""
    try:
        _start()
    except MemoryError:  # not even enough to load what would tell it (output/failure.py)
        sys.stderr.write("xmppsh: there is too little memory\n  try: allow more memory (ulimit -v)\n")
        sys.exit(IOERR)


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while Python imports: no traceback; supervise.py takes over
    _open_closed_streams()
    _start_in_utf8()
    words = sys.argv[1:]
    is_ours = not sys.argv[0].endswith("sendxmpp")  # else see run.py
    if _says(_version(words)) or (is_ours and (_says(_help(words)) or _says(_completion()))):
        return
    from xmppsh.agent.thin import hand_over

    if is_ours and (code := hand_over(words)) is not None:
        os._exit(code)  # there is nothing to clear away
    gc.disable()  # imports make much and drop nothing; supervise.py switches it on again
    from xmppsh.cli.bundle import use_bundle

    use_bundle()
    from xmppsh.later import later, load_without_patterns
    from xmppsh.net.early import Early

    early = Early(words, os.environ) if is_ours else None
    # Needed late, or not at all: these, and what they load themselves.
    later("datetime", "inspect", "linecache", "locale", "ntpath", "socket", "ssl", "textwrap", "xml.etree.ElementPath")
    later(packages=("asyncio", "json"))
    later("copy", deepcopy=_deepcopy)
    later("typing", TYPE_CHECKING=False)
    later("urllib.parse", quote_from_bytes=_quote)
    load_without_patterns("dataclasses")  # for the one that it has
    try:
        from xmppsh.cli.run import main as run_main
    except ImportError as error:
        if "failed to map segment" in str(error):
            raise MemoryError from error
        sys.stderr.write(f"xmppsh: cannot be loaded: {error}\n  try: install xmppsh again: something is missing\n")
        sys.exit(SOFTWARE)
    run_main(early)


if __name__ == "__main__":
    main()
