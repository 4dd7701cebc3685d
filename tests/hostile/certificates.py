"""The certificates that the servers show, good and bad, as SSL contexts."""

from __future__ import annotations

import datetime as dt
import hashlib
import ssl
import warnings
from typing import TYPE_CHECKING

import trustme
from support.ca import Authority

from hostile.server import DOMAIN

if TYPE_CHECKING:
    from pathlib import Path

ELSEWHERE = "elsewhere.example"
DAY = dt.timedelta(days=1)


class Certificates:
    """One authority, and a server context for each kind of certificate; `ca` is what the client trusts."""

    def __init__(self, folder: Path) -> None:
        self.ca = folder / "trusted.pem"
        self.contexts: dict[str, ssl.SSLContext] = {}
        self.sha256: dict[str, str] = {}
        now = dt.datetime.now(dt.UTC)
        authority, stranger = trustme.CA(), trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca))
        begin, end = now - 30 * DAY, now + 300 * DAY
        self._add("good", authority.issue_cert(DOMAIN, not_before=begin, not_after=end))
        self._add("expired", authority.issue_cert(DOMAIN, not_before=begin, not_after=now - DAY))
        self._add("not-yet-valid", authority.issue_cert(DOMAIN, not_before=now + DAY, not_after=end))
        self._add("wrong-name", authority.issue_cert(ELSEWHERE, not_before=begin, not_after=end))
        # The host that is dialled, by name and by address; only the domain of the JID may count.
        self._add("dialled-host", authority.issue_cert("localhost", "127.0.0.1", not_before=begin, not_after=end))
        self._add("wrong-ca", stranger.issue_cert(DOMAIN, not_before=begin, not_after=end))
        alone = Authority(folder).issue("self-signed", DOMAIN)
        self.contexts["self-signed"] = context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(alone.chain, alone.key)
        self.sha256["self-signed"] = _sha256(alone.chain.read_text())
        self._add_old_tls(authority.issue_cert(DOMAIN, not_before=begin, not_after=end))

    def _add(self, kind: str, leaf: trustme.LeafCert) -> None:
        self.contexts[kind] = context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        self.sha256[kind] = _sha256(leaf.cert_chain_pems[0].bytes().decode())

    def _add_old_tls(self, leaf: trustme.LeafCert) -> None:
        self._add("tls-1.1", leaf)
        context = self.contexts["tls-1.1"]
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1


def _sha256(pem: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
