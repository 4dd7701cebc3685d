"""Who gets in, and how."""

from base64 import b64decode, b64encode

import pytest
from playground.clients import HEADER, SASL, RawClient, contact, context_of, direct_tls_contact, plain
from scramp import ScramClient
from support.contact import ContactFailed

from xmppsh.playground.server import PlaygroundServer


async def test_slixmpp_logs_in_by_starttls_with_a_verified_certificate(playground: PlaygroundServer) -> None:
    async with contact(playground, "alice") as alice:
        assert alice.online


async def test_slixmpp_logs_in_by_direct_tls_with_a_verified_certificate(playground: PlaygroundServer) -> None:
    async with direct_tls_contact(playground, "alice") as alice:
        assert alice.online


async def test_a_wrong_password_is_refused(playground: PlaygroundServer) -> None:
    with pytest.raises(ContactFailed, match="failed_all_auth"):
        async with contact(playground, "alice", password="wrong"):
            pass


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
async def test_scram_proves_both_sides(playground: PlaygroundServer, mechanism: str) -> None:
    scram = ScramClient([mechanism], "alice", playground.accounts["alice"])
    client = await RawClient.secured(playground)
    first = b64encode(scram.get_client_first().encode()).decode()
    client.send(f"{HEADER}<auth xmlns='{SASL}' mechanism='{mechanism}'>{first}</auth>")
    await client.expect("<challenge")
    challenge = (await client.expect("</challenge>")).partition(">")[2].removesuffix("</challenge>")
    scram.set_server_first(b64decode(challenge).decode())
    final = b64encode(scram.get_client_final().encode()).decode()
    client.send(f"<response xmlns='{SASL}'>{final}</response>")
    await client.expect("<success")
    success = (await client.expect("</success>")).partition(">")[2].removesuffix("</success>")
    scram.set_server_final(b64decode(success).decode())  # raises when the signature is wrong
    client.send(HEADER)
    await client.expect("<bind")
    await client.close()


async def test_a_first_message_may_come_as_a_response(playground: PlaygroundServer) -> None:
    client = await RawClient.secured(playground)
    message = plain("alice", playground.accounts["alice"]).partition(">")[2].removesuffix("</auth>")
    client.send(f"{HEADER}<auth xmlns='{SASL}' mechanism='PLAIN'/>")
    await client.expect("<challenge")
    client.send(f"<response xmlns='{SASL}'>{message}</response>")
    await client.expect("<success")
    await client.close()


@pytest.mark.parametrize(
    ("auth", "condition"),
    [
        (plain("alice", "wrong"), "not-authorized"),
        (plain("nobody", "wrong"), "not-authorized"),
        (f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>biwsbj1ub2JvZHkscj1hYmM=</auth>", "not-authorized"),
        (f"<auth xmlns='{SASL}' mechanism='DIGEST-MD5'/>", "invalid-mechanism"),
        (f"<auth xmlns='{SASL}' mechanism='PLAIN'>not base64!</auth>", "incorrect-encoding"),
        (f"<auth xmlns='{SASL}' mechanism='PLAIN'>YWJj</auth>", "malformed-request"),
        (f"<response xmlns='{SASL}'/>", "malformed-request"),
        (f"<abort xmlns='{SASL}'/>", "aborted"),
    ],
)
async def test_a_failed_login_says_why_and_may_be_tried_again(
    playground: PlaygroundServer, auth: str, condition: str
) -> None:
    client = await RawClient.secured(playground)
    client.send(HEADER + auth)
    await client.expect(f'<failure xmlns="{SASL}"><{condition}/></failure>')
    client.send(plain("alice", playground.accounts["alice"]))
    await client.expect("<success")
    await client.close()


async def test_guessing_ends_the_stream(playground: PlaygroundServer) -> None:
    client = await RawClient.secured(playground)
    client.send(HEADER + plain("alice", "wrong") * 5)
    assert "<policy-violation" in await client.end()


async def test_no_password_is_taken_before_tls(playground: PlaygroundServer) -> None:
    client = await RawClient.in_clear(playground)
    client.send(HEADER)
    features = await client.expect("</stream:features>")
    assert "<required/>" in features
    assert "mechanism" not in features
    client.send(plain("alice", playground.accounts["alice"]))
    end = await client.end()
    assert "<stream:error>" in end
    assert "<success" not in end


async def test_bytes_in_clear_behind_starttls_are_never_used(playground: PlaygroundServer) -> None:
    client = await RawClient.in_clear(playground)
    client.send(HEADER + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + HEADER)
    assert "mechanism" not in await client.end()


async def test_the_stream_restarts_under_tls(playground: PlaygroundServer) -> None:
    client = await RawClient.in_clear(playground)
    client.send(HEADER + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n")
    await client.expect("<proceed")
    await client.expect(">")
    await client.writer.start_tls(context_of(playground), server_hostname=playground.domain)
    client.send("\n" + HEADER)
    assert "<starttls" not in await client.expect("</stream:features>")
    await client.close()
