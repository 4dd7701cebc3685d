"""DNSSEC and DANE: are a domain's records signed, and does the certificate fit its TLSA records (RFC 7673)?"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from xmppsh.model import brief, is_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from xmppsh.doctor.dnssec import Dnssec, Proof, State
    from xmppsh.doctor.probe import Probe
    from xmppsh.doctor.report import Report
    from xmppsh.resolve.lookup import Tlsa
    from xmppsh.resolve.plan import Plan

WORDS: dict[State, str] = {
    "secure": "secure (signed, and {server} has checked it)",
    "insecure": "insecure (not signed, says {server})",
    "unknown": "unknown ({server} checks no signatures)",
    "bogus": "bogus (signed, and the signatures are wrong, says {server})",
}
USAGES, OF_ITSELF = (0, 1, 2, 3), (1, 3)  # RFC 7218: PKIX-TA, PKIX-EE, DANE-TA, DANE-EE
MATCHING: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: lambda whole: hashlib.sha256(whole).digest(),
    2: lambda whole: hashlib.sha512(whole).digest(),
}


async def check_signatures(proofs: Iterable[Proof], report: Report) -> None:
    """Whether what the DNS says about a domain's services, also that there are none, is signed."""
    worst = max(proofs, key=lambda proof: tuple(WORDS).index(proof.state))
    if worst.answer is None:
        await report.skip("dns", "DNSSEC", f"unknown (the records for XMPP: {worst.trouble})")
    elif worst.state == "bogus":
        hint = "sign the zone anew, or take its DS record out"
        await report.warn("dns", "DNSSEC", _words(worst), hint)
    elif worst.state == "unknown":
        await report.skip("dns", "DNSSEC", _words(worst))
    else:
        await report.ok("dns", "DNSSEC", _words(worst))


def _words(proof: Proof) -> str:
    return WORDS[proof.state].format(server="" if proof.answer is None else proof.answer.server)


# ── TLSA ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def check_tlsa(probe: Probe, plan: Plan, dnssec: Dnssec, report: Report) -> None:
    """Does the certificate of one place fit the TLSA records of its name and port?"""
    check, candidate = f"TLSA {probe.label}", probe.place.candidate
    await probe.tls_known.wait()
    if candidate.tls == "off" or probe.certificate is None:
        return  # told with the handshake
    if not plan.asked or is_address(candidate.host):
        reason = candidate.source if not plan.asked else "it is an address"
        await report.skip("tls", check, f"no name of the DNS leads there ({reason})")
        return
    name = f"_{candidate.port}._tcp.{candidate.host}"
    proof = await dnssec.proof(name, "TLSA")
    if proof.answer is None or not proof.answer.records:
        await report.skip("tls", check, f"{name} {proof.trouble}" if proof.trouble else f"there is none ({name})")
    else:
        service = f"{probe.service(candidate.tls)}.{plan.tls_name}"
        srv = await dnssec.proof(service, "SRV") if plan.given == "srv" else proof
        await _compare(check, name, proof, srv, probe.chain or (probe.certificate,), report)


async def _compare(check: str, name: str, proof: Proof, srv: Proof, chain: Sequence[bytes], report: Report) -> None:
    assert proof.answer is not None
    records: tuple[Tlsa, ...] = proof.answer.records
    fitting = [record for record in records if fits(record, chain)]
    found = f"{name}: {brief(str(record) for record in fitting or records)}"
    if not fitting:
        served = f"3 1 1 {hashlib.sha256(_public_key(chain[0])).hexdigest()}"
        hint = f"publish the record of the key that is served: {name}. IN TLSA {served}"
        await report.warn("tls", check, f"the certificate fits none of the records ({found}), {_words(proof)}", hint)
    elif proof.state in ("insecure", "bogus"):
        detail = f"the certificate fits, and nobody may rely on it ({found}), {_words(proof)}"
        await report.warn("tls", check, detail, "sign the zone (DNSSEC)")
    elif srv.state in ("insecure", "bogus"):
        detail = f"the certificate fits, and nobody may rely on it ({found}): the SRV records are {_words(srv)}"
        await report.warn("tls", check, detail, "sign the domain's zone (RFC 7673 §3.1)")
    else:
        await report.ok("tls", check, f"the certificate fits ({found}), {_words(proof)}")


def fits(record: Tlsa, chain: Sequence[bytes]) -> bool:
    """Does the record describe the certificate (usages 1 and 3), or one of its issuers that were sent (0 and 2)?

    chain: DER, as it was sent, the server's own first. A usage, selector or matching type that RFC 6698 does not have
    fits nothing. Who has issued it is not proved here: that is what the check of the chain does.
    """
    candidates = chain[:1] if record.usage in OF_ITSELF else chain[1:]
    if record.usage not in USAGES or record.selector not in (0, 1) or record.matching not in MATCHING:
        return False
    selected = candidates if record.selector == 0 else [_public_key(one) for one in candidates]
    return record.data in [MATCHING[record.matching](one) for one in selected if one]


def _public_key(certificate: bytes) -> bytes:
    """Its SubjectPublicKeyInfo (RFC 5280 §4.1), empty when it cannot be read."""
    from asn1crypto.x509 import Certificate

    try:
        key: bytes = Certificate.load(certificate, strict=True).public_key.dump()
    except (ValueError, TypeError):
        return b""
    return key
