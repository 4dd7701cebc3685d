"""`Account`: who a command acts as, and how its server is reached, as the settings say."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from xmppsh.config.schema import OF_ACCOUNT, Origin
from xmppsh.config.secrets import find_password, new_password
from xmppsh.errors import UsageError
from xmppsh.model import Credentials
from xmppsh.undumpable import keep_memory_private

if TYPE_CHECKING:
    from xmppsh.app.console import Console
    from xmppsh.app.storage import Storage
    from xmppsh.config.schema import Settings
    from xmppsh.connection.options import SessionOptions
    from xmppsh.model import Jid
    from xmppsh.output.trace import Trace
    from xmppsh.resolve.options import LookupOptions
    from xmppsh.session.session import Session

OF_SERVER = ("host", "tls", "ca", "pin", "insecure", "anonymous", "mechanism")  # what is true of one server alone
NO_CHECKS = "certificates are not checked (--insecure): anyone can read and change what is sent"


class Account:
    """The account of the settings. session: the one that is open already, in the shell.

    asks_anew: only a password that this command line names counts; else it is asked for.
    """

    def __init__(self, settings: Settings, console: Console, storage: Storage, session: Session | None = None) -> None:
        self.settings, self.session, self.asks_anew = settings, session, False
        self._console, self._storage = console, storage

    @cached_property
    def jid(self) -> Jid:
        """Its address; raises UsageError when none was given."""
        if self.session is not None:
            return self.session.jid
        jid = self.settings.jid
        if jid is None:
            raise UsageError("no account is given", hint="--jid user@domain, XMPPSH_JID, or jid = in the config file")
        if jid.localpart is None and not self.settings.anonymous:
            raise UsageError(f"{jid} is a domain, not an account", hint=f"user@{jid.domainpart}")
        return jid

    @cached_property
    def credentials(self) -> Credentials:
        """What we log in with; may ask on the terminal, so it is called before the event loop runs."""
        keep_memory_private()
        settings = self.settings
        if settings.anonymous or settings.cert is not None:
            return Credentials(None, settings.cert is not None, settings.anonymous, settings.mechanism)
        find = new_password if self.asks_anew else find_password
        found = find(settings, self.jid, self._console.env, may_prompt=self._console.may_prompt)
        return Credentials(found.text, mechanism=settings.mechanism, source=found.source)

    @property
    def options(self) -> SessionOptions:
        """What a session of it needs to know."""
        return self.session.options if self.session is not None else self.options_for(self.jid, self.credentials)

    def options_for(self, jid: Jid, credentials: Credentials) -> SessionOptions:
        """The same settings for another address."""
        from xmppsh.connection.options import SessionOptions
        from xmppsh.net.tls import TlsPolicy

        settings, console = self.settings, self._console
        ca, certificate, key = (settings.path(name, console.env) for name in ("ca", "cert", "key"))
        policy = TlsPolicy(ca, settings.pin, settings.insecure, certificate, key, console.contents)
        lookup = self.lookup_options()
        return SessionOptions(
            jid,
            credentials,
            hosts=settings.host,
            tls=settings.tls,
            policy=policy,
            family=lookup.family,
            proxy=settings.proxy,
            lookup=lookup,
            connect_timeout_s=settings.connect_timeout,
            timeout_s=settings.timeout,
            acks=not settings.no_sm,
        )

    def lookup_options(self) -> LookupOptions:
        """The settings as the looking up of names wants them."""
        from _socket import AF_INET, AF_INET6, AF_UNSPEC

        from xmppsh.resolve.options import LookupOptions

        settings = self.settings
        return LookupOptions(
            tuple(server for given in settings.dns for server in given),
            settings.resolve,
            AF_INET if settings.ipv4 else AF_INET6 if settings.ipv6 else AF_UNSPEC,
            settings.proxy is not None,
            None if (state := self._storage.state_if_any) is None else state / "srv.json",
        )

    def for_servers(self) -> Account:
        """The settings for what a server is to other servers: the place where clients reach it is left out."""
        left_out = [name for name in ("host", "tls") if self.session or self.settings.origin(name) > Origin.OPTION]
        return Account(self.settings.without(left_out), self._console, self._storage)

    def another(self, jid: Jid) -> Account:
        """The settings for looking at another account: what belongs to the one that is configured is left out.

        Only an option is given for this command alone, so what proves who we are is taken from there. What tells of a
        server is left out, for another domain, where the config file has it: the environment is set by hand, for
        whatever is run in it. In the shell all of it was given for the shell's own session.
        """
        in_shell, origin = self.session is not None, self.settings.origin
        own = self.jid if in_shell else self.settings.jid
        if own is None:
            # Whose server XMPPSH_HOST names is not known; a mere domain is looked up.
            is_foreign = jid.localpart is None and origin("host") is Origin.ENVIRONMENT
            return Account(self.settings.without(["host"] * is_foreign), self._console, self._storage)
        if own.bare == jid.bare:
            return self
        left_out = [name for name in OF_ACCOUNT if in_shell or origin(name) > Origin.OPTION]
        if own.domainpart != jid.domainpart:
            left_out += [name for name in OF_SERVER if in_shell or origin(name) > Origin.ENVIRONMENT]
            left_out += ["host"] if origin("host") > Origin.OPTION else []  # the place of one domain, whoever names it
        return Account(self.settings.without(left_out), self._console, self._storage)

    def untraced(self) -> Account:
        """The same without --trace and -v, for the guard; its credentials are those that were found."""
        other = Account(self.settings.with_values(trace=None, verbose=0), self._console, self._storage)
        other.credentials = self.credentials
        return other

    @property
    def resumable_s(self) -> int | None:
        """How long the server is asked to keep a lasting session after a cut; None: it is not to be resumed."""
        settings = self.settings
        # SASL ANONYMOUS gives another account each time: nobody could come back to the session.
        return None if settings.no_sm or settings.anonymous else settings.resume_max or None

    def warn_when_insecure(self) -> None:
        """Say so each time a session of ours trusts anybody."""
        if self.session is None and self.settings.insecure:
            self._console.warn(NO_CHECKS)

    def warn_of_another_address(self, bound: Jid) -> None:
        """RFC 6120 §7: it is the server that says who we are. Whoever wanted to be somebody else is told."""
        if bound.bare != self.jid.bare and not self.settings.anonymous:
            self._console.warn(f"the server has made this session {bound.bare}, and not {self.jid.bare}")

    @cached_property
    def trace(self) -> Trace | None:
        """Where the XML of its sessions goes: --trace FILE, or stderr with -vvv."""
        console, path = self._console, self.settings.path("trace", self._console.env)
        if path is None and self.settings.verbose < 3:
            return None
        from xmppsh.output import safe
        from xmppsh.output.appending import appending
        from xmppsh.output.trace import Trace

        if path is None or self.settings.trace == "-":
            return Trace(lambda piece: console.write_error(safe.line(piece.rstrip("\n")) + "\n"))
        return Trace(appending(console.path(str(path))), console.report)

    def refuse_lost_trace(self) -> None:
        """Raise IoError when something of the trace could not be written."""
        trace: Trace | None = self.__dict__.get("trace")  # nobody asks for one in vain
        if trace is not None and trace.failure is not None:
            raise trace.failure
