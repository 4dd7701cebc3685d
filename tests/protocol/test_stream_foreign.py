"""A port that speaks another protocol: what it says first tells which, and what to try."""

import pytest
from protocol.playbook import HEADER, fault_of, feed, new_stream, stream_at

from xmppsh.protocol.table import State

PORT = "is the port right? --host HOST:PORT; --tls direct for a port with direct TLS"
NO_XMPP = "the server does not speak XMPP: its answer begins with "
TLS_ALERT, TLS_HANDSHAKE = b"\x15\x03\x01\x00\x02\x02\x46", b"\x16\x03\x03\x00\x7a\x02\x00"
IN_TLS = "the server does not speak XMPP in the clear: its answer is TLS"
BANNERS = {
    b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n": (f"{NO_XMPP}'SSH-2.0-OpenSSH_9.2p1 Debian-2'", PORT),
    b"220 mail.example ESMTP\r\n": (f"{NO_XMPP}'220 mail.example ESMTP'", PORT),
    b"\r\n HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n": (f"{NO_XMPP}'HTTP/1.1 400 Bad Request'", PORT),
    b"{}" + b"x" * 1000: (f"{NO_XMPP}'{{}}{'x' * 78}'", PORT),
    b"\x0b\x1b[2J\xff\n": (f"{NO_XMPP}'\\x0b\\x1b[2J\ufffd'", PORT),
    TLS_ALERT: (IN_TLS, "--tls direct, if the port is one for direct TLS"),
    TLS_HANDSHAKE: (IN_TLS, "--tls direct, if the port is one for direct TLS"),
}


def test_another_protocol_is_told_from_xmpp() -> None:
    stream, _ = stream_at(State.PLAIN)
    error = fault_of(feed(stream, "<html><body/></html>"))
    assert str(error) == "the server does not speak XMPP: its answer begins with <html>"


@pytest.mark.parametrize("banner", BANNERS)
@pytest.mark.parametrize("tls", ["starttls", "off"])
def test_a_protocol_that_is_no_xml_is_told_from_xmpp(banner: bytes, tls: str) -> None:
    stream = new_stream(tls)
    stream.open()
    error = fault_of(feed(stream, banner))
    assert (str(error), error.hint) == BANNERS[banner]
    assert (error.exit_code, error.layer) == (76, "stream")


def test_another_protocol_is_told_by_its_first_bytes_however_they_are_cut() -> None:
    stream, _ = stream_at(State.PLAIN)
    outputs = [output for byte in b"SSH-2.0-x\r\n" for output in feed(stream, bytes([byte]))]
    assert str(fault_of(outputs)) == f"{NO_XMPP}'SSH-2.0-x'"


@pytest.mark.parametrize("bad", ["<<", "<!DOCTYPE x>", "<stream:stream/<", f"{HEADER}220 ready", f"{HEADER}\x15"])
def test_xml_that_breaks_is_no_other_protocol(bad: str) -> None:
    stream, _ = stream_at(State.PLAIN)
    error = fault_of(feed(stream, bad))
    assert str(error).startswith("the server sent bad XML: line 1, column ")
    assert error.hint is None


@pytest.mark.parametrize("state", [State.SECURED, State.SASL, State.AUTHENTICATED])
def test_behind_tls_the_server_has_spoken_xmpp_already(state: State) -> None:
    stream, _ = stream_at(state)
    assert str(fault_of(feed(stream, "220 mail.example ESMTP"))).startswith("the server sent bad XML: ")
