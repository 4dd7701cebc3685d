"""The archive's results count from the archive that was asked alone, and no stamp in them is believed too much."""

import pytest

from xmppsh.model import Jid
from xmppsh.xep.history import _archived
from xmppsh.xmlio.reader import read_element

OWN, ROOM = Jid.parse("a@b"), Jid.parse("room@c")
RESULT = (
    "<message from='{sender}'><result xmlns='urn:xmpp:mam:2' queryid='q' id='7'><forwarded xmlns='urn:xmpp:forward:0'>"
    "<delay xmlns='urn:xmpp:delay' stamp='{stamp}'/><message xmlns='jabber:client'><body>x</body></message>"
    "</forwarded></result></message>"
)


@pytest.mark.parametrize(
    ("sender", "archive", "counts"),
    [("a@b", OWN, True), ("", OWN, True), ("a@b/c", OWN, False), ("x@b", OWN, False), ("room@c", ROOM, True),
     ("room@c/nick", ROOM, False), ("", ROOM, False), ("@", OWN, False)],
)  # fmt: skip
def test_a_result_counts_from_the_archive_that_was_asked(sender: str, archive: Jid, counts: bool) -> None:
    stanza = read_element(RESULT.format(sender=sender, stamp="2020-01-01T00:00:00Z"))
    assert (_archived(stanza, archive, OWN, "q") is not None) == counts
    assert _archived(stanza, archive, OWN, "other") is None


@pytest.mark.parametrize("stamp", ["", "x", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_a_stamp_that_no_calendar_knows_is_none(stamp: str) -> None:
    found = _archived(read_element(RESULT.format(sender="a@b", stamp=stamp)), OWN, OWN, "q")
    assert found is not None
    assert found.message.arrived is None
