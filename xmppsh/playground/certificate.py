"""A certificate authority and a server certificate made for this run, and thrown away with it.

The `openssl` command makes them: the standard library neither signs nor writes X.509. The private keys lie in a folder
that only its owner enters, and it is removed as soon as the server's key is loaded: no key outlives `issue`.
"""

from __future__ import annotations

import ssl
import subprocess
import tempfile
from pathlib import Path

from xmppsh.errors import IoError, XmppshError
from xmppsh.plain import dataclass
from xmppsh.texts import os_reason

LIFETIME_DAYS = 30  # of keys that are gone with the run: so long that `doctor` finds nothing to renew
ALPN = "xmpp-client"  # XEP-0368 §3
CURVE = "prime256v1"

# RFC 5280 §4.2.1.3, §4.2.1.9: what OpenSSL's X509_STRICT asks of a CA. RFC 9525 §2: nobody matches the subject, which
# holds at most 64 characters, unlike a domain.
EXTENSIONS = """
[req]
distinguished_name = name
prompt = no
[name]
CN = xmppsh playground
[ca]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
[server]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
subjectAltName = DNS:{dns_name}, DNS:localhost, IP:127.0.0.1
"""
STEPS = (
    f"ecparam -name {CURVE} -genkey -noout -out ca.key",
    f"ecparam -name {CURVE} -genkey -noout -out server.key",
    f"req -config facts -new -x509 -sha256 -key ca.key -extensions ca -days {LIFETIME_DAYS} -out ca.pem",
    "req -config facts -new -key server.key -out server.csr",
    "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -sha256"
    f" -extfile facts -extensions server -days {LIFETIME_DAYS} -out server.pem",
)


@dataclass(frozen=True)
class ServerTls:
    """What the server needs, and what a client has to trust.

    context: for the server's side of TLS; ca_pem: the CA certificate as PEM text.
    """

    context: ssl.SSLContext
    ca_pem: str


def issue(dns_name: str) -> ServerTls:
    """Make a CA and a certificate for `dns_name` (A-labels), localhost and 127.0.0.1.

    Raises XmppshError where `openssl` is missing, IoError where it fails (a full disk).
    """
    with tempfile.TemporaryDirectory(prefix="xmppsh-playground-") as name:  # mode 0700
        folder = Path(name)
        (folder / "facts").write_text(EXTENSIONS.format(dns_name=dns_name), encoding="ascii")
        for step in STEPS:
            _openssl(step, folder)
        ca_pem = (folder / "ca.pem").read_text(encoding="ascii")
        with (folder / "server.pem").open("a", encoding="ascii") as chain:
            chain.write(ca_pem)
        return ServerTls(_context(folder), ca_pem)


def _openssl(step: str, folder: Path) -> None:
    try:
        done = subprocess.run(["openssl", *step.split()], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True)
    except (FileNotFoundError, PermissionError) as error:
        sentence = f"the openssl command, which makes the playground's certificate: {os_reason(error)}"
        raise XmppshError(sentence, hint="install the package openssl, or correct PATH") from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").split("\n")
        raise IoError(f"openssl {step.partition(' ')[0]} made no certificate for the playground: {said[0].strip()}")


def _context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 9325 §3.1.1
    context.set_alpn_protocols([ALPN])
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context
