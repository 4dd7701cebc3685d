"""What a session is opened with."""

from __future__ import annotations

from _socket import AF_UNSPEC
from dataclasses import field
from typing import TYPE_CHECKING

from xmppsh.net.tls import TlsPolicy
from xmppsh.plain import dataclass
from xmppsh.protocol.negotiation import StreamConfig
from xmppsh.resolve.options import LookupOptions
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import Limits

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from xmppsh.config.proxy import Proxy
    from xmppsh.connection.hashing import Hashing
    from xmppsh.model import Credentials, Jid, TlsMode
    from xmppsh.net.head_start import HeadStart
    from xmppsh.protocol.ahead import Known
    from xmppsh.protocol.fast import Client
    from xmppsh.protocol.sm import StreamManagement


@dataclass(frozen=True)
class SessionOptions:
    """Whose session, which way to the server, and how long for each step (seconds).

    hosts: `--host` in order, the port None when not given; family: socket.AF_INET or AF_INET6 to allow one alone.
    """

    jid: Jid
    credentials: Credentials = field(repr=False)
    hosts: tuple[tuple[str, int | None], ...] = ()
    tls: TlsMode = "auto"
    policy: TlsPolicy = field(default_factory=TlsPolicy)
    family: int = AF_UNSPEC
    proxy: Proxy | None = None  # names are looked up over there
    lookup: LookupOptions = field(default_factory=LookupOptions)  # its family and proxy are the ones above
    connect_timeout_s: float = 10.0
    timeout_s: float = 30.0
    limits: Limits = field(default_factory=Limits)
    acks: bool = True  # XEP-0198, where the server has it
    heals: bool = False  # survive a cut
    resumable_s: int | None = None  # the server is asked to keep the session that long after a cut, to be resumed
    known: Path | None = None  # what servers offered the last time (known.py); None: each answer is waited for
    head_start: HeadStart | None = None  # a connection that was begun already
    hashing: Hashing | None = None  # the hash of the password, which was begun already
    tokens: Path | None = None  # where FAST tokens are kept (tokens.py); None: none is asked for
    give_up_s: float | None = None  # end when a cut lasts longer; None: never, the user is there to decide

    def stream_config(
        self,
        jid: Jid,
        tls: Literal["direct", "starttls", "off"],
        *,
        known: Known | None,
        client: Client | None,
        sasl2: bool = True,
        resume: StreamManagement | None = None,
        account: Jid | None = None,
        registers: bool = False,
    ) -> StreamConfig:
        """What one stream to bind this address is begun with; the rest as in StreamConfig."""
        return StreamConfig(
            jid,
            self.credentials,
            tls=tls,
            limits=self.limits,
            acks=self.acks,
            resumable_s=self.resumable_s,
            registers=registers,
            resume=resume,
            account=account,
            bind_id=new_id(),
            known=known,
            sasl2=sasl2,
            client=client,
            pbkdf2=None if self.hashing is None else self.hashing.pbkdf2,
            resource=new_id(),  # Prosody's own may begin with "-", and would be an option on our command line
        )
