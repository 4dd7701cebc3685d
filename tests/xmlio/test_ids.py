"""What we generate is no option, needs no quotes, and cannot be guessed."""

import re

from xmppsh.model import Jid
from xmppsh.xmlio.ids import beside, new_id


def test_an_id_begins_with_a_letter_and_needs_no_quotes() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch("[a-z][a-z0-9]+", one) for one in ids)


def test_an_address_beside_another_is_that_resource_with_a_random_part_that_begins_with_a_letter() -> None:
    jid = Jid.parse("romeo@example.net/alerts")
    found = {str(beside(jid)) for _ in range(100)}
    assert len(found) == 100
    assert all(re.fullmatch(r"romeo@example\.net/alerts\.[a-z][a-z2-9]{7}", one) for one in found)
    assert beside(jid.bare) == jid.bare, "the server or the stream chooses"
