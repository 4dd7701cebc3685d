"""`witness`: closes this account's sessions on other machines when they fall silent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from xmppsh.commands.base import command
from xmppsh.commands.params import SECONDS
from xmppsh.output import safe

if TYPE_CHECKING:
    from xmppsh.commands.app import App
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


@command("witness")
@click.option("--interval", "interval_s", type=SECONDS, metavar="S", help="Check each session every S seconds [1.5].")
async def witness(app: App, interval_s: float | None) -> None:
    """Watch the account's sessions of xmppsh on other machines, until a signal.

    Run it where neither the network nor the power of those machines can take it along. A session that can be resumed
    (connect, listen, pipe) finds the witness by itself. When its machine or its network is dead it is closed 7 s after
    the check that it missed, so that no contact takes it for present. One that answers is never closed.

    Example:  xmppsh witness --jid romeo@example.net
    """
    from xmppsh.witness.announcer import witness_of
    from xmppsh.witness.judgement import INTERVAL_S
    from xmppsh.witness.watcher import Watcher

    options = app.session_options() if app.shared is None else app.shared.options
    if app.settings.dry_run:
        app.warn(f"nothing to send: {witness_of(options.jid)} waits for sessions to announce themselves")
        return
    if options.policy.insecure and app.shared is None:
        app.warn("certificates are not checked (--insecure): anybody can read and change what is sent")
    news: asyncio.Queue[News] = asyncio.Queue()

    def tell(one: News) -> None:
        if news.qsize() >= MAX_NEWS:
            news.get_nowait()  # nobody reads; watching goes on
        news.put_nowait(one)

    watcher = Watcher(options, app.log, tell, interval_s or INTERVAL_S, app.trace)
    stop_watching = app.stdout.on_closed(app.shutdown.end_quietly)
    try:
        await watcher.open()
        await _show(app, "ready", watcher.session.jid)
        await _first(watcher.run(), _print(app, news))
    finally:
        stop_watching()
        await watcher.close(app.shutdown.hurry)


async def _first(*works: Any) -> None:
    """Run both until one of them ends; raises what ended it."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _print(app: App, news: asyncio.Queue[News]) -> None:
    from xmppsh.witness.watcher import Failed

    while True:
        match await news.get():
            case Failed(jid, error):
                await _show(app, "failed", jid, error=error)
            case one:
                await _show(app, one.event, one.jid, one.silent_s, one.h)


async def _show(
    app: App,
    event: str,
    jid: Jid,
    silent_s: float | None = None,
    h: int | None = None,
    error: XmppshError | None = None,
) -> None:
    stamp = app.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = {
        "kind": "witness",
        "event": event,
        "jid": str(jid),
        "silent_s": None if silent_s is None else round(silent_s, 3),
        "h": h,
        "error": None if error is None else error.record(),
        "stamp": stamp,
    }
    facts = {"jid": safe.line(str(jid)), "silent_s": silent_s or 0.0, "reason": safe.line(str(error or ""))}
    await app.emit(data, f"{stamp[11:19]} {SENTENCES[event].format(**facts)}")
