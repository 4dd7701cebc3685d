"""Questions to the DNS: SRV records (RFC 2782), asked through dnspython. The only importer of it."""

from __future__ import annotations

from dataclasses import dataclass

from xmppsh.errors import LookupFailed


@dataclass(frozen=True, slots=True)
class Srv:
    """One SRV record; target without the trailing dot, empty for "." (no such service here)."""

    priority: int
    weight: int
    port: int
    target: str


async def srv(name: str, timeout_s: float) -> list[Srv]:
    """The SRV records of `name`, in the order of the answer; none when there are none.

    Raises LookupFailed when nobody could tell: falling back to the bare domain then would dial the wrong host.
    """
    import dns.asyncresolver
    import dns.exception
    import dns.rdatatype
    import dns.resolver

    try:
        answer = await dns.asyncresolver.resolve(name, dns.rdatatype.SRV, lifetime=timeout_s)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.resolver.NoResolverConfiguration):
        return []
    except dns.exception.Timeout as error:
        raise LookupFailed(f"{name}: no name server answers", hint="--host HOST dials without SRV records") from error
    except dns.exception.DNSException as error:
        reason = str(error) or type(error).__name__
        raise LookupFailed(f"{name}: {reason}", hint="--host HOST dials without SRV records") from error
    return [
        Srv(record.priority, record.weight, record.port, record.target.to_text(omit_final_dot=True).strip("."))
        for record in answer
    ]
