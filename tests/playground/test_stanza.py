"""The addresses of a stanza are replaced, the rest stays as it came."""

import pytest

from xmppsh.model import Jid
from xmppsh.playground.stanza import delayed, error_reply, incoming, made, readdressed
from xmppsh.xmlio.reader import read_element, tree

ALICE, BOB = Jid.parse("alice@example.org/sofa"), Jid.parse("bob@example.org")


@pytest.mark.parametrize(
    ("xml", "readdressed_xml"),
    [
        ("<message/>", '<message from="alice@example.org/sofa" to="bob@example.org"/>'),
        (
            "<message\n to = 'x' ><a/></message >",
            '<message from="alice@example.org/sofa" to="bob@example.org"><a/></message >',
        ),
        (
            "<message id=\"a to='b' from='c'\" from='d' >x</message>",
            '<message from="alice@example.org/sofa" to="bob@example.org" id="a to=\'b\' from=\'c\'">x</message>',
        ),
        (
            "<m:message xmlns:m='jabber:client' m:from='kept' />",
            "<m:message from=\"alice@example.org/sofa\" to=\"bob@example.org\" xmlns:m='jabber:client' m:from='kept'/>",
        ),
    ],
)
def test_only_the_addresses_change(xml: str, readdressed_xml: str) -> None:
    assert readdressed(xml, ALICE, BOB) == readdressed_xml


def test_a_client_cannot_choose_its_from() -> None:
    stanza = incoming(
        read_element("<message from='eve@example.org' to='bob@example.org'><body>x</body></message>"), ALICE
    )
    assert stanza.xml == "<message from=\"alice@example.org/sofa\" to='bob@example.org'><body>x</body></message>"
    assert stanza.type == "normal"


@pytest.mark.parametrize("xml", ["<message/>", "<message><body>&lt;/message></body></message >"])
def test_a_delay_stands_inside_the_stanza(xml: str) -> None:
    stanza = delayed(incoming(read_element(xml), ALICE), "example.org")
    note = tree(read_element(stanza.xml)).find("{urn:xmpp:delay}delay")
    assert note is not None
    assert note.get("from") == "example.org"
    assert note.get("stamp", "").endswith("Z")
    assert delayed(stanza, "example.org") == stanza


def test_an_error_comes_from_the_address_that_was_asked() -> None:
    reply = error_reply(made("message", "chat", ALICE, BOB, stanza_id="7"), "service-unavailable")
    assert reply.sender == BOB
    assert reply.to == ALICE
    assert reply.xml == (
        '<message from="bob@example.org" to="alice@example.org/sofa" type="error" id="7"><error type="cancel">'
        '<service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>'
    )
