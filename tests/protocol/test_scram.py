"""SCRAM by itself: the vectors of the RFCs, scramp on the other side, every salt, and what is refused."""

import hashlib
from base64 import b64encode

import pytest
import scramp
from hypothesis import given, settings
from hypothesis import strategies as st

from xmppsh.protocol.saslprep import NotAllowed, saslprep
from xmppsh.protocol.scram import Client, ScramError, Server, Verifier

NAMES = ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"]
VECTORS = {
    "SCRAM-SHA-1": (  # RFC 5802 §5
        "fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j", "QSXCR+Q6sek8bf92",
        "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "SCRAM-SHA-256": (  # RFC 7677 §3
        "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "W22ZaJ0SNY7soEsUEjb6gQ==",
        "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VECTORS)
def test_both_sides_give_what_the_rfc_says(name: str) -> None:
    own, theirs, salt, proof, signature = VECTORS[name]
    from base64 import b64decode

    client = Client(name, "user", "pencil", nonce=own)
    server = Server(name, lambda _: Verifier.of(name, "pencil", salt=b64decode(salt)), nonce=theirs)
    assert client.first() == f"n,,n=user,r={own}"
    challenge = server.first(client.first())
    assert challenge == f"r={own}{theirs},s={salt},i=4096"
    final = client.challenged(challenge)()
    assert final == f"c=biws,r={own}{theirs},p={proof}"
    assert server.final(final) == f"v={signature}"
    client.verify(f"v={signature}")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("password", ["pencil", "pässwörd", "a,b=c", "ﬁ", "\u2168", "\xaa"])
@pytest.mark.parametrize("gs2_header", ["n,,", "y,,"])
def test_scramp_s_server_lets_our_client_in(name: str, password: str, gs2_header: str) -> None:
    mechanism = scramp.ScramMechanism(name)
    facts = mechanism.make_auth_info(password, iteration_count=4096)
    server = mechanism.make_server(lambda _: facts)
    client = Client(name, "us=er,x", password, gs2_header=gs2_header)
    server.set_client_first(client.first())
    server.set_client_final(client.challenged(server.get_server_first())())
    client.verify(server.get_server_final())


@pytest.mark.parametrize("name", NAMES)
def test_scramp_s_client_is_let_in_by_our_server(name: str) -> None:
    client = scramp.ScramClient([name], "user", "pencil")
    server = Server(name, lambda _: Verifier.of(name, "pencil"))
    client.set_server_first(server.first(client.get_client_first()))
    client.set_server_final(server.final(client.get_client_final()))


@pytest.mark.parametrize("name", NAMES)
def test_a_bound_channel_is_proved_by_both(name: str) -> None:
    mechanism, binding = scramp.ScramMechanism(f"{name}-PLUS"), ("tls-server-end-point", b"hash of the certificate")
    facts = mechanism.make_auth_info("pencil", iteration_count=4096)
    server = mechanism.make_server(lambda _: facts, channel_binding=binding)
    client = Client(f"{name}-PLUS", "user", "pencil", gs2_header="p=tls-server-end-point,,", binding=binding[1])
    server.set_client_first(client.first())
    server.set_client_final(client.challenged(server.get_server_first())())
    client.verify(server.get_server_final())


@pytest.mark.parametrize("size", [1, 2, 8, 10, 11, 12, 16, 64, 255])
def test_a_salt_has_no_least_length(size: int) -> None:
    client = Client("SCRAM-SHA-1", "user", "pencil", nonce="abc")
    server = Server("SCRAM-SHA-1", lambda _: Verifier.of("SCRAM-SHA-1", "pencil", salt=b"s" * size))
    client.verify(server.final(client.challenged(server.first(client.first()))()))


@pytest.mark.parametrize(("iterations", "is_taken"), [
    ("4095", False), ("4096", True), ("10000", True), ("10000001", False), ("0", False), ("04096", True),
    ("\u0664096", False), ("+4096", False), ("", False), ("99999999999999999999", False),
])  # fmt: skip
def test_iterations_have_a_floor_and_a_ceiling(iterations: str, is_taken: bool) -> None:
    client = Client("SCRAM-SHA-1", "user", "pencil", nonce="abc")
    challenge = f"r=abcdef,s={b64encode(b'salt').decode()},i={iterations}"
    if is_taken:
        client.challenged(challenge)
        return
    with pytest.raises(ScramError):
        client.challenged(challenge)


REFUSED = {
    "an extension that must be known": "m=x,r=abcdef,s=c2FsdA==,i=4096",
    "another nonce": "r=xyz,s=c2FsdA==,i=4096",
    "our own nonce": "r=abc,s=c2FsdA==,i=4096",
    "another order": "s=c2FsdA==,r=abcdef,i=4096",
    "no salt": "r=abcdef,i=4096",
    "a salt that is not base64": "r=abcdef,s=c2Fs!A==,i=4096",
    "nothing": "",
}


@pytest.mark.parametrize("challenge", REFUSED.values(), ids=REFUSED)
def test_a_challenge_that_breaks_the_rules_is_refused(challenge: str) -> None:
    with pytest.raises(ScramError):
        Client("SCRAM-SHA-1", "user", "pencil", nonce="abc").challenged(challenge)


def test_what_follows_the_iterations_is_an_extension_and_signed_as_it_stands() -> None:
    client = Client("SCRAM-SHA-256", "user", "pencil", nonce="abc")
    assert client.challenged("r=abcdef,s=c2FsdA==,i=4096,x=future")().startswith("c=biws,r=abcdef,p=")


@pytest.mark.parametrize("final", ["", "v=", "v=AAAA", "e=other-error", "x=1", "v=!"])
def test_a_server_that_proves_nothing_is_refused(final: str) -> None:
    client = Client("SCRAM-SHA-1", "user", "pencil", nonce="abc")
    client.challenged("r=abcdef,s=c2FsdA==,i=4096")()
    with pytest.raises(ScramError):
        client.verify(final)


@pytest.mark.parametrize("change", ["c=eSws", "r=other", "p=AAAA", "p=!"])
def test_our_server_refuses_a_final_message_that_was_changed(change: str) -> None:
    server = Server("SCRAM-SHA-1", lambda _: Verifier.of("SCRAM-SHA-1", "pencil"))
    client = Client("SCRAM-SHA-1", "user", "pencil")
    parts = dict(part.split("=", 1) for part in client.challenged(server.first(client.first()))().split(","))
    name, value = change.split("=", 1)
    with pytest.raises(ScramError):
        server.final(",".join(f"{key}={value if key == name else old}" for key, old in parts.items()))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_in_the_place_of_a_message_raises_nothing_but_ours(first: str, final: str) -> None:
    server = Server("SCRAM-SHA-1", lambda _: None)
    for step, text in ((server.first, first), (server.final, final)):
        with pytest.raises(ScramError):
            step(text)


# ── SASLprep ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("text", "prepared"), [
    ("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"),  # RFC 4013 §3
    ("a\u00a0b", "a b"), ("pe\u0301", "pé"), (" ", " "), ("", ""), ("\u0627\u0628", "\u0627\u0628"),
])  # fmt: skip
def test_text_is_prepared_as_the_rfc_says(text: str, prepared: str) -> None:
    assert saslprep(text) == (prepared, True)


@pytest.mark.parametrize("text", ["🔑", "ẞ", "pass🔑word", "\u0221", "a\u2168🔑", "₿", "ﬁ🥨"])
def test_a_password_with_characters_that_were_not_assigned_stays_as_it_is(text: str) -> None:
    assert saslprep(text) == (text, False)
    server = Server("SCRAM-SHA-1", lambda _: Verifier.of("SCRAM-SHA-1", text))
    client = Client("SCRAM-SHA-1", "user", text)
    client.verify(server.final(client.challenged(server.first(client.first()))()))
    assert not client.is_prepared
    assert hashlib.sha1(saslprep(text)[0].encode()).digest() == hashlib.sha1(text.encode()).digest()


@pytest.mark.parametrize(
    "text", ["\x07", "\x7f", "a\x00b", "\u0627\u0031", "\ue000", "\u200e", "\U000e0001", "\ufffd", "🔑\x07"]
)
def test_what_the_rfc_forbids_is_refused(text: str) -> None:
    with pytest.raises(NotAllowed):
        saslprep(text)


def test_ascii_loads_no_tables() -> None:
    import subprocess
    import sys

    code = "import sys, xmppsh.protocol.sasl as s; from xmppsh.protocol.saslprep import saslprep; saslprep('pencil')"
    loaded = f"{code}; sys.exit('stringprep' in sys.modules or 'scramp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
