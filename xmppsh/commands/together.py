"""How `listen` prints messages that came together: many with one write, as long as the reader of stdout takes them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.output import together

if TYPE_CHECKING:
    from xmppsh.commands.app import App
    from xmppsh.commands.filters import Filter
    from xmppsh.output.records import MessageRecord
    from xmppsh.session.bus import WaitingRun
    from xmppsh.session.session_port import Reader

AT_ONCE = 50  # messages that are printed before they can be acknowledged


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
        while shown != most and (waiting := arrivals.together()) is not None:
            lines = self._lines(waiting, AT_ONCE if most is None else min(AT_ONCE, most - shown))
            done = self._app.console.stdout.write_some(lines)
            arrivals.took(waiting, done)
            arrived += done
            shown += sum(map(bool, lines[:done]))
            if not lines or done < len(lines):
                break
            await asyncio.sleep(0)  # the acknowledgement leaves
        return arrived, shown

    def _lines(self, waiting: WaitingRun, most: int) -> list[str]:
        """What is printed of the next ones, up to one that may be a copy of another client's message; empty for one
        that is left out."""
        run, start = waiting.run, waiting.at
        next_ones = run.messages[start : start + most]
        end = next((at for at, xml in enumerate(next_ones) if ns.CARBONS in xml), len(next_ones))
        span, now = slice(start, start + end), self._app.console.now
        if self._app.printer.is_json and self._filter.is_open:
            lines = together.lines(run, span, now, self._own)
            return [one + "\n" if isinstance(one, str) else self._line(one) for one in lines]
        return [self._line(one) for one in together.records(run, span, now, self._own)]

    def _line(self, record: MessageRecord) -> str:
        return self._app.printer.line(record, for_terminal=False) + "\n" if self._filter.lets_pass(record) else ""
