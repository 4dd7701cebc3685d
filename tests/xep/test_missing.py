"""What somebody does not tell us is said with what helps."""

import pytest

from xmppsh.errors import StanzaError
from xmppsh.xep.missing import offered


def test_what_is_told_to_contacts_alone_is_said_with_how_to_become_one() -> None:
    with pytest.raises(StanzaError) as caught, offered("its last activity", "juliet@example.org/balcony"):
        raise StanzaError("juliet@example.org", "subscription-required", "Not subscribed", "auth")
    assert caught.value.hint == "xmppsh presence subscribe juliet@example.org"
