"""Group tls, for who runs the server: the certificate, what was sent with it, the versions of TLS that are taken."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from ssl import HAS_TLSv1_1, TLSVersion
from typing import TYPE_CHECKING, Any

from xmppsh.doctor.probe import SECOND_LOOK_S, Probe
from xmppsh.model import brief
from xmppsh.net.tls import TlsPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xmppsh.doctor.report import Report
    from xmppsh.net.tls import CertificateFacts

OLD = (TLSVersion.TLSv1, TLSVersion.TLSv1_1)  # RFC 8996: not to be used
SECOND_NEWEST = (TLSVersion.TLSv1_2, TLSVersion.TLSv1_2)


async def check_certificate(probe: Probe, facts: CertificateFacts, report: Report) -> None:
    """Issuer, key, serial number and fingerprint; and whether the chain that was sent has a gap."""
    check = f"certificate {probe.label}"
    issuer = facts.issuer or "itself"
    known = f"issued by {issuer}, {facts.key}, serial {facts.serial}, sha256:{facts.sha256}"
    names, gap = chain_of(probe.chain)
    sent = f"{known}; sent: {' < '.join(names)}" if names else known
    if gap:
        await report.warn("tls", check, f"{sent}; {gap}", "send the intermediate certificates, each before its issuer")
    else:
        await report.ok("tls", check, sent)


def chain_of(chain: Sequence[bytes]) -> tuple[list[str], str]:
    """Whom the certificates are of, as they were sent, and what is missing between two of them; empty: nothing."""
    from asn1crypto.x509 import Certificate

    try:
        parsed = [Certificate.load(one, strict=True) for one in chain]
        names = [_short(one.subject) for one in parsed]
        for one, following in pairwise(parsed):
            if one.issuer != following.subject:
                missing = f"the one of {_short(one.issuer)} is missing after {_short(one.subject)}"
                return names, f"{missing}, where {_short(following.subject)} was sent"
    except (ValueError, TypeError):
        return [], ""
    return names, ""


def _short(name: Any) -> str:
    words = name.native.get("common_name") or name.native.get("organization_name") or name.human_friendly
    return words if isinstance(words, str) else brief(map(str, words))


async def check_protocols(probe: Probe, report: Report) -> None:
    """Which versions of TLS does the place take? Two handshakes more, that nothing follows."""
    check = f"protocols {probe.label}"
    if not probe.is_secured or probe.place.candidate.tls == "off":
        return
    old, second = await asyncio.gather(*(_taken(probe, versions) for versions in (OLD, SECOND_NEWEST)))
    taken = sorted({probe.tls_version or "", *filter(None, (old, second))})
    found = " and ".join(version.removeprefix("TLSv") for version in taken if version)
    if old is not None:
        hint = "switch off what is older than TLS 1.2 at the server"
        await report.warn("tls", check, f"TLS {found} are taken, and {old} is not to be used (RFC 8996)", hint)
    else:
        older = "no older one" if HAS_TLSv1_1 else "older ones cannot be tried here"
        await report.ok("tls", check, f"TLS {found}, {older}")


async def _taken(probe: Probe, versions: tuple[TLSVersion, TLSVersion]) -> str | None:
    policy = TlsPolicy(insecure=True, versions=versions)
    other = Probe(probe.case, replace(probe.place), policy=policy, handshake_only=True)
    await other.run(SECOND_LOOK_S)
    return other.tls_version if other.is_secured else None
