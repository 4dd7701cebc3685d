"""`Console`: the streams, the environment, the working directory and the clock that a command is given."""

from __future__ import annotations

import datetime
from contextlib import nullcontext
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from xmppsh.errors import UsageError
from xmppsh.output import safe
from xmppsh.output.failure import error_text
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from typing import TypeVar

    from xmppsh.app.shutdown import Shutdown
    from xmppsh.config.schema import Settings
    from xmppsh.errors import XmppshError
    from xmppsh.output.streams import InputStream, OutputStream

    T = TypeVar("T")


@dataclass
class Console:
    """What a command has of the outside beside the network. Handlers touch no stream of the process but these.

    env: the environment of whoever gave the command. may_prompt: are stdin and stderr a terminal? shows_progress: is
    stderr one? verbosity: how often -v was given, -1 for --quiet. as_json: errors are JSON objects. cwd: what relative
    paths start from. now: the time, in UTC. contents: of the files that can be read only once, by their paths.
    umask: for the programs that it starts; -1 is ours. write_piece: writes what need not be whole rows; None where that
    goes where errors go. asks: says that the row of the terminal holds a question.
    """

    env: Mapping[str, str]
    stdin: InputStream
    stdout: OutputStream
    write_error: Callable[[str], None]
    shutdown: Shutdown
    may_prompt: bool = False
    verbosity: int = 0
    as_json: bool = False
    cwd: Path = Path()
    contents: Mapping[Path, bytes] = field(default_factory=dict)
    shows_progress: bool = False
    umask: int = -1
    write_piece: Callable[[str], None] | None = None
    asks: Callable[[str], AbstractContextManager[object]] = nullcontext
    now: Callable[[], datetime.datetime] = field(default=lambda: datetime.datetime.now(datetime.UTC))

    def told(self, settings: Settings) -> Console:
        """The same, with its stderr as these settings want it."""
        self.verbosity = -1 if settings.quiet and not settings.verbose else settings.verbose
        self.as_json = settings.format == "json"
        return self

    def path(self, text: str) -> Path:
        """The file that an argument names."""
        return self.cwd / text

    def log(self, level: int, sentence: str) -> None:
        """One line on stderr when -v is given `level` times; level 0 always, unless --quiet."""
        if self.verbosity >= level:
            self.write_error(f"xmppsh: {safe.line(sentence)}\n")

    def warn(self, sentence: str) -> None:
        """One line on stderr, unless --quiet."""
        self.log(0, sentence)

    def piece(self, text: str) -> None:
        """Write a piece of a row: a question, or how far something is, which begins with a carriage return."""
        (self.write_piece or self.write_error)(text)

    def report(self, error: XmppshError) -> None:
        """Tell the user of an error now; nobody tells it again."""
        self.write_error(error_text(error, as_json=self.as_json))
        error.reported = True

    async def confirm(self, question: str, instead: str) -> bool:
        """Ask yes or no on the terminal; without one raise UsageError, whose hint is what to give `instead`."""
        if not self.may_prompt:
            raise UsageError(f"there is no terminal to ask on: {question}", hint=instead)
        from xmppsh.app.asking import yes_or_no

        return await self.ask(f"{question} [y/N]: ", yes_or_no) or False

    async def ask(self, question: str, taken: Callable[[str], T], *, hidden: bool = False) -> T | None:
        """What `taken` makes of the line that is typed on the terminal, asked for again where it raises UsageError or
        DataError; None where Ctrl-D is typed instead. hidden: the answer is not shown."""
        from xmppsh.app.asking import asked  # most commands ask nothing

        with self.asks(question):
            return await asked(question, taken, self.piece, hidden=hidden)
