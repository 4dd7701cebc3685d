"""By the clock of the server, what followed a moment of ours is never left out."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from xmppsh.errors import StanzaError
from xmppsh.model import Element, Jid
from xmppsh.session import clock
from xmppsh.xmlio.build import Xml, element
from xmppsh.xmlio.reader import read_element

OWN = Jid.parse("juliet@example.org/balcony")
START = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


class Now(datetime):
    """The clock of this machine."""

    moment = START

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return cls.moment


class Server:
    """Tells its time, so far ahead of ours, in whole seconds; each answer takes a while, and is stamped within it.

    took_s: of each answer; stamped: after which part of that.
    """

    def __init__(self, ahead_s: float, took_s: list[float], stamped: float) -> None:
        self._ahead, self._took, self._stamped = timedelta(seconds=ahead_s), iter(took_s), stamped
        self.asked = 0

    async def request(self, iq_type: str, to: Jid | None, payload: Xml | None) -> Element:
        assert (iq_type, str(to)) == ("get", "example.org")
        self.asked += 1
        took = timedelta(seconds=next(self._took))
        theirs = (Now.moment + took * self._stamped + self._ahead).replace(microsecond=0)
        Now.moment += took
        utc = element("utc", None, theirs.isoformat().replace("+00:00", "Z"))
        return read_element(f"<iq type='result'>{element('time', {'xmlns': 'urn:xmpp:time'}, utc)}</iq>")


class Silent:
    """Does not tell its time."""

    async def request(self, iq_type: str, to: Jid | None, payload: Xml | None) -> Element:
        raise StanzaError("no such service", condition="service-unavailable")


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "datetime", Now)
    Now.moment = START


@pytest.mark.parametrize("ahead_s", [-600.0, -1.9, -0.5, 0.0, 0.3, 1.0, 1.9, 600.0])
async def test_a_moment_lies_between_the_earliest_and_the_latest_that_the_server_may_have_shown(ahead_s: float) -> None:
    for fraction, took_s, stamped in itertools.product((0.0, 0.4, 0.999), (0.0, 0.2, 1.0), (0.0, 0.5, 1.0)):
        Now.moment = START + timedelta(seconds=fraction)
        truly = Now.moment + timedelta(seconds=ahead_s)
        moment, server = Now.moment, Server(ahead_s, [took_s], stamped)
        found = await clock.ahead(server, OWN)
        assert found.earliest(moment) <= truly <= found.latest(moment), (fraction, took_s, stamped)
        assert found.most - found.least <= timedelta(seconds=1 + took_s), "it is no wider than it has to be"


@pytest.mark.parametrize("stamped", [0.0, 1.0])
@pytest.mark.parametrize(("took_s", "asked", "width_s"), [([9, 0.5], 2, 1.5), ([9, 3, 5], 3, 4), ([1], 1, 2)])
async def test_an_answer_that_took_long_is_asked_for_again_and_the_quickest_counts(
    took_s: list[float], asked: int, width_s: float, stamped: float
) -> None:
    server = Server(5, took_s, stamped)
    found = await clock.ahead(server, OWN)
    assert (server.asked, found.most - found.least) == (asked, timedelta(seconds=width_s))
    assert found.earliest(START) <= START + timedelta(seconds=5) <= found.latest(START)


async def test_where_the_server_does_not_tell_its_clock_is_believed_to_be_about_ours() -> None:
    found = await clock.ahead(Silent(), OWN)
    assert found.earliest(START) < START < found.latest(START)


async def test_a_difference_that_no_calendar_has_changes_no_moment() -> None:
    found = clock.Ahead(timedelta(days=-999_999_999), timedelta(days=999_999_999))
    assert (found.earliest(START), found.latest(START)) == (START, START)
