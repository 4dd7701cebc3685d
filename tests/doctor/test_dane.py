"""Which TLSA records a chain of certificates fits."""

import ssl
from collections.abc import Callable
from hashlib import sha256, sha512

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

from xmppsh.doctor.check_dane import fits
from xmppsh.resolve.lookup import Tlsa

AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("example.org")
OTHER = trustme.CA().issue_cert("example.org")


def der(pem: trustme.Blob) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.bytes().decode())


def key(certificate: bytes) -> bytes:
    public = load_der_x509_certificate(certificate).public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


OWN, ISSUER, FOREIGN = der(LEAF.cert_chain_pems[0]), der(AUTHORITY.cert_pem), der(OTHER.cert_chain_pems[0])
SELECTED: dict[int, Callable[[bytes], bytes]] = {0: bytes, 1: key}
MATCHED: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: lambda data: sha256(data).digest(),
    2: lambda data: sha512(data).digest(),
}


@pytest.mark.parametrize("matching", MATCHED)
@pytest.mark.parametrize("selector", SELECTED)
@pytest.mark.parametrize("usage", [0, 1, 2, 3])
def test_a_record_fits_what_it_describes_and_nothing_else(usage: int, selector: int, matching: int) -> None:
    described, wrong = (OWN, ISSUER) if usage in (1, 3) else (ISSUER, OWN)
    for certificate, expected in ((described, True), (wrong, False), (FOREIGN, False)):
        record = Tlsa(usage, selector, matching, MATCHED[matching](SELECTED[selector](certificate)))
        assert fits(record, [OWN, ISSUER]) is expected


@pytest.mark.parametrize("numbers", [(4, 0, 0), (255, 0, 0), (3, 2, 0), (3, 0, 3)])
def test_a_record_of_an_unknown_kind_fits_nothing(numbers: tuple[int, int, int]) -> None:
    assert not fits(Tlsa(*numbers, OWN), [OWN, ISSUER])


def test_a_record_of_an_issuer_that_was_not_sent_fits_nothing() -> None:
    assert not fits(Tlsa(2, 0, 0, ISSUER), [OWN])
    assert not fits(Tlsa(3, 1, 0, b""), [b"\x30\x03\x02\x01\x01"])
