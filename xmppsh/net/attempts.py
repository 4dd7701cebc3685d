"""The addresses that were tried on the way to a server, how each of them ended, and the error that tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.errors import ConnectError, DeadlineExceeded, NameNotFound, XmppshError
from xmppsh.model import brief
from xmppsh.plain import dataclass
from xmppsh.texts import asking_for_network

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xmppsh.config.proxy import Proxy
    from xmppsh.model import Candidate


NOT_TRIED = "was not tried in time"


class TargetUnreachable(Exception):
    """The proxy works, and says that it cannot get there: the outcome of one attempt."""


@dataclass(slots=True, eq=False)
class Attempt:
    """One address of a candidate.

    address: numeric; empty as long as nobody has looked the candidate's name up, and when a proxy does;
    outcome: how it failed; empty while it has not.
    """

    candidate: Candidate
    address: str = ""
    outcome: str = ""
    name_missing: bool = False

    def __str__(self) -> str:
        if not self.address:
            return str(self.candidate)
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{shown}:{self.candidate.port}"


def told(attempts: Iterable[Attempt]) -> str:
    """The failures in the order of their start: `203.0.113.7:5222 refused, [2001:db8::7]:5222 timed out`."""
    return brief((f"{attempt} {attempt.outcome}" for attempt in attempts if attempt.outcome), longest=None)


def no_answer(domain: str, attempts: list[Attempt], hint: str, proxy: Proxy | None = None) -> XmppshError:
    """The error for a plan of which nothing answered."""
    failed = [attempt for attempt in attempts if attempt.outcome]
    if failed and all(attempt.outcome == NOT_TRIED for attempt in failed):  # which says nothing about the server
        late = f"{domain}: the time to connect was over before an address was tried"
        return DeadlineExceeded(late, layer="tcp", hint="--connect-timeout S waits longer")
    if failed and all(attempt.name_missing for attempt in failed):
        return NameNotFound(f"{domain}: the server's name does not exist ({told(failed)})", hint=hint)
    if proxy is not None:
        return ConnectError(f"{domain}: the proxy {proxy} reaches no address ({told(failed)})", hint=hint)
    hint = asking_for_network(hint, *(attempt.outcome for attempt in failed))
    return ConnectError(f"{domain}: no address answers ({told(failed)})", hint=hint)
