"""The certificate of the run, and what stays of its key."""

import tempfile
from pathlib import Path

import pytest
from cryptography import x509

from xmppsh.errors import IoError
from xmppsh.playground import certificate


def test_the_private_key_is_nowhere_once_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    certificate.issue("playground.localhost")
    assert list(tmp_path.iterdir()) == []


def test_no_key_is_left_where_openssl_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(IoError, match="openssl x509 made no certificate for the playground: "):
        certificate.issue("no,such,name")
    assert list(tmp_path.iterdir()) == []


def test_the_ca_may_sign_certificates_and_nothing_else() -> None:
    ca = x509.load_pem_x509_certificate(certificate.issue("example.org").ca_pem.encode())
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value.ca
    assert (ca.not_valid_after_utc - ca.not_valid_before_utc).days == certificate.LIFETIME_DAYS
