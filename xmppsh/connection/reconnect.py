"""When a cut link is noticed, whether another try makes sense, and when to make it."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Literal

from xmppsh.connection.pace import Pace
from xmppsh.errors import (
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    ProtocolError,
    SaslError,
    StreamError,
    XmppshError,
)
from xmppsh.protocol.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from xmppsh.texts import Log

ACK_BASE_S = 5.0  # a link whose server acknowledges nothing for longer is dead; plus four times the backlog
FIRST_TRY_S = 3.0  # a reconnection that hangs is given up sooner than the first connection; the next one gets twice
LAST_TRY_S = 0.5  # with less time left than that, no more tries are made
LOOK_S = 5.0  # between two looks at the clock on the wall
# A timer that comes later than that tells of us (SIGSTOP, a disk that stands still), and not of the server.
STOPPED_S = 1.0
IDLE_S = 60.0  # ask for an ack when nothing was heard for so long
BACKLOG_PATIENCE = 4
LEAST_PATIENCE_S = 1.0
STEADY_S = 10.0  # a stream that lasted so long was no mistake of the server's
RESTART_DELAY_S = 1.0
BACKLOG_DELAY = 2  # the server's old session may still route what it has read (measured on ejabberd)

# Streams end with these for reasons that reconnecting repeats (RFC 6120 §4.9.3); a conflict would become a fight.
REFUSALS = frozenset(
    {"conflict", "not-authorized", "policy-violation", "host-unknown", "host-gone", "see-other-host", "invalid-from"}
)
# What we sent is refused; it would be refused again.
REFUSED_STANZAS = frozenset(
    {"not-well-formed", "xml-not-well-formed", "invalid-xml", "restricted-xml", "unsupported-stanza-type"}
)
FINAL_CONDITIONS = REFUSALS | REFUSED_STANZAS
# Measured: Prosody 0.12 feeds a resumed stream to the first one's parser and then refuses valid XML with these.
FAULTS_OF_RESUMED = frozenset({"not-well-formed", "xml-not-well-formed", "policy-violation", "invalid-xml"})


def ack_patience_s(timeout_s: float, backlog_s: float) -> float:
    """How long a link may acknowledge nothing before it is dead; backlog_s: how long what is in flight may take.

    Whoever waits for an acknowledgement gives up after timeout_s: a new connection must have the time to bring it.
    Where that is too short for one, the link outlives the waiting: which of both ends first is never left to chance.
    """
    most_s = timeout_s / 2
    if most_s < LEAST_PATIENCE_S:
        return timeout_s + LEAST_PATIENCE_S
    base_s = max(LEAST_PATIENCE_S, min(ACK_BASE_S, timeout_s / 3))
    return min(base_s + BACKLOG_PATIENCE * backlog_s, most_s)


def routing_s(in_flight: int) -> float:
    """How long after a process's death its session may still route what the server had read of it (as after a cut).

    Its pace is not known to anybody, so the wait is twice as careful.
    """
    return RESTART_DELAY_S + 2 * BACKLOG_DELAY * Pace().backlog_s(in_flight)


def may_reconnect(error: XmppshError | None, *, resumed: bool) -> bool:
    """Is it worth another try? resumed: the stream that ended was a resumed one."""
    match error:
        case None:
            return True
        case ProtocolError() | StreamError() if error.unproven:
            # Who was logged in knows that the server is there: what answers in its place, with a page or a certificate
            # of its own, will let us through one day.
            return True
        case StreamError():
            condition = error.condition or ""
            return condition not in FINAL_CONDITIONS or (resumed and condition in FAULTS_OF_RESUMED)
        case SaslError():
            return error.condition == "temporary-auth-failure"
        case _:
            return isinstance(error, (ConnectError, DeadlineExceeded))


def _chance() -> float:
    import random  # most links are never cut

    return random.SystemRandom().random()


class Reconnector:
    """Tries again with growing delays until a connection stands. connect: one try, with its time limit in seconds.

    next_at: when the next try is made, in the loop's time; None while one is made. answered: the server has
    acknowledged something on the stream.
    """

    def __init__(self, connect: Callable[[float], Awaitable[None]]) -> None:
        self._connect = connect
        self._backoff = Backoff(_chance)
        self._has_run = False
        self._live_at, self.answered = -math.inf, asyncio.Event()
        self.next_at: float | None = None

    def on_live(self, acked: int) -> None:
        """A stream has come to life, and released so many stanzas with it."""
        self._live_at = asyncio.get_running_loop().time()
        self.answered.clear()
        if acked:
            self.answered.set()

    async def run(self, error: XmppshError | None, give_up_s: float | None, log: Log) -> int:
        """Return when connected, with the level of the log for that; raise the error that made more tries senseless."""
        loop = asyncio.get_running_loop()
        deadline = None if give_up_s is None else loop.time() + give_up_s
        # A server that lets us in only to throw us out again is asked less and less often, and told of once.
        is_thrown_out = isinstance(error, StreamError) or not self.answered.is_set()
        is_again = self._has_run and is_thrown_out and loop.time() < self._live_at + STEADY_S
        self._has_run = True
        if not is_again:
            self._backoff.reset()
        limit_s = FIRST_TRY_S
        last = error or ConnectionLost("the connection broke")
        while True:
            wait_s = self._backoff.next_s()
            if deadline is not None:
                left_s = deadline - loop.time()
                if left_s < LAST_TRY_S:
                    raise last
                wait_s = min(wait_s, left_s / 2)  # a long delay does not swallow what is left
            log(0 if last is error and not is_again else 1, f"{last}; trying again in {wait_s:.1f} s")
            self.next_at = loop.time() + wait_s
            await asyncio.sleep(wait_s)
            self.next_at, begun_at = None, loop.time()
            try:
                await self._connect(limit_s)
                return int(is_again)
            except XmppshError as failure:
                if loop.time() - begun_at >= limit_s:  # it hung, and was not refused
                    limit_s *= 2
                if not may_reconnect(failure, resumed=False):
                    raise
                last = failure


async def watch(
    stirred: asyncio.Event,
    patience_s: Callable[[], float | None],
    ask: Callable[[], None],
    dead: Callable[[], None],
    clock: Callable[[], float] = time.time,
) -> None:
    """Notice a dead link (XEP-0198 §4): silent for as long as `patience_s` says, which is None when it may be silent.

    stirred: set by each ack, and when something leaves on an idle link; ask: wants an ack of an idle link; dead: called
    when it stays silent. While this process did not run (SIGSTOP, a stuck machine) the server was not silent: its
    answers may lie unread, so it is asked once more. It is asked at once when the clock on the wall, in seconds, has
    jumped: the machine was suspended, and the link may have died meanwhile.
    """
    loop, asked = asyncio.get_running_loop(), False
    while True:
        patience = patience_s()
        waiting = patience is not None or asked
        stirred.clear()
        due = loop.time() + (IDLE_S if not waiting else patience or ACK_BASE_S)
        match await _until(due, stirred, clock):
            case "stirred":
                asked = False
            case "jumped":
                asked = True
                ask()
            case "due" if waiting and loop.time() - due > STOPPED_S:
                asked = True
                ask()
            case "due" if patience_s() is not None or asked:
                asked = False
                dead()
            case "due":
                asked = True
                ask()


async def _until(due: float, stirred: asyncio.Event, clock: Callable[[], float]) -> Literal["stirred", "jumped", "due"]:
    """Wait. The loop's time stands still while the machine is suspended; the clock on the wall tells of it."""
    loop = asyncio.get_running_loop()
    while (left := due - loop.time()) > 0:
        ahead = clock() - loop.time()
        try:
            async with asyncio.timeout(min(left, LOOK_S)):
                await stirred.wait()
                return "stirred"
        except TimeoutError:
            if abs(clock() - loop.time() - ahead) > STOPPED_S:
                return "jumped"
    return "due"
