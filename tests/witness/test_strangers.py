"""What the witness does with messages that are none of its protocol: each counts, and comes back where it may."""

from collections.abc import AsyncIterator

import pytest
from protocol.playbook import JULIET, NS
from witness.test_watcher import ME, OnPaper, SilentServer

STRANGER = "romeo@example.net/orchard"


@pytest.fixture
async def witness() -> AsyncIterator[OnPaper]:
    async with SilentServer() as silent:
        witness = OnPaper(silent.port)
        yield witness
        await witness.close()


def taken(witness: OnPaper) -> int:
    sm = witness.driver.stream.sm
    assert sm is not None
    return sm.handled


@pytest.mark.parametrize("sender", [STRANGER, f"{JULIET.bare}/other", "example.org"])
@pytest.mark.parametrize("stanza_type", ["", "type='chat'", "type='normal'", "type='other'"])
async def test_a_message_comes_back_as_if_nobody_was_there(witness: OnPaper, sender: str, stanza_type: str) -> None:
    text = witness.hear(f"<message id='m1' from='{sender}' {stanza_type}><body>hello</body></message>")
    condition = f'<service-unavailable xmlns="{NS["stanzas"]}"/>'
    assert f'<message type="error" id="m1" to="{sender}"><error type="cancel">{condition}</error></message>' in text
    assert taken(witness) == 1


@pytest.mark.parametrize("stanza_type", ["error", "groupchat", "headline"])
async def test_what_is_never_bounced_is_taken_in_silence(witness: OnPaper, stanza_type: str) -> None:
    alive = f"<alive {ME} sm-id='sm1' h='4'/>"
    assert "<message" not in witness.hear(f"<message from='{STRANGER}' type='{stanza_type}'>{alive}</message>")
    assert taken(witness) == 1


async def test_a_message_of_nobody_is_taken_in_silence(witness: OnPaper) -> None:
    assert "<message" not in witness.hear("<message><body>hello</body></message>")
    assert taken(witness) == 1


async def test_a_strangers_message_holds_nothing_back(witness: OnPaper) -> None:
    for _ in range(3):
        witness.hear(f"<message from='{STRANGER}'/>")
        witness.announce()
    assert "h='6'" in witness.hear(f"<r xmlns='{NS['sm']}'/>").replace('"', "'")


async def test_a_message_on_a_stream_that_ends_is_left_to_the_server(witness: OnPaper) -> None:
    await witness.watcher.session.begin_anew(0)
    witness.driver.carry_out(witness.driver.stream.close())
    assert witness.hear(f"<message from='{STRANGER}'><body>hello</body></message>") == ""
    assert taken(witness) == 0
