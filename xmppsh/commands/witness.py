"""`witness`: closes this account's sessions on other machines when they fall silent."""

from __future__ import annotations

import asyncio
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

import click

from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.output.records import clock
from xmppsh.plain import dataclass
from xmppsh.registry.base import command
from xmppsh.registry.params import SECONDS
from xmppsh.texts import rfc3339

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from xmppsh.app.app import App
    from xmppsh.errors import XmppshError
    from xmppsh.model import Jid
    from xmppsh.witness.judgement import Tell
    from xmppsh.witness.watcher import Failed

    News = Tell | Failed

MAX_NEWS = 1000  # events that wait to be printed
SENTENCES = {
    "ready": "{jid} is the witness",
    "watching": "{jid} is watched",
    "silent": "{jid} does not answer",
    "alive": "{jid} answers again, after {silent_s:.1f} s",
    "closed": "{jid} is closed, after {silent_s:.1f} s of silence",
    "gone": "{jid} has ended",
    "failed": "{jid} cannot be closed: {reason}",
}


@dataclass(frozen=True, slots=True)
class WitnessNews(Record):
    """Something that a witness has seen or done."""

    kind: Literal["witness"] = field(default="witness", init=False)
    """What it is."""
    event: str
    """ready, watching, silent, alive, closed, gone or failed."""
    jid: str
    """The session that it is about; for ready, the witness itself."""
    silent_s: float | None
    """How long the session has been silent, in seconds."""
    h: int | None
    """The server's final count of what the session had sent (XEP-0198)."""
    error: dict[str, Any] | None
    """Why a session cannot be closed."""
    stamp: str
    """When; RFC 3339, UTC."""

    def text(self) -> str:
        """One line."""
        reason = safe.line("" if self.error is None else self.error["text"])
        facts = {"jid": safe.line(self.jid), "silent_s": self.silent_s or 0.0, "reason": reason}
        return f"{clock(self.stamp)} {SENTENCES[self.event].format(**facts)}"


@command("witness")
@click.option("--interval", "interval_s", type=SECONDS, metavar="S", help="Check each session every S seconds [1.5].")
async def witness(app: App, interval_s: float | None) -> AsyncIterator[WitnessNews]:
    """Watch the account's xmppsh sessions on other machines, until a signal.

    Run it where a failure of those machines' network or power cannot affect it. A session that can be resumed (connect,
    listen, pipe) finds the witness by itself. If its machine or network dies, it is closed 7 s after the check that it
    missed, so that no contact still sees it online. One that answers is never closed.

    Example:  xmppsh witness --jid romeo@example.net
    """
    from xmppsh.witness.announcer import witness_of
    from xmppsh.witness.judgement import INTERVAL_S
    from xmppsh.witness.watcher import Failed, Watcher

    options = app.account.options
    console = app.console
    if app.settings.dry_run:
        console.warn(f"nothing to send: {witness_of(options.jid)} waits for sessions to announce themselves")
        return
    app.account.warn_when_insecure()
    news: asyncio.Queue[News | None] = asyncio.Queue()

    def tell(one: News) -> None:
        if news.qsize() >= MAX_NEWS:
            news.get_nowait()  # nobody reads; watching goes on
        news.put_nowait(one)

    watcher = Watcher(options, console.log, tell, interval_s or INTERVAL_S, app.account.trace)
    stop_watching = console.stdout.on_closed(console.shutdown.end_quietly)
    try:
        await watcher.open()
        yield _record("ready", watcher.session.jid, console.now())
        watching = asyncio.ensure_future(watcher.watch())
        watching.add_done_callback(lambda _: news.put_nowait(None))
        try:
            while (one := await news.get()) is not None:
                if isinstance(one, Failed):
                    yield _record("failed", one.jid, console.now(), error=one.error)
                else:
                    yield _record(one.event, one.jid, console.now(), one.silent_s, one.h)
            watching.result()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    finally:
        stop_watching()
        await watcher.close(console.shutdown.hurry)


def _record(
    event: str,
    jid: Jid,
    now: datetime,
    silent_s: float | None = None,
    h: int | None = None,
    error: XmppshError | None = None,
) -> WitnessNews:
    return WitnessNews(
        event,
        str(jid),
        None if silent_s is None else round(silent_s, 3),
        h,
        None if error is None else error.record(),
        rfc3339(now),
    )
