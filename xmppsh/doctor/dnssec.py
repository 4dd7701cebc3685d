"""How far the DNS proves what it says about a domain (DNSSEC), as the name server tells that was asked."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from xmppsh.plain import dataclass
from xmppsh.resolve.lookup import AD, CD, ask
from xmppsh.resolve.system import name_servers
from xmppsh.resolve.trouble import NotLookedUp

if TYPE_CHECKING:
    from xmppsh.doctor.case import Case
    from xmppsh.resolve.lookup import Answer, Kind
    from xmppsh.resolve.options import LookupOptions

State = Literal["secure", "insecure", "unknown", "bogus"]


@dataclass(frozen=True, slots=True)
class Proof:
    """An answer and what it is worth (RFC 4035 §4.3). answer: None when there is none; trouble: why.

    insecure: the name server checks signatures, and there are none; unknown: it does not say that it checks any, or
    does not answer; bogus: they are wrong.
    """

    state: State
    answer: Answer | None = None
    trouble: str = ""


class Dnssec:
    """Asks for the records of a domain, and for what they are worth; the same thing once."""

    def __init__(self, case: Case) -> None:
        lookup = case.lookup
        self._lookup: LookupOptions = replace(lookup, servers=lookup.servers or name_servers(lookup.resolv_conf))
        self._timeout_s = case.options.connect_timeout_s / 2
        self._known: dict[tuple[str, Kind], Proof] = {}
        self._checks: dict[str, bool] = {}

    async def proof(self, name: str, kind: Kind) -> Proof:
        """The answer, and what it is worth. name: in A-labels."""
        if (name, kind) not in self._known:
            self._known[name, kind] = await self._ask(name, kind)
        return self._known[name, kind]

    async def _ask(self, name: str, kind: Kind) -> Proof:
        try:
            answer = await ask(name, kind, self._lookup.servers, self._timeout_s, AD)
        except NotLookedUp as error:
            if error.trouble.cause == "failed":
                with suppress(NotLookedUp):  # an answer for who wants nothing checked: the signatures are at fault
                    return Proof("bogus", await ask(name, kind, self._lookup.servers, self._timeout_s, AD | CD))
            return Proof("unknown", trouble=str(error))
        if answer.secure:
            return Proof("secure", answer)
        if answer.server not in self._checks:
            self._checks[answer.server] = await self._checks_signatures(answer.server)
        return Proof("insecure" if self._checks[answer.server] else "unknown", answer)

    async def _checks_signatures(self, server: str) -> bool:
        """The root of the DNS is signed: who checks signatures says so of it."""
        with suppress(NotLookedUp):
            answer = await ask("", "SOA", self._lookup.asking_first(server).servers, self._timeout_s, AD)
            return answer.secure and answer.server == server
        return False
