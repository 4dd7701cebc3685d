"""A certificate authority for one test server, and the certificates, good and bad, that it hands out."""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

CertificateKind = Literal["good", "expired", "wrong-name", "self-signed"]

WRONG_NAME = "elsewhere.example"
DAY = dt.timedelta(days=1)
# trustme's own default, the year 3000, overflows the expiry timers of ejabberd 23.01: it then serves no certificate.
LIFETIME = 365 * DAY


@dataclass(frozen=True)
class ServerCertificate:
    """Paths of the PEM files a server reads: the chain, its key, and both in one."""

    chain: "Path"
    key: "Path"
    combined: "Path"


class Authority:
    """One CA of its own in `folder`; `pem` is what a client has to trust."""

    def __init__(self, folder: "Path") -> None:
        self._folder = folder
        self._ca = trustme.CA(organization_name="xmppsh tests")
        self.pem = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.pem))

    def issue(self, kind: CertificateKind, *names: str) -> ServerCertificate:
        """A server certificate for `names`, with the one fault that `kind` says."""
        chain, key = _self_signed(names) if kind == "self-signed" else self._signed(kind, names)
        written = ServerCertificate(
            self._folder / "server.crt", self._folder / "server.key", self._folder / "server.pem"
        )
        for path, content in ((written.chain, chain), (written.key, key), (written.combined, key + chain)):
            path.touch(mode=0o600)
            path.write_bytes(content)
        return written

    def _signed(self, kind: CertificateKind, names: tuple[str, ...]) -> tuple[bytes, bytes]:
        now = dt.datetime.now(dt.UTC)
        presented = (WRONG_NAME,) if kind == "wrong-name" else names
        end = now - DAY if kind == "expired" else now + LIFETIME
        leaf = self._ca.issue_cert(*presented, not_before=now - 30 * DAY, not_after=end)
        return b"".join(pem.bytes() for pem in leaf.cert_chain_pems), leaf.private_key_pem.bytes()


def _self_signed(names: tuple[str, ...]) -> tuple[bytes, bytes]:
    """A certificate with the right names that nobody but its own key vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
