"""The fixtures themselves: what a test relies on is true of both servers."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable

import pytest
from cryptography import x509
from slixmpp import JID

from support.contact import Contact, ContactFailed
from support.servers import Account, Server

pytestmark = pytest.mark.long

StartServer = Callable[..., Server]

FOREIGN = "somebody@nowhere.invalid"


async def talk(server: Server) -> None:
    """Two fresh accounts see each other and exchange a message."""
    romeo, juliet = server.account(), server.account()
    server.befriend(romeo, juliet)
    async with Contact(server, romeo) as a, Contact(server, juliet) as b:
        await a.wait_for_presence(juliet.jid, "available")
        await a.send(b.jid, "soft")
        assert (await b.wait_for_message(lambda m: m.body == "soft")).sender == a.jid


def cut(contact: Contact) -> None:
    """Take the connection away without a word."""
    assert contact.client.transport is not None
    contact.client.transport.abort()


async def test_befriended_accounts_see_each_other_come_and_go(server: Server) -> None:
    romeo, juliet = server.account(), server.account()
    server.befriend(romeo, juliet)
    async with Contact(server, romeo) as a:
        async with Contact(server, juliet, "balcony") as b:
            assert b.jid == f"{juliet.jid}/balcony"
            await a.wait_for_presence(juliet.jid, "available")
            await b.wait_for_presence(romeo.jid, "available")
            left = time.monotonic()
        gone = await a.wait_for_presence(juliet.jid, "unavailable", since=left)
        assert gone.sender == f"{juliet.jid}/balcony"


async def test_an_account_has_the_name_and_password_asked_for(server: Server) -> None:
    account = server.account(password="päss wörd & <more>\"'\\")
    async with Contact(server, account) as contact:
        assert contact.jid.startswith(account.jid + "/")


async def test_a_wrong_password_is_a_failure_and_not_a_hang(server: Server) -> None:
    account = server.account()
    with pytest.raises(ContactFailed, match="failed_all_auth"):
        async with Contact(server, Account(account.jid, "wrong")):
            pass


async def test_messages_to_an_account_that_is_offline_wait_for_it(server: Server) -> None:
    romeo, juliet = server.account(), server.account()
    async with Contact(server, romeo) as a:
        for n in range(3):
            await a.send(juliet.jid, f"offline {n}")
        # ejabberd 23.01 may leave a message in the offline store that arrives between bind and presence.
        await a.settle()
        async with Contact(server, juliet) as b:
            await b.wait_for_messages(3)
            assert [m.body for m in b.messages] == ["offline 0", "offline 1", "offline 2"]


async def test_a_contact_takes_a_thousand_messages_in_order(server: Server) -> None:
    romeo, juliet = server.account(), server.account()
    async with Contact(server, romeo) as a, Contact(server, juliet) as b:
        bodies = [f"message {n}" for n in range(1_000)]
        for n, body in enumerate(bodies):
            a.client.send(f"<message to='{b.jid}' type='chat' id='{n}'><body>{body}</body></message>")
        await b.wait_for_messages(1_000, timeout_s=60)
        assert [m.body for m in b.messages] == bodies


async def test_a_message_to_a_foreign_domain_bounces_at_once(server: Server) -> None:
    async with Contact(server, server.account()) as contact:
        sent = await contact.send(FOREIGN, "hello?")
        bounce = await contact.wait_for_message(lambda m: m.id == sent, timeout_s=5)
        assert bounce.type == "error"


async def test_a_message_to_an_unknown_user_bounces(server: Server) -> None:
    async with Contact(server, server.account()) as contact:
        sent = await contact.send(f"nobody-here@{server.domain}", "hello?")
        assert (await contact.wait_for_message(lambda m: m.id == sent, timeout_s=5)).type == "error"


@pytest.mark.parametrize("full", [True, False], ids=["full JID", "bare JID"])
async def test_a_kicked_session_ends_and_its_friends_are_told(server: Server, full: bool) -> None:
    romeo, juliet = server.account(), server.account()
    server.befriend(romeo, juliet)
    async with Contact(server, romeo) as a, Contact(server, juliet) as b:
        await a.wait_for_presence(juliet.jid, "available")
        server.kick(b.jid if full else juliet.jid)
        await a.wait_for_presence(juliet.jid, "unavailable")
        await b.wait_for_end()
        assert a.online
        assert not b.online


async def test_direct_tls_answers_with_a_certificate_of_the_ca(server: Server) -> None:
    context = ssl.create_default_context(cafile=str(server.ca))
    names = _names_presented(server, context)
    assert {server.domain, server.conference, server.anonymous_domain} <= names


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
@pytest.mark.parametrize(
    ("certificate", "complaint"),
    [("expired", "expired"), ("wrong-name", "mismatch"), ("self-signed", "self-signed certificate")],
)
async def test_a_bad_certificate_is_bad_in_the_way_asked_for(
    start_server: StartServer, name: str, certificate: str, complaint: str
) -> None:
    server = start_server(name, certificate=certificate)
    with pytest.raises(ssl.SSLCertVerificationError, match=complaint):
        _names_presented(server, ssl.create_default_context(cafile=str(server.ca)))
    with pytest.raises(ContactFailed, match=complaint):
        async with Contact(server, server.account()):
            pass


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_a_server_comes_back_on_its_ports_with_its_accounts_and_rosters(
    start_server: StartServer, name: str, end: str
) -> None:
    server = start_server(name, archive=False)
    ports = server.port, server.tls_port
    romeo, juliet = server.account(), server.account()
    server.befriend(romeo, juliet)
    async with Contact(server, romeo) as before:
        getattr(server, end)()
        await before.wait_for_end()
    server.start()
    assert (server.port, server.tls_port) == ports
    async with Contact(server, romeo) as a, Contact(server, juliet):
        await a.wait_for_presence(juliet.jid, "available")


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
async def test_a_suspended_server_is_silent_and_then_goes_on(start_server: StartServer, name: str) -> None:
    server = start_server(name)
    async with Contact(server, server.account()) as contact:
        server.suspend()
        sent = await contact.send(FOREIGN, "anybody?")
        with pytest.raises(TimeoutError):
            await contact.wait_for_message(lambda m: m.id == sent, timeout_s=0.5)
        server.resume()
        await contact.wait_for_message(lambda m: m.id == sent)


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
async def test_two_servers_of_a_kind_run_side_by_side(start_server: StartServer, name: str) -> None:
    first, second = start_server(name), start_server(name)
    assert {first.port, first.tls_port}.isdisjoint({second.port, second.tls_port})
    await talk(first)
    await talk(second)


async def test_the_archive_is_offered_only_where_it_is_asked_for(start_server: StartServer, server: Server) -> None:
    without = start_server(server.name, archive=False)
    assert "urn:xmpp:mam:2" in await _account_features(server)
    assert "urn:xmpp:mam:2" not in await _account_features(without)


async def test_a_session_that_lost_its_link_is_resumed(server: Server) -> None:
    juliet = server.account()
    contact = Contact(server, juliet)
    contact.client.register_plugin("xep_0198")
    async with Contact(server, server.account()) as sender, contact:
        resumed, lost = asyncio.Event(), asyncio.Event()
        contact.client.add_event_handler("session_resumed", lambda _: resumed.set())
        contact.client.add_event_handler("disconnected", lambda _: lost.set())
        cut(contact)
        await asyncio.wait_for(lost.wait(), 5)
        await sender.send(contact.jid, "while you were away")
        contact.client.connect(server.host, server.port)
        await asyncio.wait_for(resumed.wait(), 5)
        await contact.client.wait_until("message", 5) if not contact.messages else None
        assert [m.body for m in contact.messages] == ["while you were away"]


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
async def test_a_session_nobody_resumes_ends_after_the_time_asked_for(start_server: StartServer, name: str) -> None:
    server = start_server(name, resume_timeout_s=1)
    romeo, juliet = server.account(), server.account()
    server.befriend(romeo, juliet)
    contact = Contact(server, juliet)
    contact.client.register_plugin("xep_0198")
    async with Contact(server, romeo) as friend, contact:
        await friend.wait_for_presence(juliet.jid, "available")
        cut(contact)
        dropped = time.monotonic()
        gone = await friend.wait_for_presence(juliet.jid, "unavailable", since=dropped)
        assert gone.at - dropped > 0.5


async def test_the_anonymous_domain_takes_anybody(server: Server) -> None:
    nobody = Account(f"whoever@{server.anonymous_domain}", "")
    contact = Contact(server, nobody)
    contact.client.plugin["feature_mechanisms"].use_mech = "ANONYMOUS"
    async with contact:
        assert contact.client.boundjid.domain == server.anonymous_domain
        assert not contact.jid.startswith("whoever@")


async def test_streams_offer_what_the_tests_need(server: Server) -> None:
    async with Contact(server, server.account()) as contact:
        features = contact.client.features
        assert {"starttls", "mechanisms", "bind"} <= set(features)
        mechanisms = contact.client.plugin["feature_mechanisms"].mech_list
        assert {"SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN"} <= set(mechanisms)


def _names_presented(server: Server, context: ssl.SSLContext) -> set[str]:
    with (
        socket.create_connection((server.host, server.tls_port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=server.domain) as tls,
    ):
        certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(names.value.get_values_for_type(x509.DNSName))


async def _account_features(server: Server) -> set[str]:
    async with Contact(server, server.account()) as contact:
        contact.client.register_plugin("xep_0030")
        info = await contact.client.plugin["xep_0030"].get_info(jid=JID(contact.client.boundjid.bare), timeout=10)
        return set(info["disco_info"]["features"])
