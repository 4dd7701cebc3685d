"""Why a name leads nowhere: each cause has one sentence, one exit code and one way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from xmppsh.errors import LookupFailed, NameNotFound, ServiceRefused
from xmppsh.model import brief
from xmppsh.plain import dataclass
from xmppsh.texts import asking_for_network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xmppsh.errors import ConnectError

Failure = Literal["silent", "unreachable", "refused", "failed", "unusable", "mixed"]  # of name servers
Cause = Literal["missing", "empty", "family", "onion", "late"] | Failure
Given = Literal["domain", "srv", "host", "server"]  # where a name to dial came from; server: it said so itself

NO_ANSWER: dict[str, str] = {
    "silent": "no name server answers",
    "unreachable": "no name server can be reached",
    "refused": "no name server wants to answer",
    "failed": "no name server can find out",
    "unusable": "no name server gives a usable answer",
    "mixed": "no name server can tell",
}
ANOTHER = "--dns ADDRESS asks another name server"
HINTS: dict[str, str] = {
    "missing": "check the spelling",
    "empty": "",
    "family": "leave out -4 and -6",
    "onion": "--proxy socks5h://127.0.0.1:9050 connects through Tor",
    "late": "--connect-timeout S waits longer",
    "failed": f"{ANOTHER} (the domain's DNSSEC may be broken)",
}
WAYS_OUT: dict[Given, str] = {
    "domain": "--host HOST[:PORT] connects to a server of your choice",
    "srv": "--host HOST[:PORT] connects to a server of your choice",
    "host": "an address as --host needs no name server",
    "server": "--host HOST[:PORT] connects to a server of your choice",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a name has no address for us. detail: when name servers failed, which and how; else the predicate."""

    cause: Cause
    detail: str

    def __str__(self) -> str:
        """The end of a sentence that begins with the name, such as `does not exist`."""
        if self.cause in NO_ANSWER:
            return f"cannot be looked up: {self.sentence}"
        return self.detail

    @property
    def sentence(self) -> str:
        """What the name servers did: `no name server answers (192.0.2.1 timed out)`."""
        return f"{NO_ANSWER[self.cause]} ({self.detail})"

    def hint(self, given: Given) -> str:
        """What to try."""
        cure = asking_for_network(HINTS.get(self.cause, ANOTHER), self.detail)
        if given in ("srv", "server") and self.cause in ("missing", "empty"):
            cure = "tell the server's operator"
        if self.cause == "family":
            return cure
        return "; ".join(part for part in (cure, WAYS_OUT[given]) if part)


MISSING = Trouble("missing", "does not exist (no such name in the DNS)")
NO_DNS_NAME = Trouble("missing", "is not a name that the DNS could hold")
EMPTY = Trouble("empty", "has no address")
BARE = Trouble("empty", "has neither SRV records for XMPP nor an address")
ONION = Trouble("onion", "exists only in Tor; no name server is asked for it")  # RFC 7686 §2
LATE = Trouble("late", "is not looked up yet")


class NotLookedUp(Exception):
    """A name led nowhere. Inside this package alone: `failure` makes an XmppshError of the troubles of a whole plan."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


def services_failure(domain: str, trouble: Trouble) -> ConnectError:
    """Nobody could tell the domain's SRV records: falling back to its own addresses could dial the wrong host."""
    if trouble.cause not in NO_ANSWER:
        return failure(domain, "domain", [(domain, trouble)])
    sentence = f"{domain}: its SRV records cannot be looked up: {trouble.sentence}"
    return LookupFailed(sentence, hint=trouble.hint("domain"))


def failure(domain: str, given: Given, troubles: Sequence[tuple[str, Trouble]]) -> ConnectError:
    """None of the places to dial has an address.

    domain: as it is shown; given: where the names came from; troubles: each name, as it is shown, and its trouble.
    """
    log = brief((f"{name} {trouble}" for name, trouble in troubles), longest=None)
    if len(troubles) == 1:
        sentence = f"{domain}: its server {log}" if given == "srv" else log
    elif given == "host":
        sentence = f"none of the hosts given has an address ({log})"
    else:
        sentence = f"{domain}: none of its servers has an address ({log})"
    causes = {trouble.cause for _, trouble in troubles}
    kind: type[ConnectError] = ServiceRefused
    if causes <= {"missing", "onion"}:
        kind = NameNotFound
    elif causes & {*NO_ANSWER, "late"}:
        kind = LookupFailed  # another answer may come another time
    worst = next((trouble for _, trouble in troubles if trouble.cause in NO_ANSWER), troubles[0][1])
    return kind(sentence, hint=worst.hint(given))
