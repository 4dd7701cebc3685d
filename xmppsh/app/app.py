"""`App`: what a handler is given: settings, console, storage, account, sessions, and the printer of its records."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from xmppsh.app.account import Account
from xmppsh.app.storage import Storage
from xmppsh.config.schema import Origin
from xmppsh.errors import ClosedOutput, IoError, UsageError
from xmppsh.output.printer import Printer
from xmppsh.plain import dataclass
from xmppsh.xmlio.splitter import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.app.console import Console
    from xmppsh.app.ports import Sessions
    from xmppsh.config.schema import Settings
    from xmppsh.model import Element, Jid
    from xmppsh.output.record import Record
    from xmppsh.output.records import StanzaRecord
    from xmppsh.output.streams import InputStream
    from xmppsh.session.session import Session

LIMITS = Limits()  # what a stanza of ours may be


@dataclass
class App:
    """One command's world. Whoever runs commands makes it: the command line, the shell, a test.

    code: the exit code of a command that prints records and has one of its own. unprinted: what stdout did not take a
    record with. goes_on: the command is there for more than what it prints, and goes on when nobody reads that.
    on_sent: is told of each message of `send` that was handed in, by its stanza, its id, and whom it goes to.
    """

    settings: Settings
    console: Console
    storage: Storage
    account: Account
    sessions: Sessions
    code: int | None = None
    unprinted: IoError | None = None
    goes_on: bool = False
    on_sent: Callable[[str, str, Jid], None] | None = None

    @classmethod
    def of(
        cls, settings: Settings, console: Console, storage: Storage | None = None, session: Session | None = None
    ) -> App:
        """With sessions as the settings want them. session: the one that is open already, in the shell."""
        storage = storage or Storage(console)
        account = Account(settings, console, storage, session)
        return cls(settings, console, storage, account, _sessions(account, console, storage, session))

    def for_command(self, settings: Settings, session: Session, stdin: InputStream) -> App:
        """For a command on a session that is open already, with settings of its own."""
        return App.of(settings, replace(self.console, stdin=stdin).told(settings), self.storage, session)

    @cached_property
    def printer(self) -> Printer:
        """Prints the records in the form that was asked for."""
        settings = self.settings
        # A --format outdoes the template of the config file.
        outdone = settings.origin("format") < settings.origin("template")
        for_all = settings.origin("template") is Origin.OPTION
        return Printer(settings.format, None if outdone else settings.template, for_all=for_all)

    def refuse_dry_run(self, what: str) -> None:
        """Raise UsageError where it is asked for. what: the command and what it does. A `dry-run` of the config file
        is meant for what is sent, and does not stand in the way of changing it."""
        if self.settings.dry_run and self.settings.origin("dry_run") <= Origin.ENVIRONMENT:
            raise UsageError(f"{what}; --dry-run is for what is sent")

    async def print(self, printed: Record) -> None:
        """Print one record on stdout."""
        try:
            await self.printer.print(printed, self.console.stdout)
        except ClosedOutput:
            if not self.goes_on:
                raise
            self.console.shutdown.output_closed = True
        except IoError as error:
            self.unprinted = error
            raise

    def record(self, stanza: Element) -> StanzaRecord:
        """A stanza that has just come, as a record."""
        from xmppsh.output.records import record  # a plain `send` needs none

        jid = self.settings.jid
        return record(stanza, self.console.now, "" if jid is None else str(jid.bare))

    @property
    def limits(self) -> Limits:
        """What a stanza of ours may be."""
        return LIMITS


def _sessions(account: Account, console: Console, storage: Storage, session: Session | None) -> Sessions:
    if account.settings.dry_run:
        from xmppsh.app.dry_run import DrySessions

        return DrySessions(account, console, session)
    if session is not None:
        from xmppsh.app.shared_session import SharedSession

        return SharedSession(session)
    from xmppsh.app.own_session import OwnSessions

    return OwnSessions(account, console, storage)
