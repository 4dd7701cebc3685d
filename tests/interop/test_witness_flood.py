"""Nobody but the account's own sessions can do anything to its witness: what they send to it comes back."""

from pathlib import Path

import pytest
from support.contact import Contact
from support.servers import Server
from support.witness import Machine, witness_on

pytestmark = pytest.mark.either_server

MORE_THAN_EJABBERD_KEEPS = 5_200  # it ends a session with 5000 unacknowledged stanzas
BATCH = 200


@pytest.mark.long
@pytest.mark.timeout(240)
async def test_a_stranger_who_floods_the_witness_gets_it_all_back_and_does_not_end_it(
    server: Server, tmp_path: Path
) -> None:
    alice, stranger = server.account(), server.account()
    address = f"{alice.jid}/xmppsh-witness"
    home, machine = Machine(tmp_path / "witness", server, alice), Machine(tmp_path / "machine", server, alice)
    async with Contact(server, stranger) as contact, witness_on(home) as witness:
        for number in range(0, MORE_THAN_EJABBERD_KEEPS, BATCH):
            stanzas = (f"<message to='{address}' id='{number + one}' type='chat'/>" for one in range(BATCH))
            await contact.send_raw("".join(stanzas))
            await contact.wait_for_messages(number + BATCH)
        back = {(message.type, message.sender, message.id) for message in contact.messages}
        assert back == {("error", address, str(number)) for number in range(MORE_THAN_EJABBERD_KEEPS)}
        assert all("service-unavailable" in message.xml for message in contact.messages)
        async with machine.listening_as("laptop") as owner:
            await witness.record("watching", owner.jid)
