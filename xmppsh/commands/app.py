"""`App`: everything outside a handler, in one object that tests and the shell replace."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from xmppsh.config.paths import has_files, state_folder, writable_state
from xmppsh.config.schema import OF_ACCOUNT, Origin
from xmppsh.config.secrets import find_password
from xmppsh.errors import ConnectError, ConnectionLost, DeadlineExceeded, IoError, SaslError, UsageError, XmppshError
from xmppsh.model import Credentials, Jid
from xmppsh.output import safe, text
from xmppsh.output.appending import appending
from xmppsh.output.failure import error_text
from xmppsh.output.ndjson import dumps
from xmppsh.output.records import record
from xmppsh.output.trace import Trace
from xmppsh.xmlio.ids import beside
from xmppsh.xmlio.splitter import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from xmppsh.commands.shutdown import Shutdown
    from xmppsh.config.schema import Settings
    from xmppsh.connection.options import SessionOptions
    from xmppsh.ghosts.dead_session import Reaped
    from xmppsh.ghosts.guard import Guard, KnownSession
    from xmppsh.model import Element
    from xmppsh.outbox.journal import Journal
    from xmppsh.output.streams import InputStream, OutputStream
    from xmppsh.resolve.options import LookupOptions
    from xmppsh.session.session import Session

DRAIN_S = 5.0  # for acks still open when a signal ends a command
OF_SERVER = ("host", "tls", "ca", "pin", "insecure", "anonymous", "mechanism")  # what is true of one server alone


@dataclass
class App:
    """Everything outside a handler: settings, streams, clock, the session."""

    settings: Settings
    env: Mapping[str, str]
    stdin: InputStream
    stdout: OutputStream
    write_error: Callable[[str], None]
    shutdown: Shutdown
    may_prompt: bool = False
    shared: Session | None = None  # the shell's, which stays open
    guard: Guard | None = None  # of a command whose session outlives its socket
    contents: Mapping[Path, bytes] = field(default_factory=dict)  # of the files that can be read only once
    left_open: bool = False  # a session ended here, and its server was not told
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    # ── The account ─────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def jid(self) -> Jid:
        """The account; raises UsageError when none was given."""
        if self.settings.jid is not None:
            jid = self.settings.jid
            if jid.localpart is None and not self.settings.anonymous:
                raise UsageError(f"{jid} is a domain, not an account", hint="--jid user@domain")
            return jid
        raise UsageError("no account is given", hint="--jid user@domain, XMPPSH_JID, or jid = in the config file")

    @cached_property
    def credentials(self) -> Credentials:
        """What we log in with; may ask on the terminal, so it is called before the event loop runs."""
        settings = self.settings
        password = None
        if not settings.anonymous and settings.cert is None:
            password = find_password(settings, self.jid, self.env, may_prompt=self.may_prompt)
        return Credentials(password, settings.cert is not None, settings.anonymous, settings.mechanism)

    def session_options(self) -> SessionOptions:
        """The settings as the session wants them."""
        return self.options_for(self.jid, self.credentials)

    def options_for(self, jid: Jid, credentials: Credentials) -> SessionOptions:
        """The same settings for another address."""
        from xmppsh.connection.options import SessionOptions
        from xmppsh.net.tls import TlsPolicy

        settings = self.settings
        ca, certificate, key = (settings.path(name, self.env) for name in ("ca", "cert", "key"))
        policy = TlsPolicy(ca, settings.pin, settings.insecure, certificate, key, self.contents)
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
        import socket

        from xmppsh.resolve.options import LookupOptions

        settings = self.settings
        return LookupOptions(
            tuple(server for given in settings.dns for server in given),
            settings.resolve,
            socket.AF_INET if settings.ipv4 else socket.AF_INET6 if settings.ipv6 else socket.AF_UNSPEC,
            settings.proxy is not None,
            None if (state := self.state_if_any) is None else state / "srv.json",
        )

    def for_account(self, jid: Jid) -> App:
        """The same, to look at another account: what belongs to the one that is configured is left out.

        Only an option is given for this command alone, so what proves who we are is taken from there. What tells of a
        server is left out, for another domain, where the config file has it: the environment is set by hand, for
        whatever is run in it. In the shell all of it was given for the shell's own session.
        """
        in_shell, origin = self.shared is not None, self.settings.origin
        own = self.settings.jid if self.shared is None else self.shared.jid
        if own is None or own.bare == jid.bare:
            return self
        left_out = [name for name in OF_ACCOUNT if in_shell or origin(name) > Origin.OPTION]
        if own.domainpart != jid.domainpart:
            left_out += [name for name in OF_SERVER if in_shell or origin(name) > Origin.ENVIRONMENT]
        return replace(self, settings=self.settings.without(left_out))

    @property
    def resumable_s(self) -> int | None:
        """How long the server is asked to keep a lasting session behind a cut; None: it is not to be resumed."""
        settings = self.settings
        # SASL ANONYMOUS gives another account each time: nobody could come back to the session.
        return None if settings.no_sm or settings.anonymous else settings.resume_max or None

    @asynccontextmanager
    async def session(
        self,
        *,
        wait_s: float = 0.0,
        lasting: bool = False,
        give_up_s: float | None = None,
        journal: Journal | None = None,
        before_open: Callable[[Session], object] = lambda _: None,
    ) -> AsyncIterator[Session]:
        """A bound session, closed cleanly whatever ends the block; in the shell, the shell's own.

        lasting: it survives a cut, for at most `give_up_s`; journal: where stanzas are kept, the account's outbox
        by default; before_open: makes its readers, so that what comes with the first byte after the bind is theirs.
        wait_s: for `</stream:stream>`; after the last ack a one-shot does not wait (ejabberd answers 100 ms late)."""
        if self.shared is not None:
            yield self.shared
            return
        from xmppsh.session.session import Session
        from xmppsh.witness.announcer import Announcer

        options = self.session_options()
        if options.policy.insecure:
            self.warn("certificates are not checked (--insecure): anybody can read and change what is sent")
        await self._reap_before()
        if lasting:
            options = replace(options, heals=True, resumable_s=self.resumable_s, give_up_s=give_up_s)
        else:
            options = replace(options, jid=beside(options.jid))
        if journal is None and (lasting or self.state_if_any is not None):
            journal = self.journal()
        session = Session(options, self.log, self.trace, journal)
        session.interceptors.append(Announcer(session))
        drain_s = 0.0
        try:
            before_open(session)
            with self._guarded(session):
                await session.open()
                yield session
        except asyncio.CancelledError:
            drain_s = DRAIN_S
            raise
        finally:
            self.left_open = True  # where the close itself fails
            await session.close(drain_s=drain_s, hurry=self.shutdown.hurry, wait_s=wait_s)
            self.left_open = not session.is_closed_at_server
            if self.left_open:
                who = "the next command or xmppsh sessions reap" if self.guard is None else "the guard"
                hurried = int(self.shutdown.hurry.is_set())
                self.log(hurried, f"the server has not confirmed the end of the session; {who} will see to it")

    def journal(self, path: Path | None = None) -> Journal:
        """The account's outbox on disk, or a checkpoint file, which keeps every stanza."""
        from xmppsh.outbox.journal import Journal, account_file
        from xmppsh.outbox.owner import Owner

        state, account, owner = self.state, str(self.jid.bare), Owner(self.locks)
        if self.guard is not None:
            self.guard.watch(owner.name)
        on_moved = self.warn if path is None else None  # a checkpoint file is the user's
        return Journal(path or account_file(state, account), owner, account, everything=bool(path), on_moved=on_moved)

    @cached_property
    def state(self) -> Path:
        """The folder of outboxes and locks; raises IoError, which names the variable to set, when there is none."""
        return writable_state(state_folder(self.env))

    @cached_property
    def state_if_any(self) -> Path | None:
        """The same for what can do without: None when there is none, which `-v` tells."""
        try:
            return self.state
        except IoError as error:
            self.log(1, f"nothing is kept on disk: {error}; {error.hint}")
            return None

    # ── Ghosts ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def locks(self) -> Path:
        """The folder of the locks that tell which processes live."""
        return self.state / "locks"

    async def reap(self, *, names: Collection[str] | None = None, settle: bool = False) -> list[Reaped]:
        """Close the sessions that dead processes of this account left (ghosts/reap.py)."""
        from xmppsh.ghosts.reap import reap

        watch = self.guard.watch if self.guard is not None else lambda _: None
        return await reap(
            self.session_options(), self.locks, self.log, self.trace, names=names, settle=settle, on_claim=watch
        )

    async def close_for_program(self, names: Collection[str], known: KnownSession | None) -> None:
        """For the guard: close what the store tells of, and the session that the program told of itself."""
        from xmppsh.ghosts.reap import close_known

        reaped: list[Reaped] = []
        try:
            reaped = await self.reap(names=names, settle=True)
        except IoError:
            if known is None:
                raise
        if known is not None and known.jid not in [str(one.jid) for one in reaped]:
            await close_known(self.session_options(), self.locks, self.log, names, known)

    async def _reap_before(self) -> None:
        """A session left by a dead process is closed before a new one is bound."""
        if not has_files(state_folder(self.env), "locks"):
            return  # nobody left anything; nothing more is loaded
        try:
            reaped = await self.reap()
        except XmppshError as error:
            no_way = isinstance(error, (ConnectError, DeadlineExceeded, SaslError))
            if no_way and not isinstance(error, ConnectionLost):
                raise  # a session of our own would fail in the same way
            self.log(0, f"a session that a dead program left is not closed: {error}")
        else:
            if left := sum(one.left for one in reaped):
                self.warn(f"{left} messages of a program that died are unconfirmed; try: xmppsh outbox retry")

    @contextmanager
    def _guarded(self, session: Session) -> Iterator[None]:
        """Tell the guard all the time that we live."""
        if self.guard is None:
            yield
            return

        def on_dead() -> None:
            self.log(0, "the guard has ended: after kill -9 this session stays online for a while")

        if (journal := session.outbound.journal) is not None:
            session.on_session = partial(self.guard.on_live, journal.path)
        session.excuses.append(self.guard.explains)
        beating = asyncio.ensure_future(self.guard.beat(on_dead))
        try:
            yield
        finally:
            beating.cancel()

    # ── What is sent ────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def limits(self) -> Limits:
        """What a stanza of ours may be."""
        return Limits()

    # ── Output ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def emit(self, data: dict[str, Any], shown: str, xml: str | None = None) -> None:
        """Print one record: `data` as JSON, `xml` as XML, or `shown` (safe for a terminal) as text."""
        match self.settings.format:
            case "json":
                line = dumps(data)
            case "xml" if xml is not None:
                line = safe.xml(xml) if self.stdout.is_terminal else xml
            case _:
                line = shown
        await self.stdout.write(line + "\n")

    async def emit_stanza(self, stanza: Element) -> None:
        """Print one stanza as its record."""
        data = record(stanza, self.now)
        if self._template is not None:
            await self.stdout.write(self._template(data, stanza.xml, for_terminal=self.stdout.is_terminal) + "\n")
        else:
            await self.emit(data, text.shown(data), stanza.xml)

    @cached_property
    def _template(self) -> text.Template | None:
        settings = self.settings
        if settings.template is None or settings.origin("format") < settings.origin("template"):
            return None  # a --format outdoes the template of the config file
        return text.template(settings.template)

    def check_output(self) -> None:
        """Find faults of the output options before anything is dialled."""
        _ = self._template

    # ── stderr ──────────────────────────────────────────────────────────────────────────────────────────────────

    def warn(self, sentence: str) -> None:
        """One line on stderr, unless --quiet."""
        self.log(0, sentence)

    def report(self, error: XmppshError) -> None:
        """Tell the user of an error now; nobody tells it again."""
        self.write_error(error_text(error, as_json=self.settings.format == "json"))
        error.reported = True

    def log(self, level: int, sentence: str) -> None:
        """One line on stderr when -v is given `level` times; level 0 always, unless --quiet."""
        if self.settings.verbose >= level and not (level == 0 and self.settings.quiet):
            self.write_error(f"xmppsh: {safe.line(sentence)}\n")

    @cached_property
    def trace(self) -> Trace | None:
        """Where the XML goes: --trace FILE, or stderr with -vvv."""
        path = self.settings.path("trace", self.env)
        if path is None and self.settings.verbose < 3:
            return None
        if path is None or self.settings.trace == "-":
            return Trace(lambda piece: self.write_error(safe.line(piece.rstrip("\n")) + "\n"))
        return Trace(appending(path))
