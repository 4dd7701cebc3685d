"""What a server offered the last time, so that what it will ask for can be written before it does.

    header + <starttls/>  ·  header + <auth/>  ·  header + bind + <enable/> + stanzas + <r/>

Each of the three parts leaves in one packet instead of two or more. No gate opens earlier for that: the login waits for
verified TLS, everything after it for `<success/>` with the server's proof. What the server then says is checked as
always. If it differs from the last time, that is a `Surprise`, and all is tried again step by step.
"""

from __future__ import annotations

from enum import IntEnum

from xmppsh.errors import ExitCode, ProtocolError
from xmppsh.plain import dataclass


class Rung(IntEnum):
    """How much may be written ahead. A server gets stanzas ahead only after it has taken the bind ahead."""

    NOTHING = 0  # it failed the last time
    BIND = 1  # everything except stanzas
    STANZAS = 2  # the server has shown that it takes the rest


@dataclass(frozen=True)
class Known:
    """What was true of a server when we last logged in there.

    mechanisms: the SASL mechanisms on offer; bindings: the channel bindings (XEP-0440); mechanism: the one that logged
    in with the password; acks: it has XEP-0198, and binds the address that is asked for; max_bytes: of a stanza
    (XEP-0478); tokens: it has SASL2 (XEP-0388), with these mechanisms of FAST; None: it has not.
    """

    mechanisms: frozenset[str]
    bindings: frozenset[str]
    mechanism: str
    acks: bool
    max_bytes: int
    rung: Rung = Rung.BIND
    tokens: frozenset[str] | None = None


class Surprise(ProtocolError):
    """The server does not answer as it did the last time. It may do so: only our guess was wrong."""

    exit_code = ExitCode.TEMPFAIL

    def __init__(self, what: str) -> None:
        super().__init__(f"the server has changed since the last time: {what}", hint="run it again")
