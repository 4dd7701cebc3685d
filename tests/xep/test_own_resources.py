"""What an own resource's presence says, whatever it holds."""

from datetime import UTC, datetime

import pytest

from xmppsh.xep.own_resources import Availability, availability
from xmppsh.xmlio.reader import read_element

DELAY = "<delay xmlns='urn:xmpp:delay' stamp='{}'/>"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def presence(inside: str) -> Availability:
    return availability(read_element(f"<presence from='a@b/c'>{inside}</presence>"))


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([], None),
        (["2026-03-01T12:00:00Z"], NOON),
        (["2026-03-01T14:00:00+02:00"], NOON),
        (["2026-03-01T12:00:00"], NOON),
        (["yesterday"], None),
        (["0001-01-01T00:00:00+23:59"], None),
        (["2001-01-01T00:00:00Z", "2026-03-01T12:00:00Z"], NOON),
        (["2026-03-01T12:00:00Z", "never", "2001-01-01T00:00:00Z"], NOON),
    ],
)
def test_the_newest_stamp_is_the_server_s(stamps: list[str], expected: datetime | None) -> None:
    assert presence("".join(map(DELAY.format, stamps))).stamp == expected


def test_show_status_and_priority_are_told_as_they_came() -> None:
    shown = presence("<show>dnd</show><status>in a meeting</status><priority>-5</priority>")
    assert shown == Availability("dnd", "in a meeting", -5, None)
    assert presence("") == Availability(None, None, 0, None)
