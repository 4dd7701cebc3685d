"""The sentences of a failed handshake, and which files serve for TLS."""

import asyncio
import datetime
import hashlib
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from xmppsh.errors import ConfigError, ConnectionLost, NoInputError, TlsError
from xmppsh.net.link import Link
from xmppsh.net.tls import CertificateFacts, TlsPolicy, check_pin, client_context, explain, why_failed


def der_of(*names: str) -> bytes:
    pem = trustme.CA().issue_cert(*names).cert_chain_pems[0].bytes().decode()
    return ssl.PEM_cert_to_DER_cert(pem)


CERTIFICATE = der_of("chat.example.net", "192.0.2.1")
FACTS = CertificateFacts.read(CERTIFICATE)
PIN = hashlib.sha256(CERTIFICATE).hexdigest()
assert FACTS is not None
ONLY = f"--pin sha256:{PIN} only if you trust that host"
ANOTHER = f"ask the server's operator for one with that name, or {ONLY}"
RENEW = "check this machine's clock, or ask the server's operator to renew it"


def verification(code: int, message: str = "") -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    return error


TLS_OFF = "its operator must switch TLS 1.2 or 1.3 on"


def tls_error(reason: str | None) -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL] something")
    error.reason = reason
    return error


CHECKED = [
    (62, "certificate is for chat.example.net, 192.0.2.1, not example.org", ANOTHER),
    (64, "certificate is for chat.example.net, 192.0.2.1, not example.org", ANOTHER),
    (10, f"the certificate of example.org has expired on {FACTS.not_after}", f"{RENEW}, or {ONLY}"),
    (9, f"the certificate of example.org is not valid yet before {FACTS.not_before}", "check this machine's clock"),
    (18, "the certificate of example.org is not signed by an authority that is trusted here (self-signed)",
     f"--ca FILE with the authority's certificate, or {ONLY}"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "sentence", "hint"), CHECKED)
def test_a_certificate_that_does_not_fit_is_explained_with_its_facts(code: int, sentence: str, hint: str) -> None:
    error = explain(verification(code, "self-signed"), "example.org", CERTIFICATE)
    assert isinstance(error, TlsError)
    assert (str(error), error.hint, error.exit_code, error.layer) == (sentence, hint, 76, "tls")


@pytest.mark.parametrize(("code", "sentence", "hint"), [
    (62, "certificate is for another name, not example.org", "ask the server's operator for one with that name"),
    (10, "the certificate of example.org has expired", RENEW),
    (9, "the certificate of example.org is not valid yet", "check this machine's clock"),
])  # fmt: skip
def test_a_certificate_that_was_not_seen_is_explained_without_facts(code: int, sentence: str, hint: str | None) -> None:
    for certificate in (None, b"garbage"):
        error = explain(verification(code), "example.org", certificate)
        assert (str(error), error.hint) == (sentence, hint)


def test_a_certificate_without_a_name_says_so() -> None:
    ca = trustme.CA().cert_pem.bytes().decode()
    error = explain(verification(62), "example.org", ssl.PEM_cert_to_DER_cert(ca))
    assert str(error) == "certificate is for no name at all, not example.org"


@pytest.mark.parametrize(("error", "sentence", "hint"), [
    (tls_error("WRONG_VERSION_NUMBER"), "no TLS with example.org: wrong version number",
     "--tls starttls, if the port is one for STARTTLS"),
    (tls_error("SSLV3_ALERT_HANDSHAKE_FAILURE"), "no TLS with example.org: the server says handshake failure", None),
    (tls_error("TLSV1_UNRECOGNIZED_NAME"), "no TLS with example.org: the server says unrecognized name", None),
    (tls_error("NO_SHARED_CIPHER"), "no TLS with example.org: no shared cipher", None),
    (tls_error("TLSV1_ALERT_PROTOCOL_VERSION"), "example.org takes no TLS 1.2 or newer", TLS_OFF),
    (tls_error("UNSUPPORTED_PROTOCOL"), "example.org takes no TLS 1.2 or newer", TLS_OFF),
])  # fmt: skip
def test_a_handshake_that_fails_is_explained(error: Exception, sentence: str, hint: str | None) -> None:
    explained = explain(error, "example.org")
    assert (str(explained), explained.hint, explained.exit_code) == (sentence, hint, 76)


@pytest.mark.parametrize(("error", "reason"), [
    (ConnectionResetError(104, "Connection reset by peer"), "connection reset by peer"),
    (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "the server closed it"),
    (ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed (EOF)"), "the server closed it"),
    (EOFError(), "the server closed it"),
    (ConnectionResetError(), "the server closed it"),
])  # fmt: skip
def test_a_cut_in_the_handshake_is_a_lost_connection(error: Exception, reason: str) -> None:
    explained = explain(error, "example.org")
    assert isinstance(explained, ConnectionLost)
    assert str(explained) == f"the connection broke in the TLS handshake with example.org: {reason}"
    assert (explained.exit_code, explained.layer, explained.hint) == (69, "tls", "try again later")


def test_what_breaks_a_link_is_told_without_the_codes_of_openssl() -> None:
    assert why_failed(tls_error("SSLV3_ALERT_BAD_RECORD_MAC")) == "the server says bad record mac"
    assert why_failed(ConnectionResetError(104, "Connection reset by peer")) == "connection reset by peer"


def test_a_domain_is_told_as_people_write_it() -> None:
    domain = "xn--bcher-kva.example"
    assert str(explain(verification(62), domain)) == "certificate is for another name, not bücher.example"
    assert str(explain(tls_error("BAD"), domain)) == "no TLS with bücher.example: bad"
    with pytest.raises(TlsError, match=r"^the certificate of bücher\.example is not the pinned one"):
        check_pin(TlsPolicy(pins=(PIN,)), None, domain)


def test_a_pin_decides_alone() -> None:
    check_pin(TlsPolicy(), None, "example.org")
    check_pin(TlsPolicy(pins=("0" * 64, PIN)), CERTIFICATE, "example.org")
    with pytest.raises(TlsError) as caught:
        check_pin(TlsPolicy(pins=("0" * 64,)), CERTIFICATE, "example.org")
    assert str(caught.value) == f"the certificate of example.org is not the pinned one: it is sha256:{PIN}"
    with pytest.raises(TlsError):
        check_pin(TlsPolicy(pins=(PIN,)), None, "example.org")


def test_the_facts_of_a_certificate_are_for_people() -> None:
    assert FACTS is not None
    assert FACTS.names == ("chat.example.net", "192.0.2.1")
    assert FACTS.sha256 == PIN
    assert len(FACTS.not_after) == len("2026-11-22")


def test_the_policy_is_tls_1_2_with_the_name_checked() -> None:
    context = client_context(TlsPolicy(), direct=False)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.parametrize("policy", [TlsPolicy(insecure=True), TlsPolicy(pins=(PIN,))])
def test_only_insecure_and_pins_leave_the_chain_unchecked(policy: TlsPolicy) -> None:
    assert client_context(policy, direct=False).verify_mode is ssl.CERT_NONE


def test_an_authority_of_ones_own_is_the_only_one(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    context = client_context(TlsPolicy(ca=tmp_path / "ca.pem"), direct=True)
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_files_that_do_not_serve_say_why(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("x")
    missing = tmp_path / "missing.pem"
    with pytest.raises(NoInputError, match=r"missing\.pem: no such file"):
        client_context(TlsPolicy(ca=missing), direct=False)
    with pytest.raises(
        ConfigError, match=r"garbage\.pem: no certificate authority in PEM form \(no certificate or crl found\)$"
    ):
        client_context(TlsPolicy(ca=garbage), direct=False)
    with pytest.raises(ConfigError, match=r"garbage\.pem: no certificate in PEM form"):
        client_context(TlsPolicy(certificate=garbage), direct=False)
    with pytest.raises(NoInputError, match="is a directory"):
        client_context(TlsPolicy(certificate=tmp_path), direct=False)


def test_an_authority_of_the_environment_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert len(client_context(TlsPolicy(), direct=False).get_ca_certs()) == 1
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    with pytest.raises(NoInputError) as caught:
        client_context(TlsPolicy(), direct=False)
    assert (str(caught.value), caught.value.hint) == (
        "/nowhere.pem: no such file or directory",
        "SSL_CERT_FILE names it",
    )


# ── The chain and the name, with a real handshake ───────────────────────────────────────────────────────────────────


def _pem(path: Path, *pieces: bytes) -> Path:
    path.write_bytes(b"".join(pieces))
    return path


def _common_name_alone(folder: Path) -> tuple[Path, Path]:
    """A certificate whose only name is its CN, trusted; the key with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.org")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, now - day, now + day)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _pem(folder / "server.pem", private, pem), _pem(folder / "ca.pem", pem)


async def _handshake(server: Path, policy: TlsPolicy) -> Link:
    """Connect to a server with this certificate on loopback; raises what the handshake raises."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    loop = asyncio.get_running_loop()
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with listening:
        _, link = await loop.create_connection(Link, *listening.sockets[0].getsockname()[:2])
        try:
            await link.start_tls(client_context(policy, direct=False), "example.org", 10)
        finally:
            link.abort()
        return link


CHAINS = {
    "whole": ([0, 1], None),
    "without its intermediate": ([0], "sends no intermediate certificate; the issuer is "),
    "without its second intermediate": ([0, 1], "is not signed by an authority that is trusted here (unable"),
}


@pytest.mark.parametrize(("kept", "sentence"), CHAINS.values(), ids=CHAINS)
async def test_a_chain_that_lacks_its_intermediate_is_told_so(
    tmp_path: Path, kept: list[int], sentence: str | None
) -> None:
    root = trustme.CA()
    first = root.create_child_ca()
    issuer = first.create_child_ca() if sentence and len(kept) == 2 else first
    leaf = issuer.issue_cert("example.org")
    chain = [leaf.cert_chain_pems[0].bytes(), issuer.cert_pem.bytes()]
    server = _pem(tmp_path / "server.pem", leaf.private_key_pem.bytes(), *(chain[place] for place in kept))
    policy = TlsPolicy(_pem(tmp_path / "ca.pem", root.cert_pem.bytes()))
    if sentence is None:
        await _handshake(server, policy)
        return
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        await _handshake(server, policy)
    sent = (await _handshake_unchecked(server)) or ()
    assert len(sent) == len(kept)
    error = explain(caught.value, "example.org", *sent)
    assert sentence in str(error)
    assert error.exit_code == 76


async def _handshake_unchecked(server: Path) -> tuple[bytes, ...]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with listening:
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(Link, *listening.sockets[0].getsockname()[:2])
        await link.start_tls(client_context(TlsPolicy(insecure=True), direct=False), "example.org", 10)
        chain = link.chain
        link.abort()
        return chain


async def test_a_common_name_is_no_name(tmp_path: Path) -> None:
    server, ca = _common_name_alone(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        await _handshake(server, TlsPolicy(ca))
    error = explain(caught.value, "example.org", *await _handshake_unchecked(server))
    assert str(error) == (
        "certificate is for no name at all (its common name example.org does not count, RFC 9525 §6.3), not example.org"
    )
