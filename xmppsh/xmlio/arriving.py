"""What comes from the server: plain messages and results of the archive by the run (runs.py), all else one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.xmlio.reader import END, FEWEST, StreamReader, after

if TYPE_CHECKING:
    from xmppsh.errors import XmlError
    from xmppsh.model import Element
    from xmppsh.xmlio.reader import Place, Run
    from xmppsh.xmlio.runs import ArrivingRuns
    from xmppsh.xmlio.splitter import Footer, Header, Limits


class ArrivalReader:
    """Reads the server's side of one stream as `StreamReader` does.

    by_the_run: may it give runs?
    """

    def __init__(self, limits: Limits) -> None:
        self.by_the_run = False
        self._reader = StreamReader(limits)
        self._limits = limits
        self._place: Place = (1, 1)  # of the reader, until runs are read
        self._runs: ArrivingRuns | None = None

    def feed_until_error(self, data: bytes) -> tuple[list[Header | Element | Footer | Run], XmlError | None]:
        """Take bytes off the wire; give what they complete, and the fault that ended it (RFC 6120 §4.9.3.13)."""
        if self._runs is None and self.by_the_run and data.count(END) >= FEWEST:
            from xmppsh.xmlio.runs import ArrivingRuns  # most sessions of one command never need it

            self._runs = ArrivingRuns(self._reader, self._limits, self._place)
        if self._runs is None:
            self._place = after(self._place, data)
            items, error = self._reader.feed_until_error(data)
            return [*items], error
        return self._runs.feed(data, by_the_run=self.by_the_run)

    @property
    def has_rest(self) -> bool:
        """Have bytes come after the last complete element?"""
        return self._reader.has_rest
