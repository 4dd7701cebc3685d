"""The places that would be dialled for an account, as records: for `explain`, and for `--dry-run -v`."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal

from xmppsh.model import is_address, place
from xmppsh.output import safe
from xmppsh.output.record import NOT_JSON, Record
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from xmppsh.app.account import Account
    from xmppsh.app.console import Console
    from xmppsh.model import Jid
    from xmppsh.resolve.plan import Plan

TLS = {"direct": "direct TLS", "starttls": "STARTTLS", "off": "no TLS"}


@dataclass(frozen=True, slots=True)
class Candidate(Record):
    """One place that would be dialled."""

    kind: Literal["candidate"] = field(default="candidate", init=False)
    """What it is."""
    order: int
    """Its turn, from 1."""
    host: str
    """The name or the address."""
    port: int
    """The TCP port."""
    tls: str
    """direct, starttls or off."""
    tls_name: str | None
    """The name that the certificate must hold; null without TLS."""
    source: str
    """Who named the place: an SRV record, an option, …"""
    why: str
    """Why it stands here in the order."""
    addresses: tuple[str, ...]
    """Its addresses, in the order in which they are dialled."""
    known_by: str | None
    """Who knew the addresses; null where nobody was asked."""
    trouble: str | None
    """Why it is not dialled; null where it is."""
    proxy: str | None
    """The proxy that dials it."""
    remembered: bool
    """Was the plan remembered from an earlier run, instead of asked for?"""
    asked: tuple[str, ...]
    """The questions that the DNS was asked for the whole plan."""
    domain: str = field(metadata=NOT_JSON)
    """The domain of the account."""

    def text(self) -> str:
        """Three lines."""
        tls = TLS[self.tls] if self.tls == "off" else f"{TLS[self.tls]}, certificate for {self.domain}"
        remembered = ", remembered" if self.remembered and self.source.startswith("SRV ") else ""
        lines = [
            f"{self.order}. {place(self.host, self.port)}, {tls}",
            f"{self.source}{remembered}: {self.why}",
            self._where(),
        ]
        return "\n   ".join(safe.line(line) for line in lines)

    def _where(self) -> str:
        if self.trouble is not None:
            return f"is not tried: it {self.trouble}"
        if self.proxy is not None:
            return f"by the proxy {self.proxy}" + ("" if is_address(self.host) else ", which looks the name up")
        addresses = ", ".join(f"[{address}]" if ":" in address else address for address in self.addresses)
        return f"at {addresses} ({self.known_by})"


async def plan_of(own: Account, console: Console, jid: Jid | None = None) -> Plan:
    """The whole plan of an account or a domain, ours by default; raises what dialling would fail with."""
    from xmppsh.resolve.plan import draw_plan

    jid = jid or own.settings.jid or own.jid
    settings = own.another(jid).settings
    lookup, limit_s = own.lookup_options(), settings.connect_timeout
    return await draw_plan(jid, settings.host, settings.tls, limit_s, lookup, console.log, patient=True)


def candidates(own: Account, plan: Plan) -> list[Candidate]:
    """The places of a plan, in order."""
    from xmppsh.net.dial import interleaved

    proxy = None if own.settings.proxy is None else str(own.settings.proxy)
    found = []
    for number, step in enumerate(plan.steps, 1):
        one = step.candidate
        found.append(
            Candidate(
                order=number,
                host=one.host,
                port=one.port,
                tls=one.tls,
                tls_name=None if one.tls == "off" else plan.tls_name,
                source=own.settings.source("host") if one.source == "--host" else one.source,
                why=step.why,
                addresses=tuple(interleaved(one.addresses)),
                # A proxy looks up names alone.
                known_by="it is an address" if step.known_by and is_address(one.host) else step.known_by or None,
                trouble=None if step.trouble is None else str(step.trouble),
                proxy=proxy,
                remembered=plan.remembered,
                asked=tuple(plan.asked),
                domain=plan.domain,
            )
        )
    return found
