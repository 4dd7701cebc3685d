"""A certificate authority and a server certificate made for this run, and thrown away with it.

The private keys never outlive the function that makes them: OpenSSL takes a key from a file alone, so the server's
touches the disk in a 0600 file that is removed right after loading. The CA's key is never written.
"""

from __future__ import annotations

import datetime as dt
import os
import ssl
import tempfile
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

LIFETIME = dt.timedelta(days=30)  # of keys that are gone with the run: so long that `doctor` finds nothing to renew
BACKDATED = dt.timedelta(hours=1)  # a client whose clock is behind still takes it
ALPN = "xmpp-client"  # XEP-0368 §3


@dataclass(frozen=True)
class ServerTls:
    """What the server needs, and what a client has to trust.

    context: for the server's side of TLS; ca_pem: the CA certificate as PEM text.
    """

    context: ssl.SSLContext
    ca_pem: str


def issue(dns_name: str) -> ServerTls:
    """Make a CA and a certificate for `dns_name` (A-labels), localhost and 127.0.0.1."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _authority(ca_key)
    server = _server_certificate(server_key, dns_name, ca, ca_key)
    ca_pem = ca.public_bytes(serialization.Encoding.PEM)
    chain = server.public_bytes(serialization.Encoding.PEM) + ca_pem
    key = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return ServerTls(_context(key + chain), ca_pem.decode("ascii"))


def _context(key_and_chain: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 9325 §3.1.1
    context.set_alpn_protocols([ALPN])
    descriptor, name = tempfile.mkstemp(prefix="xmppsh-playground-", suffix=".pem")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key_and_chain)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()
    return context


def _name(common_name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: str, issuer: str, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    from cryptography import x509

    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


CA_NAME = "xmppsh playground CA"
SERVER_NAME = "xmppsh playground"  # RFC 9525 §2: nobody matches the subject; at most 64 characters, unlike a domain


def _authority(key: EllipticCurvePrivateKey) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    # RFC 5280 §4.2.1.3, §4.2.1.9: what OpenSSL's X509_STRICT asks of a CA.
    return (
        _builder(CA_NAME, CA_NAME, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=False, issue=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _server_certificate(
    key: EllipticCurvePrivateKey, dns_name: str, ca: x509.Certificate, ca_key: EllipticCurvePrivateKey
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    names = [x509.DNSName(name) for name in dict.fromkeys((dns_name, "localhost"))]
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _builder(SERVER_NAME, CA_NAME, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=True, issue=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([*names, x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _usage(*, sign: bool, issue: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=issue,
        crl_sign=issue,
        encipher_only=False,
        decipher_only=False,
    )
