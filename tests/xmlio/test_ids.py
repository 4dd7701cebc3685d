"""What we generate is no option, needs no quotes, and cannot be guessed."""

import re

from xmppsh.xmlio.ids import new_id


def test_an_id_begins_with_a_letter_and_needs_no_quotes() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch("[a-z][a-z0-9]+", one) for one in ids)
