"""Which place of a plan gets the session: the first one, in the plan's order, that proves itself by TLS.

TCP alone decides nothing: a port may take the connection and never speak. So a stream begins on the first connection
that stands, and when it stands still, the next place is dialled beside it (net/dial.py). The first stream whose TLS is
verified takes the lead, all others are given up, and only then are credentials sent: never to two servers at a time.
When the leader falls silent or its connection breaks, the places that are left get their share of the time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xmppsh.connection.reconnect import STOPPED_S
from xmppsh.errors import ConnectionLost, DeadlineExceeded, ProtocolError, StreamError, XmppshError
from xmppsh.net.attempts import told

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.connection.opening import Opening
    from xmppsh.net.attempts import Attempt
    from xmppsh.net.dial import Connected, Dialler
    from xmppsh.net.link import Link
    from xmppsh.texts import Log

AFTER_STOP_S = 5.0  # more, where this process did not run: what the server has answered may lie unread


class Race:
    """Leads one of a dialler's places to a live stream.

    begin(connected, link) makes an opening; deadline: in the loop's time; domain: for the sentence of the error.
    """

    def __init__(
        self,
        dialler: Dialler,
        begin: Callable[[Connected, Link], Opening],
        deadline: float,
        domain: str,
        log: Log,
    ) -> None:
        self._dialler, self._begin, self._deadline, self._domain, self._log = dialler, begin, deadline, domain, log
        self._loop = asyncio.get_running_loop()
        self._dialling: asyncio.Task[Connected | None] | None = None
        self._openings: list[Opening] = []
        self._leader: Opening | None = None
        self._share_ends = deadline
        self._failures: dict[Attempt, tuple[bool, XmppshError]] = {}  # whether TLS stood, and what happened

    async def run(self) -> Opening | None:
        """The opening that is live or redirected; None when no place took a connection.

        Raises what made the stream impossible where a connection was taken.
        """
        try:
            while True:
                if (finished := await self._settle()) is not None:
                    return finished
                self._dial_on()
                if self._dialling is None and not self._openings:
                    self._raise_farthest()
                    return None
                await self._wait()
                await self._take_connection()
        except BaseException:  # a signal too: a stream that was opened is closed
            for opening in self._openings:
                await opening.close()
            raise
        finally:
            await self._stop_dialling()

    # ── Dialling ────────────────────────────────────────────────────────────────────────────────────────────────

    def _dial_on(self) -> None:
        """Dial the next places when nobody leads and every stream that has begun stands still."""
        idle = self._dialling is None and self._leader is None and self._dialler.left > 0
        if idle and all(opening.stalls_at <= self._loop.time() for opening in self._openings):
            self._dialling = self._loop.create_task(self._dialler.next())

    async def _wait(self) -> None:
        waits: set[asyncio.Future[object]] = {opening.outcome for opening in self._openings}  # type: ignore[misc]
        until = self._limit
        if self._dialling is not None:
            waits.add(self._dialling)  # type: ignore[arg-type]
        elif self._leader is None and self._dialler.left > 0:
            until = min(until, max(opening.stalls_at for opening in self._openings))
        # The dialler minds the deadline itself.
        timeout_s = max(0.0, until - self._loop.time()) if self._openings else None
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if timeout_s is not None and self._loop.time() - until > STOPPED_S:
            at_least = self._loop.time() + AFTER_STOP_S
            self._deadline, self._share_ends = max(self._deadline, at_least), max(self._share_ends, at_least)

    @property
    def _limit(self) -> float:
        """Until when the streams may try: the leader for its share, and as long as it waits for `<resumed/>`."""
        return self._deadline if self._leader is None else max(self._share_ends, self._leader.resume_until)

    async def _take_connection(self) -> None:
        if self._dialling is None or not self._dialling.done() or self._leader is not None:
            return
        task, self._dialling = self._dialling, None
        try:
            connected = task.result()
        except XmppshError as error:
            if not self._openings:
                raise
            self._log(1, str(error))  # the proxy refuses now; the connections that stand already go on
            return
        if connected is not None:
            opening = self._begin(connected, await connected.link())
            opening.may_go_on = self._take_lead
            self._openings.append(opening)
            opening.start()

    async def _stop_dialling(self) -> None:
        task, self._dialling = self._dialling, None
        if task is None:
            return
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        if ended is not None and not isinstance(ended, BaseException):
            ended.sock.close()
            self._dialler.put_back(ended.attempt)

    # ── Streams ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _take_lead(self, opening: Opening) -> bool:
        """TLS stands: may this one log in? The first one may."""
        if self._leader is not None or any(other.refuses_certificate for other in self._openings):
            return False
        self._leader = opening
        others = [other for other in self._openings if other is not opening]
        rest = self._dialler.left + len(others) + (self._dialling is not None)
        now = self._loop.time()
        self._share_ends = now + (self._deadline - now) / (rest + 1)
        # Whoever waits for them wakes up and settles the rest.
        for other in others:
            other.outcome.cancel()
        if self._dialling is not None:
            self._dialling.cancel()
        return True

    async def _settle(self) -> Opening | None:
        """See what came of the streams; the one that reached its goal, if any."""
        if self._leader is not None:
            await self._stop_dialling()
            for other in [opening for opening in self._openings if opening is not self._leader]:
                self._openings.remove(other)
                self._dialler.put_back(other.attempt)
                await other.give_up()
        for opening in list(self._openings):
            if opening.outcome.done():
                error = opening.outcome.exception()
                if error is None:
                    return opening
                await self._failed(opening, error)
            elif self._loop.time() >= self._limit:
                await self._failed(opening, None)
        return None

    async def _failed(self, opening: Opening, error: BaseException | None) -> None:
        """A stream ended on its way; error: None when it was too slow. Raises what makes other places senseless."""
        if isinstance(error, XmppshError):
            error.unproven = not opening.secured
        if error is not None and not (isinstance(error, XmppshError) and _may_try_others(opening, error)):
            raise error
        self._openings.remove(opening)
        self._leader = None if self._leader is opening else self._leader
        opening.attempt.outcome = opening.silence if error is None else f"failed: {error}"
        failure = opening.too_late() if error is None else error
        assert isinstance(failure, XmppshError)
        self._failures[opening.attempt] = (opening.secured, failure)
        self._log(1, f"{opening.attempt} {opening.attempt.outcome}")
        await (opening.give_up() if error is None else opening.close())

    def _raise_farthest(self) -> None:
        """The failure that came farthest, of the best place, with all that was tried when that is more.

        The only place is named as long as it has not proved to be the server: the port may be the wrong one.
        """
        if not self._failures:
            return
        failed = [attempt for attempt in self._dialler.attempts if attempt.outcome]
        in_order = [self._failures[attempt] for attempt in failed if attempt in self._failures]
        secured, error = max(in_order, key=lambda failure: failure[0])
        if len(failed) > 1 and any(attempt.outcome != f"failed: {error}" for attempt in failed):
            error.args = (f"{self._domain}: no address leads to a session ({told(failed)})",)
        elif len(failed) == 1 and not secured and failed[0].outcome == f"failed: {error}":
            error.args = (f"{failed[0]}: {error}",)
        raise error


def _may_try_others(opening: Opening, error: XmppshError) -> bool:
    """Is this the fault of one place alone?

    A link that breaks and a server that falls silent are. Before TLS nobody has proved to be the server, so nothing
    that is said there ends the search; a certificate that does not fit does, since hiding it would help an attacker.
    """
    if isinstance(error, (ConnectionLost, DeadlineExceeded)):
        return True
    said_by_nobody = not opening.secured and not opening.refuses_certificate and opening.link.certificate is None
    return said_by_nobody and isinstance(error, (ProtocolError, StreamError))
