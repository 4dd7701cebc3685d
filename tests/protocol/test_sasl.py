"""Which mechanism, the truth of the gs2 header, and the vectors of RFC 5802 and RFC 7677."""

import datetime
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from asn1crypto.x509 import Certificate
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from xmppsh.errors import ProtocolError, SaslError, XmppshError
from xmppsh.model import Credentials, Jid
from xmppsh.protocol import sasl, scram
from xmppsh.protocol.signature import signature_hash

if TYPE_CHECKING:
    from xmppsh.protocol.sasl import Exchange

JULIET = Jid.parse("juliet@example.org")
PASSWORD = Credentials("pencil")
END_POINT = frozenset({"tls-server-end-point"})


def certificate(algorithm: hashes.HashAlgorithm | None, key: Any = None, *, pss: bool = False) -> bytes:
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.org")])
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day + datetime.timedelta(1))
    scheme: Any = padding.PSS(padding.MGF1(algorithm), 32) if pss and algorithm is not None else None
    return builder.sign(key, algorithm, rsa_padding=scheme).public_bytes(serialization.Encoding.DER)


RSA_KEY = rsa.generate_private_key(65537, 2048)
SHA256_CERTIFICATE = certificate(hashes.SHA256())
ED25519_CERTIFICATE = certificate(None, ed25519.Ed25519PrivateKey.generate())
ED448_CERTIFICATE = certificate(None, ed448.Ed448PrivateKey.generate())


def choose(
    offered: str,
    credentials: Credentials = PASSWORD,
    *,
    secure: bool = True,
    binding: frozenset[str] = frozenset(),
    der: bytes | None = None,
) -> "Exchange":
    return sasl.Offer(frozenset(offered.split()), secure, binding, der).begin(JULIET, credentials)


CERTIFICATE = Credentials(certificate=True)
ANONYMOUS = Credentials(anonymous=True)
ALL = (
    "PLAIN LOGIN DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512 SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS EXTERNAL "
    "ANONYMOUS"
)
NONE_SPOKEN = "example.org offers no login that xmppsh speaks (it offers: "


@pytest.mark.parametrize(("offered", "credentials", "secure", "bound", "expected"), [
    (ALL, PASSWORD, True, True, "SCRAM-SHA-256-PLUS"),
    (ALL, PASSWORD, True, False, "SCRAM-SHA-512"),
    (ALL, PASSWORD, False, False, "SCRAM-SHA-512"),
    (ALL, CERTIFICATE, True, False, "EXTERNAL"),
    (ALL, ANONYMOUS, True, False, "ANONYMOUS"),
    (ALL, ANONYMOUS, False, False, "ANONYMOUS"),
    (ALL, Credentials("pencil", certificate=True), True, False, "EXTERNAL"),
    (ALL, Credentials("pencil", mechanism="PLAIN"), True, True, "PLAIN"),
    (ALL, Credentials("pencil", mechanism="scram-sha-1"), True, True, "SCRAM-SHA-1"),
    ("SCRAM-SHA-1 PLAIN", PASSWORD, True, True, "SCRAM-SHA-1"),
    ("SCRAM-SHA-1-PLUS SCRAM-SHA-256", PASSWORD, True, True, "SCRAM-SHA-1-PLUS"),
    ("PLAIN ANONYMOUS", PASSWORD, True, False, "PLAIN"),
    ("PLAIN", Credentials("pencil", certificate=True), True, False, "PLAIN"),
])  # fmt: skip
def test_the_strongest_mechanism_that_is_possible_is_chosen(
    offered: str, credentials: Credentials, secure: bool, bound: bool, expected: str
) -> None:
    der, binding = (SHA256_CERTIFICATE, END_POINT) if bound else (None, frozenset())
    assert choose(offered, credentials, secure=secure, binding=binding, der=der).name == expected


@pytest.mark.parametrize(("offered", "credentials", "secure", "sentence", "hint"), [
    ("LOGIN DIGEST-MD5", PASSWORD, True, NONE_SPOKEN + "DIGEST-MD5, LOGIN)", "xmppsh speaks EXTERNAL"),
    ("", PASSWORD, True, NONE_SPOKEN + "none)", "xmppsh speaks"),
    ("PLAIN", PASSWORD, False, "the server offers no login that is safe without TLS", "leave out --tls off"),
    ("ANONYMOUS", PASSWORD, True, NONE_SPOKEN + "ANONYMOUS)", "xmppsh"),
    ("SCRAM-SHA-1-PLUS", PASSWORD, True, NONE_SPOKEN + "SCRAM-SHA-1-PLUS)", "xmppsh speaks"),
    ("PLAIN", ANONYMOUS, True, "example.org does not offer ANONYMOUS (it offers: PLAIN)", ""),
    ("PLAIN", Credentials(), True, "juliet@example.org: no password was given", "--password-file"),
    ("PLAIN", Credentials("x", mechanism="SCRAM-SHA-1"), True,
     "example.org does not offer SCRAM-SHA-1 (it offers: PLAIN)",
     "leave out --mechanism"),
    ("LOGIN", Credentials("x", mechanism="login"), True, "LOGIN is a mechanism that xmppsh does not speak", "one of"),
    ("EXTERNAL", Credentials("x", mechanism="EXTERNAL"), True, "EXTERNAL cannot be used here with what was given",
     "leave out --mechanism"),
])  # fmt: skip
def test_where_no_mechanism_is_left_the_error_says_why(
    offered: str, credentials: Credentials, secure: bool, sentence: str, hint: str
) -> None:
    with pytest.raises(SaslError) as caught:
        choose(offered, credentials, secure=secure)
    assert str(caught.value) == sentence
    assert (caught.value.hint or "").startswith(hint)
    assert caught.value.exit_code == 77


@pytest.mark.parametrize(("offered", "binding", "der", "header"), [
    ("SCRAM-SHA-1", frozenset(), None, b"n,,"),
    ("SCRAM-SHA-1", frozenset(), SHA256_CERTIFICATE, b"y,,"),
    ("SCRAM-SHA-1 SCRAM-SHA-1-PLUS", frozenset(), SHA256_CERTIFICATE, b"n,,"),
    ("SCRAM-SHA-1 SCRAM-SHA-1-PLUS", frozenset({"tls-exporter"}), SHA256_CERTIFICATE, b"n,,"),
    ("SCRAM-SHA-1 SCRAM-SHA-1-PLUS", END_POINT, None, b"n,,"),
    ("SCRAM-SHA-1 SCRAM-SHA-1-PLUS", END_POINT, ED25519_CERTIFICATE, b"n,,"),
    ("SCRAM-SHA-1", END_POINT, ED25519_CERTIFICATE, b"n,,"),
    ("SCRAM-SHA-1 SCRAM-SHA-1-PLUS", END_POINT, SHA256_CERTIFICATE, b"p=tls-server-end-point,,"),
    ("SCRAM-SHA-1 SCRAM-SHA-1-PLUS", END_POINT | {"tls-exporter"}, SHA256_CERTIFICATE, b"p=tls-server-end-point,,"),
])  # fmt: skip
def test_the_gs2_header_tells_the_truth(
    offered: str, binding: frozenset[str], der: bytes | None, header: bytes
) -> None:
    assert choose(offered, binding=binding, der=der).initial().startswith(header + b"n=juliet,r=")


def test_a_mechanism_that_was_asked_for_does_not_claim_that_the_server_cannot_bind() -> None:
    exchange = choose(ALL, Credentials("pencil", mechanism="SCRAM-SHA-1"), binding=END_POINT, der=SHA256_CERTIFICATE)
    assert exchange.initial().startswith(b"n,,")


@pytest.mark.parametrize(("algorithm", "expected"), [
    (hashes.SHA256(), hashlib.sha256),
    (hashes.SHA384(), hashlib.sha384),
    (hashes.SHA512(), hashlib.sha512),
])  # fmt: skip
def test_the_end_point_is_hashed_as_its_certificate_is_signed(
    algorithm: hashes.HashAlgorithm, expected: Callable[[bytes], "hashlib._Hash"]
) -> None:
    der = certificate(algorithm)
    assert sasl.channel_binding(der) == expected(der).digest()


@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA512()], ids=["sha256", "sha512"])
@pytest.mark.parametrize("scheme", ["pkcs1", "pss"])
def test_a_signature_by_rsa_names_its_hash_where_an_asn1_library_finds_it(
    algorithm: hashes.HashAlgorithm, scheme: str
) -> None:
    der = certificate(algorithm, RSA_KEY, pss=scheme == "pss")
    assert signature_hash(der) == Certificate.load(der)["signature_algorithm"].hash_algo == algorithm.name


@pytest.mark.parametrize("der", [
    *(b"", b"garbage", SHA256_CERTIFICATE[:-1], b"\x30\x80", b"\x30\x84\xff\xff\xff\xff"),
    pytest.param(ED25519_CERTIFICATE, id="ed25519"),
    pytest.param(ED448_CERTIFICATE, id="ed448"),
])  # fmt: skip
def test_a_certificate_without_an_end_point_gives_none(der: bytes) -> None:
    assert sasl.channel_binding(der) is None


def test_plain_external_and_anonymous_are_a_line_each() -> None:
    assert choose("PLAIN").initial() == b"\0juliet\0pencil"
    assert choose("EXTERNAL", CERTIFICATE).initial() == b"juliet@example.org"
    assert choose("ANONYMOUS", ANONYMOUS).initial() == b""
    with pytest.raises(ProtocolError, match="the server challenges PLAIN, which knows no challenges"):
        choose("PLAIN").challenged(b"x")
    choose("PLAIN").succeeded(None)


# ── SCRAM ───────────────────────────────────────────────────────────────────────────────────────────────────────

VECTORS = {
    "SCRAM-SHA-1": (  # RFC 5802 §5
        "fyko+d2lbbFgONRv9qkxdawL",
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "SCRAM-SHA-256": (  # RFC 7677 §3
        "rOprNGfwEbeRWgbNEkqO",
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
}


def vector(name: str, monkeypatch: pytest.MonkeyPatch) -> "Exchange":
    monkeypatch.setattr(scram, "new_nonce", lambda: VECTORS[name][0])
    return sasl.Offer(frozenset({name}), secure=True).begin(Jid.parse("user@example.org"), PASSWORD)


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("proof_in", ["success", "challenge"])
def test_scram_gives_what_its_rfc_says(name: str, proof_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nonce, challenge, final, proof = VECTORS[name]
    exchange = vector(name, monkeypatch)
    assert exchange.initial() == f"n,,n=user,r={nonce}".encode()
    work = exchange.challenged(challenge)
    assert callable(work)
    assert work() == final
    if proof_in == "challenge":
        assert exchange.challenged(proof) == b""
        exchange.succeeded(None)
    else:
        exchange.succeeded(proof)


BAD_PROOFS = [None, b"", b"v=", b"v=!!", b"v=QQ==", b"e=other-error", b"\xff", b"v=\xc3\xa9", b"x"]


@pytest.mark.parametrize("proof", BAD_PROOFS)
def test_scram_believes_no_success_without_the_server_s_proof(
    proof: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = vector("SCRAM-SHA-1", monkeypatch)
    exchange.initial()
    work = exchange.challenged(VECTORS["SCRAM-SHA-1"][1])
    assert callable(work)
    work()
    with pytest.raises(ProtocolError) as caught:
        exchange.succeeded(proof)
    assert caught.value.layer == "sasl"


def test_scram_believes_no_proof_of_another_password(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = vector("SCRAM-SHA-256", monkeypatch)
    exchange.initial()
    exchange.challenged(VECTORS["SCRAM-SHA-256"][1])()  # type: ignore[operator]
    with pytest.raises(ProtocolError, match=r"^the server could not prove that it knows the password"):
        exchange.succeeded(VECTORS["SCRAM-SHA-1"][3])


@pytest.mark.parametrize("number", ["4095", "1", "0", "-1", "10000001", "99999999999", "x", "", "4096.0", " 4096"])
def test_scram_refuses_iterations_outside_the_floor_and_the_ceiling(
    number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = vector("SCRAM-SHA-1", monkeypatch)
    exchange.initial()
    with pytest.raises(ProtocolError):
        exchange.challenged(VECTORS["SCRAM-SHA-1"][1].replace(b"4096", number.encode()))


@pytest.mark.parametrize("nonce", [b"r=fyko+d2lbbFgONRv9qkxdawL,", b"r=other3rfcNHYJY1ZVvWVs7j,", b""])
def test_scram_refuses_a_nonce_that_does_not_extend_its_own(nonce: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = vector("SCRAM-SHA-1", monkeypatch)
    exchange.initial()
    with pytest.raises(ProtocolError):
        exchange.challenged(nonce + b"s=QSXCR+Q6sek8bf92,i=4096")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40) | st.from_regex(rb"(r|s|i|m|e|v)=[^,]*(,(r|s|i)=[^,]*){0,3}", fullmatch=True))
def test_a_challenge_of_any_bytes_raises_nothing_but_ours(data: bytes) -> None:
    exchange = choose("SCRAM-SHA-256")
    exchange.initial()
    with pytest.raises(XmppshError):
        exchange.challenged(data)


@pytest.mark.parametrize(("text", "expected"), [(None, None), ("", None), ("=", b""), ("YQ==", b"a")])
def test_base64_as_sasl_in_xmpp_has_it(text: str | None, expected: bytes | None) -> None:
    assert sasl.decode(text) == expected


@pytest.mark.parametrize("text", ["YQ", "YQ==\n", " YQ==", "Y-_=", "é", "===="])
def test_what_is_not_base64_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="the server's SASL data is not base64"):
        sasl.decode(text)


def test_nothing_at_all_is_an_equals_sign() -> None:
    assert sasl.encode(b"") == "="
    assert sasl.encode(b"a") == "YQ=="


@pytest.mark.parametrize("password", ["\u200e", "a\x00b", "\u06271", "\ue000"])
def test_a_password_that_cannot_be_used_is_not_the_server_s_fault(password: str) -> None:
    with pytest.raises(XmppshError) as caught:
        choose("SCRAM-SHA-1", Credentials(password))
    assert caught.value.exit_code == 77
