"""What a session is opened with."""

from __future__ import annotations

import socket
from dataclasses import field
from typing import TYPE_CHECKING

from xmppsh.net.tls import TlsPolicy
from xmppsh.plain import dataclass
from xmppsh.resolve.options import LookupOptions
from xmppsh.xmlio.reader import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from xmppsh.config.proxy import Proxy
    from xmppsh.connection.hashing import Hashing
    from xmppsh.model import Credentials, Jid, TlsMode
    from xmppsh.net.head_start import HeadStart


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Whose session, which way to the server, and how long for each step (seconds).

    hosts: `--host` in order, the port None when not given; family: socket.AF_INET or AF_INET6 to allow one alone.
    """

    jid: Jid
    credentials: Credentials = field(repr=False)
    hosts: tuple[tuple[str, int | None], ...] = ()
    tls: TlsMode = "auto"
    policy: TlsPolicy = field(default_factory=TlsPolicy)
    family: int = socket.AF_UNSPEC
    proxy: Proxy | None = None  # names are looked up over there
    lookup: LookupOptions = field(default_factory=LookupOptions)  # its family and proxy are the ones above
    connect_timeout_s: float = 10.0
    timeout_s: float = 30.0
    limits: Limits = field(default_factory=Limits)
    acks: bool = True  # XEP-0198, where the server has it
    heals: bool = False  # survive a cut
    resumable_s: int | None = None  # the server is asked to keep the session that long behind a cut, to be resumed
    known: Path | None = None  # what servers offered the last time (known.py); None: each answer is waited for
    head_start: HeadStart | None = None  # a connection that was begun already
    hashing: Hashing | None = None  # the hash of the password, which was begun already
    tokens: Path | None = None  # where FAST tokens are kept (tokens.py); None: none is asked for
    give_up_s: float | None = None  # end when a cut lasts longer; None: never, the user is there to decide
