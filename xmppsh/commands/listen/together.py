"""How `listen` prints messages that came together: many with one write, as long as the reader of stdout takes them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.output import together
from xmppsh.protocol.sm import ACK_EVERY
from xmppsh.xmlio.runs import starts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xmppsh.app.app import App
    from xmppsh.commands.listen.filters import Filter
    from xmppsh.outbox.inbox_store import Arrival
    from xmppsh.output.records import MessageRecord
    from xmppsh.session.session_port import Reader
    from xmppsh.xmlio.reader import Start

STORED_AT_ONCE = 16  # of the inbox, before they are struck off: killed between the two, they are printed again


class Together:
    """Prints what `filter` lets pass, as the one printer would."""

    def __init__(self, app: App, filter: Filter) -> None:  # noqa: A002 - it is one
        self._app, self._filter = app, filter
        jid = app.settings.jid
        self._own = "" if jid is None else str(jid.bare)

    async def print(self, arrivals: Reader, most: int | None) -> tuple[int, int]:
        """Print messages that wait, as long as they came together and nothing has to be waited for.

        Returns how many are dealt with, and how many of them are shown: at most `most`. What is printed and dealt with
        is acknowledged before more is printed, and between the two nothing else happens.
        """
        arrived = shown = 0
        while shown != most:
            limit = ACK_EVERY if most is None else most - shown
            if stored := arrivals.stored(min(STORED_AT_ONCE, limit)):
                lines = self._stored_lines(stored)
                done = self._app.console.stdout.write_some(lines)
                arrivals.took_stored(done)
            elif (waiting := arrivals.together()) is not None:
                span = slice(waiting.at, waiting.at + min(limit, waiting.most))
                lines = self._lines(waiting.run.messages[span], waiting.run.starts[span], self._app.console.now)
                done = self._app.console.stdout.write_some(lines)
                arrivals.took(waiting, done, keeps_up=0 < done == len(lines))
            else:
                break
            arrived += done
            shown += sum(map(bool, lines[:done]))
            if not lines or done < len(lines):
                break
            await asyncio.sleep(0)  # the acknowledgement leaves
        return arrived, shown

    def _stored_lines(self, stored: list[Arrival]) -> list[str]:
        """What is printed of the messages that were stored together, up to what is none."""
        came = stored[0].arrived
        xml = [one.xml for one in takewhile(lambda one: one.xml.startswith("<message") and one.arrived == came, stored)]
        return self._lines(xml, starts_of(xml), partial(datetime.fromtimestamp, came, UTC))

    def _lines(self, messages: list[str], starts: Sequence[Start | None], now: Callable[[], datetime]) -> list[str]:
        """What is printed of the next ones, up to one that may be a copy of another client's message; empty for one
        that is left out."""
        end = len(messages)
        if ns.CARBONS in "".join(messages):
            end = next(at for at, xml in enumerate(messages) if ns.CARBONS in xml)
        if self._app.printer.is_json and self._filter.is_open:
            lines = together.lines(messages[:end], starts[:end], now, self._own)
            return [one + "\n" if isinstance(one, str) else self._line(one) for one in lines]
        return [self._line(one) for one in together.records(messages[:end], starts[:end], now, self._own)]

    def _line(self, record: MessageRecord) -> str:
        return self._app.printer.line(record, for_terminal=False) + "\n" if self._filter.lets_pass(record) else ""
