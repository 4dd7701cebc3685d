"""The login, the bind, and requests on the stream that stands then: a visit without a session's memory.

It goes to a place that was looked at, by the same steps as every session. The resource is a random
one: the account's own could belong to a program that runs. The server is not asked to keep the session beyond its
socket, so that a death in the middle leaves none; the one check that has to ask ends the stream with the same write.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from xmppsh.connection.driver import CLOSE_WAIT_S
from xmppsh.connection.opening import Listeners, Opening
from xmppsh.doctor.check_tcp import dead_end
from xmppsh.doctor.report import because
from xmppsh.errors import ConnectError, ConnectionLost, ProtocolError, StreamError, XmppshError
from xmppsh.protocol.actions import Write
from xmppsh.protocol.events import StanzaArrived, StreamEnded
from xmppsh.protocol.negotiation import StreamConfig
from xmppsh.protocol.stream import FOOTER, Stream
from xmppsh.protocol.table import State
from xmppsh.session.requests import Requests
from xmppsh.session.responder import is_sendable, response_to
from xmppsh.xmlio.ids import new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.connection.driver import Driver
    from xmppsh.connection.options import SessionOptions
    from xmppsh.doctor.case import Case
    from xmppsh.doctor.report import Report
    from xmppsh.net.attempts import Attempt
    from xmppsh.protocol.actions import Output, SessionEvent
    from xmppsh.protocol.events import SessionEstablished
    from xmppsh.xmlio.build import Xml

LOGGED_IN = (State.AUTHENTICATED, State.BINDING, State.BOUND, State.LIVE)
BOUND = (State.BOUND, State.LIVE)
REDIRECTED = "because the server redirects to another host"


class BriefStream(Stream):
    """Asks for a session that outlives its socket, and ends it with the same write: a death after it leaves no ghost.

    The server answers in order: with `<enabled/>` (XEP-0198 §3), then with the end of the stream.
    """

    def _enable(self) -> Write:
        return Write(super()._enable().data + FOOTER)

    def close(self) -> list[Output]:
        """End the stream, if it has not ended itself."""
        if not self._enable_sent or self.is_closed:
            return super().close()
        self.state = State.CLOSING
        return []

    def _farewell(self, error: XmppshError, redirect: str | None = None) -> list[Output]:
        return self._end(error, redirect) if self._enable_sent else super()._farewell(error, redirect)


class Visit:
    """A bound stream that asks, and answers what it must. error: what ended it."""

    def __init__(self, driver: Driver, event: SessionEstablished, options: SessionOptions) -> None:
        self.jid, self.options, self.requests = event.jid, options, Requests(self)
        self.established = event
        self.error: XmppshError | None = None
        self._driver = driver
        driver.on_event = self._on_event

    @property
    def timeout_s(self) -> float:
        """How long an answer is waited for, in seconds."""
        return self.options.timeout_s

    def send_iq(self, stanza: Xml) -> None:
        """Write it at once; raises what ended the stream."""
        if self.error is not None:
            raise self.error
        self._driver.carry_out(self._driver.stream.send(stanza))

    def send_ahead(self, stanza: Xml) -> None:
        """The same: nothing is queued here."""
        self.send_iq(stanza)

    def _answer(self, answer: Xml) -> None:
        if is_sendable(answer):
            self.send_iq(answer)

    async def close(self) -> None:
        """End the stream with `</stream:stream>`, and wait shortly for the server's."""
        await self._driver.close(CLOSE_WAIT_S)

    def _on_event(self, event: SessionEvent) -> None:
        match event:
            case StanzaArrived(stanza, number):
                answers = self.requests.answer(stanza)
                if not answers and stanza.kind == "iq" and stanza.attributes.get("type") in ("get", "set"):
                    self._answer(response_to(stanza))
                self._driver.carry_out(self._driver.stream.taken(number))
            case StreamEnded(error):
                self.error = _as_ours(error or ConnectionLost("the server closed the stream"))
                self.requests.fail(self.error)


@asynccontextmanager
async def visiting(case: Case, place: Attempt, report: Report) -> AsyncIterator[Visit | None]:
    """Log in and bind there, and tell how that went; a visit as long as the block lasts, None when there is none."""
    visits: list[Visit] = []
    try:
        opening = await _open(case, place, visits)
    except ConnectError as unreachable:
        await report.fail("sasl", "login", unreachable)
        await report.skip("bind", "resource", because("login"))
        yield None
        return
    try:
        redirect, error, where = await _outcome(case, opening)
        if redirect is not None:
            await _tell_redirect(case, redirect, report)
        else:
            await _tell(case, opening, error, where, report)
        yield visits[0] if visits else None
    finally:
        await (asyncio.shield(visits[0].close()) if visits else opening.give_up())


async def _open(case: Case, place: Attempt, visits: list[Visit], *, brief_s: int | None = None) -> Opening:
    """brief_s: ask for a session that outlives its socket so long, and end it at once."""
    options = case.options
    connected = await case.dial(place, case.deadline())
    if connected is None:
        raise ConnectError(f"{place} {place.outcome}")

    def on_live(driver: Driver, event: Any, _failed: object) -> None:
        visits.append(Visit(driver, event, options))

    config = StreamConfig(
        options.jid.bare,
        options.credentials,
        tls=place.candidate.tls,
        acks=options.acks,
        resumable_s=brief_s,
        bind_id=new_id(),
        resource=None if brief_s is not None else new_id(),  # then it is the server's, and <enable/> follows its answer
        limits=options.limits,
    )
    # Nothing is written down of a session that ends with the report.
    listeners = Listeners(on_live, lambda _h: None, lambda _jid: None)
    opening = Opening(
        place,
        await connected.link(),
        config,
        options.policy,
        listeners,
        patience_s=0.0,
        trace=case.trace,
        stream=Stream if brief_s is None else BriefStream,
    )
    opening.start()
    return opening


async def _outcome(case: Case, opening: Opening) -> tuple[str | None, XmppshError | None, State]:
    """Where the server redirects to, what went wrong, and in which state of the stream."""
    done, _ = await asyncio.wait({opening.outcome}, timeout=case.options.connect_timeout_s)
    if not done:
        return None, opening.too_late(), opening.stream.state
    error = opening.outcome.exception()
    where = opening.stream.ended_in or opening.stream.state
    if error is None:
        return opening.outcome.result(), None, where
    if not isinstance(error, XmppshError):
        raise error
    return None, _as_ours(error), where


def _as_ours(error: XmppshError) -> XmppshError:
    """The same error; who is told of a conflict is told to choose another resource, and here it is random."""
    if isinstance(error, StreamError) and error.condition == "conflict":
        error.hint = "run it again, for another resource"
    return error


async def _tell_redirect(case: Case, target: str, report: Report) -> None:
    """Every command follows it: where nothing answers there, that is the end of the way."""
    error = await dead_end(case, target)
    if error is not None:
        await report.fail("sasl", "login", error)
        await report.skip("bind", "resource", because("login"))
        return
    await report.warn("sasl", "login", f"the server redirects to {target}", f"--host {target}, if you trust that")
    await report.skip("bind", "resource", REDIRECTED)


async def _tell(case: Case, opening: Opening, error: XmppshError | None, where: State, report: Report) -> None:
    if error is not None and (where not in LOGGED_IN or error.layer == "sasl"):
        await report.fail("sasl", "login", error)
        await report.skip("bind", "resource", because("login"))
        return
    await report.ok("sasl", "login", f"{case.options.jid.bare} by {opening.stream.way}")
    if error is not None and where not in BOUND:
        await report.fail("bind", "resource", error)
        return
    await report.ok("bind", "resource", str(opening.stream.jid))
    if error is not None:
        await report.fail("session", "stream management", error)


async def check_stream_management(case: Case, place: Attempt, visit: Visit, report: Report) -> None:
    """Are stanzas acknowledged, and will a session outlive its socket, for how long (XEP-0198)?"""
    check, options = "stream management", visit.options
    if not options.acks:
        await report.skip("session", check, "--no-sm was given")
    elif not visit.established.acks:
        missing = "the server has no stream management: acks are pings, and a cut session is lost"
        await report.fail("session", check, ProtocolError(missing, hint="switch XEP-0198 on at the server"))
    elif options.resumable_s is None:
        await report.ok("session", check, "stanzas are acknowledged; resumption was not asked for")
    else:
        await _check_resumption(case, place, options.resumable_s, report)


async def _check_resumption(case: Case, place: Attempt, asked_s: int, report: Report) -> None:
    """A second session that could be resumed, of which the answer alone is looked at."""
    check, visits = "stream management", list[Visit]()
    try:
        opening = await _open(case, place, visits, brief_s=asked_s)
    except ConnectError as error:
        await report.fail("session", check, error)
        return
    try:
        _, fault, _ = await _outcome(case, opening)
    finally:
        await (asyncio.shield(visits[0].close()) if visits else opening.give_up())
    if not visits:
        await report.fail("session", check, fault or ConnectionLost("the second login did not come to its end"))
        return
    granted = visits[0].established.resumption
    if granted is None:
        detail = "stanzas are acknowledged, and sessions cannot be resumed: a cut session is lost"
        await report.warn("session", check, detail, "switch resumption on at the server")
        return
    kept = "a time that the server does not state" if granted.max_s is None else f"{granted.max_s} s"
    elsewhere = f", at {granted.location}" if granted.location else ""
    detail = f"stanzas are acknowledged; a cut session can be resumed for {kept} ({asked_s} s were asked for)"
    await report.ok("session", check, detail + elsewhere)
