"""Runs a plain one-shot without an event loop, where it can be done so (express/): the same handler, in one go."""

from __future__ import annotations

import gc
import select
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from xmppsh.app.own_session import OwnSessions
from xmppsh.cli.bundle import keep_bundle
from xmppsh.errors import ExitCode, IoError
from xmppsh.express.sessions import Declined, Express
from xmppsh.express.waits import Stopped, Waits
from xmppsh.outbox.owner import processes
from xmppsh.output.streams import OutputStream

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from xmppsh.app.app import App
    from xmppsh.registry.base import Work


FOREVER = float("inf")


class WaitedOutput(OutputStream):
    """stdout; a slow reader is waited for."""

    def __init__(self, fd: int, waits: Waits) -> None:
        super().__init__(fd)
        self._waits = waits

    async def write(self, text: str) -> None:
        """Write one record, newline included."""
        left = data = text.encode("utf-8", "surrogateescape")
        try:
            while left:
                self._waits.until(self.fd, select.POLLOUT, FOREVER)
                left = left[self._write(left[: self._piece_bytes]) :]
        except IoError:
            self._take_back(len(data) - len(left))
            raise


def run_express(work: Work, app: App) -> int | None:
    """The exit code; None where nothing of it has been done, and the ordinary way is to do it all.

    Raises what the command ended with.
    """
    if not _is_plain(work, app):
        return None
    waits = Waits()
    try:
        gc.freeze()
        gc.enable()
        code = _run(work, app, waits)
        keep_bundle()
        return code
    except (Declined, Stopped):
        return waits.code
    finally:
        waits.close()


def _run(work: Work, app: App, waits: Waits) -> int:
    account, console, storage = app.account, app.console, app.storage
    options = OwnSessions(account, console, storage).hasty_options
    journal = partial(storage.journal, account.jid)
    stores = work.name == "send"
    sessions: Any = Express(options, journal, waits, console.log, account.warn_when_insecure, stores=stores)
    code = at_once(work.run(replace(app, console=replace(console, stdout=WaitedOutput(1, waits)), sessions=sessions)))
    return waits.code or code or ExitCode.OK


def _is_plain(work: Work, app: App) -> bool:
    """Does it ask for no more than a session without an event loop has? (sessions.py looks at the rest.)"""
    settings, storage = app.settings, app.storage
    if storage.head_start is None or settings.verbose or settings.trace is not None:
        return False  # nothing is known of the place, or each step is to be shown
    if work.name not in WANTS or not WANTS[work.name](work.arguments):
        return False
    # A session that a dead program left is closed before a new one is bound.
    return not storage.has_locks or all(one.alive for one in processes(storage.locks))


def _send(given: Any) -> bool:
    waits_for_more = given["wait"].what not in ("sent", "acked")
    reads_more = any(given[name] for name in ("lines", "to_file", "attach", "room", "queue"))
    return not waits_for_more and not reads_more and len(given["words"]) > 1 and given["words"][1:] != ("-",)


def _ping(given: Any) -> bool:
    return given["count"] in (None, 1) and given["interval_s"] is None


def _iq(given: Any) -> bool:
    return bool(given["payload"] != "-")


# Which arguments can do without waiting for anything but the server.
WANTS = {"send": _send, "ping": _ping, "iq": _iq}


def at_once(work: Coroutine[Any, Any, int | None]) -> int | None:
    """The result of a coroutine that never waits for a loop."""
    try:
        work.send(None)
    except StopIteration as ended:
        code: int | None = ended.value
        return code
    raise AssertionError("it waits for an event loop")
