"""What the lines of one shell share: target, people, the conversation, switches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xmppsh.plain import dataclass

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from xmppsh.output.streams import InputStream, OutputStream
    from xmppsh.shell.lines.aliases import Aliases
    from xmppsh.shell.shown.answers import Answers
    from xmppsh.shell.shown.conversation import Conversation
    from xmppsh.shell.shown.look import Palette
    from xmppsh.shell.shown.marks import Marks
    from xmppsh.shell.shown.people import People
    from xmppsh.shell.shown.streamview import StreamView
    from xmppsh.xmlio.build import Xml

MAX_DEPTH = 10  # of files that read files, and of names for names


@dataclass
class Desk:
    """stdin: what commands may read. stream: what `/xml` switches. availability: our first presence,
    None for none; accepted: who may see it without being asked about; tells: may others know that what they wrote was
    delivered and read? conversation: None without a terminal; marks, answers: None where nobody looks at messages.

    lend: gives the terminal to another program until the future is done; None where nothing is drawn on it.
    columns: how wide the terminal is; None where there is none.
    timing, expanded: `/timing` and `/x`; output: where `/o` sends what commands print; aliases: `/alias`.
    """

    people: People
    palette: Palette
    stdin: InputStream
    stream: StreamView
    aliases: Aliases
    availability: Xml | None = None
    accepted: str | None = None
    tells: bool = True
    conversation: Conversation | None = None
    marks: Marks | None = None
    answers: Answers | None = None
    lend: Callable[[asyncio.Future[Any]], None] | None = None
    columns: Callable[[], int] | None = None
    timing: bool = False
    expanded: bool = False
    output: OutputStream | None = None
