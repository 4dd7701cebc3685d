"""Which certificates prove a domain: each with a real handshake in memory, on both ways that a session is opened."""

import _ssl
import contextlib
import datetime
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from xmppsh.net.tls import TlsPolicy, client_context, explain, set_up

DAY = datetime.timedelta(1)
NOW = datetime.datetime.now(datetime.UTC)
DOMAIN = "example.org"


def dns(*names: str) -> list[x509.GeneralName]:
    """As they are, also where no library would write them."""
    return [x509.DNSName._init_without_validation(name) for name in names]


def other(oid: str, tag: int, text: str) -> x509.OtherName:
    return x509.OtherName(ObjectIdentifier(oid), bytes([tag, len(text)]) + text.encode())


SRV_NAME = other("1.3.6.1.5.5.7.8.7", 0x16, f"_xmpp-client.{DOMAIN}")  # RFC 4985
XMPP_ADDR = other("1.3.6.1.5.5.7.8.5", 0x0C, DOMAIN)  # RFC 6120 §13.7.1.4


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def made(
    common_name: str,
    names: Iterable[x509.GeneralName] = (),
    *,
    by: Made | None = None,
    ca: bool = False,
    usage: ObjectIdentifier | None = None,
    dates: tuple[datetime.datetime, datetime.datetime] = (NOW - 30 * DAY, NOW + 30 * DAY),
    key: Any = None,
) -> Made:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    issuer = subject if by is None else by.certificate.subject
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), *dates)
    builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return Made(builder.sign(key if by is None else by.key, hashes.SHA256()), key)


ROOT = made("root", ca=True)
OLD_BETWEEN = made("between", by=ROOT, ca=True, dates=(NOW - 30 * DAY, NOW - DAY))
NEW_BETWEEN = made("between", by=ROOT, ca=True, dates=(NOW + DAY, NOW + 30 * DAY))
NO_AUTHORITY = made("elsewhere.example", dns("elsewhere.example"), by=ROOT)


def verdict(context: Any, leaf: Made, chain: tuple[Made, ...], domain: str, folder: Path) -> Exception | None:
    """What the client's side says in a handshake with this server; None where it is content."""
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.set_ciphers("DEFAULT:@SECLEVEL=0")
    pem = folder / "server.pem"
    pem.write_bytes(leaf.key_pem + b"".join(one.pem for one in (leaf, *chain)))
    served.load_cert_chain(pem)
    to_server, to_client = _ssl.MemoryBIO(), _ssl.MemoryBIO()
    server = served._wrap_bio(to_server, to_client, True, server_hostname=None)  # type: ignore[attr-defined]
    client = context._wrap_bio(to_client, to_server, False, server_hostname=domain)
    for _ in range(5):
        with contextlib.suppress(ssl.SSLWantReadError):
            try:
                client.do_handshake()
            except ssl.SSLCertVerificationError as error:
                return error
            return None
        with contextlib.suppress(ssl.SSLWantReadError):
            server.do_handshake()
    raise AssertionError("no end of the handshake")


def sentences(leaf: Made, folder: Path, domain: str = DOMAIN, chain: tuple[Made, ...] = ()) -> set[str]:
    """What is told on both ways, empty where the certificate is taken: one member where they agree."""
    ca = folder / "ca.pem"
    ca.write_bytes(ROOT.pem)
    policy = TlsPolicy(ca)
    bare: Any = _ssl._SSLContext(_ssl.PROTOCOL_TLS_CLIENT)  # type: ignore[attr-defined] # as express/ has it
    set_up(bare, policy)
    found = set()
    sent = [one.certificate.public_bytes(serialization.Encoding.DER) for one in (leaf, *chain)]
    for context in (client_context(policy, direct=False), bare):
        error = verdict(context, leaf, chain, domain, folder)
        found.add("" if error is None else str(explain(error, domain, *sent)))
    return found


NAMES = {
    "its name": (dns("elsewhere.example", DOMAIN), DOMAIN, True),
    "its name in capitals": (dns("EXAMPLE.org"), DOMAIN, True),
    "a wildcard for its first label": (dns("*.example.org"), "chat.example.org", True),
    "a wildcard for what stands before it": (dns("*.example.org"), DOMAIN, False),
    "a wildcard for two labels": (dns("*.example.org"), "a.b.example.org", False),
    "a wildcard of a whole suffix": (dns("*.org"), DOMAIN, False),
    "a wildcard alone": (dns("*"), "localhost", False),
    "a wildcard in a later label": (dns("chat.*.org"), "chat.example.org", False),
    "a part of a label": (dns("c*.example.org"), "chat.example.org", False),
    "two wildcards": (dns("*.*.org"), "chat.example.org", False),
    "a name with a NUL in it": (dns("example.org\0.evil.example"), DOMAIN, False),
    "a name with a NUL at its end": (dns("example.org\0"), DOMAIN, False),
    "a longer name": (dns("example.org.evil.example", "notexample.org"), DOMAIN, False),
    "an IDN": (dns("xn--bcher-kva.example"), "xn--bcher-kva.example", True),
    "part of an IDN": (dns("xn--*.example"), "xn--bcher-kva.example", False),
    "a common name alone": ([], DOMAIN, False),
    "a mail address": ([x509.RFC822Name._init_without_validation(f"admin@{DOMAIN}")], DOMAIN, False),
    "a URI": ([x509.UniformResourceIdentifier(f"xmpp://{DOMAIN}")], DOMAIN, False),
}


@pytest.mark.parametrize(("names", "domain", "holds"), NAMES.values(), ids=NAMES)
def test_a_domain_is_proved_by_its_own_name_alone(
    tmp_path: Path, names: list[x509.GeneralName], domain: str, holds: bool
) -> None:
    (told,) = sentences(made(domain, names, by=ROOT), tmp_path, domain)
    assert (told == "") == holds, told
    assert holds or told.startswith("certificate is for ")


@pytest.mark.parametrize(("name", "kind"), [(SRV_NAME, "SRVName"), (XMPP_ADDR, "xmppAddr")], ids=["SRV", "xmppAddr"])
def test_a_name_of_another_kind_does_not_count_and_is_told(tmp_path: Path, name: x509.GeneralName, kind: str) -> None:
    (told,) = sentences(made("leaf", [name], by=ROOT), tmp_path)
    assert told.startswith("certificate is for no name at all (")
    assert kind in told


WRONG = "the certificate of example.org is not accepted: "
AUTHORITY = "the certificate of example.org is not signed by an authority that is trusted here"
IN_CHAIN = "the certificate of example.org is fine by its dates, but that of its issuer between "


def test_a_certificate_that_is_for_clients_alone_is_told_so(tmp_path: Path) -> None:
    (told,) = sentences(made("leaf", dns(DOMAIN), by=ROOT, usage=ExtendedKeyUsageOID.CLIENT_AUTH), tmp_path)
    assert told.startswith(WRONG)
    assert "purpose" in told


def test_a_key_that_is_too_short_is_told_so(tmp_path: Path) -> None:
    short = rsa.generate_private_key(65537, 1024)
    (told,) = sentences(made("leaf", dns(DOMAIN), by=ROOT, key=short), tmp_path)
    assert told.startswith(WRONG)
    assert "key too weak" in told


def test_an_issuer_that_is_no_authority_is_told_so(tmp_path: Path) -> None:
    (told,) = sentences(made("leaf", dns(DOMAIN), by=NO_AUTHORITY), tmp_path, chain=(NO_AUTHORITY,))
    assert told.startswith(WRONG)


def test_who_has_signed_himself_is_no_authority(tmp_path: Path) -> None:
    (told,) = sentences(made("leaf", dns(DOMAIN)), tmp_path)
    assert told.startswith(AUTHORITY)


@pytest.mark.parametrize(("between", "what"), [(OLD_BETWEEN, "has expired"), (NEW_BETWEEN, "is not valid yet")])
def test_it_is_told_which_certificate_of_the_chain_is_out_of_date(tmp_path: Path, between: Made, what: str) -> None:
    (told,) = sentences(made("leaf", dns(DOMAIN), by=between), tmp_path, chain=(between,))
    assert told.startswith(IN_CHAIN + what)
    out = made(
        "leaf",
        dns(DOMAIN),
        by=ROOT,
        dates=(between.certificate.not_valid_before_utc, between.certificate.not_valid_after_utc),
    )
    (told,) = sentences(out, tmp_path)
    assert told.startswith(f"the certificate of example.org {what}")
