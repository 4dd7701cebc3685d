"""IQ requests: ask, and wait for the one who was asked (RFC 6120 §8.2.3).

One rule says who may answer, for everybody who asks: the id, the type and the sender must fit (RFC 6120 §8.1.2.1).
An id alone can be guessed or copied.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import ConnectionLost, MalformedJid, XmppshError
from xmppsh.model import Jid
from xmppsh.session.outcome import no_answer, refused
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xmppsh.model import Element
    from xmppsh.session.ports import Sender
    from xmppsh.xmlio.build import Xml

FENCE_TIMEOUT_S = 5.0  # how long a bounce from another server is waited for
MAX_ASKED = 100  # addresses that are asked by themselves: a long list is not to be written to twice
MAX_FENCES = 1000


def request_of(iq_type: str, stanza_id: str, to: Jid | None, payload: Xml | None) -> Xml:
    """A request: `get` or `set`; to: None for our own account."""
    return element("iq", {"type": iq_type, "id": stanza_id, "to": None if to is None else str(to)}, payload)


def is_answer(stanza: Element, stanza_id: str, to: Jid | None, own: Jid) -> bool:
    """Does this stanza answer the request of that id?

    to: who was asked, None for our own account; own: our full JID.
    """
    return (
        stanza.kind == "iq"
        and stanza.id == stanza_id
        and stanza.attributes.get("type") in ("result", "error")
        and _is_from(stanza.sender, to, own)
    )


def _is_from(sender: str, to: Jid | None, own: Jid) -> bool:
    """RFC 6120 §8.1.2.1: our own account may answer without a `from`, everybody else answers as who was asked."""
    if to is None or to in (own.bare, own, Jid(None, own.domainpart)):
        return sender in ("", str(own.bare), str(own), own.domainpart)
    try:
        return Jid.parse(sender) == to
    except MalformedJid:
        return False


def may_refuse(sender: str, to: Jid, own: Jid) -> bool:
    """May this sender say that what we sent to that address did not arrive (RFC 6120 §8.3.1)?

    That is the recipient, or a server on the way: theirs, or our own, which may leave out `from` or speak as our
    account; another client of that account may not. ejabberd names the recipient as it stood there, in capitals, too.
    """
    if sender in ("", str(own.bare)):
        return True
    try:
        return Jid.parse(sender).bare in (to.bare, Jid(None, to.domainpart), Jid(None, own.domainpart))
    except MalformedJid:
        return False


def answers(answer: Element, stanza_id: str, written: str, own: Jid, *, is_request: bool) -> bool:
    """Does this answer or refuse the stanza of that id, and does it come from who may do so?

    stanza_id: empty where it has none; then its bounce may have one (Prosody's rooms give one to each message), and
    counts from its very address alone. written: its `to` as it stands there. What is no address is refused by our
    server, by that name or as itself.
    """
    is_error = answer.attributes.get("type") == "error" and (not stanza_id or answer.id == stanza_id)
    try:
        to = Jid.parse(written) if written else None
    except MalformedJid:
        is_from = answer.sender in ("", str(own.bare), own.domainpart) or _read(answer.sender) == _read(written)
        return is_error and is_from
    if not stanza_id:
        return is_error and _is_from(answer.sender, to, own)
    if is_request:
        return is_answer(answer, stanza_id, to, own)
    return is_error and may_refuse(answer.sender, to or own.bare, own)


def _read(written: str) -> str:
    """What is no address as a server may read it: Prosody leaves out the dot at the end of a domain, and capitals."""
    bare, slash, resourcepart = written.partition("/")
    return bare.rstrip(".").casefold() + slash + resourcepart


def fences(addresses: Iterable[str], own: Jid) -> set[Jid]:
    """Whose answer to a ping proves that what was sent before to these addresses has been dealt with.

    Our own server deals with its accounts in order. Elsewhere the bare address is asked, where a server answers for its
    account, and a room for itself: a server may run each room beside itself (ejabberd does), so that its own answer
    tells nothing of what the room still refuses, and nobody can tell an address of a room from one of an account. After
    MAX_ASKED of them a domain stands for its addresses. What is no address is left out: our server bounces it at once.
    """
    found: set[Jid] = set()
    for address in addresses:
        with suppress(MalformedJid):
            to = Jid.parse(address)
            is_ours = to.domainpart == own.domainpart
            found.add(Jid(None, to.domainpart) if is_ours or len(found) >= MAX_ASKED else to.bare)
        if len(found) == MAX_FENCES:
            break
    return found


class Requests:
    """The requests that wait for an answer, by id. sender: who sends them; cut: why it cannot now, None when it can."""

    def __init__(self, sender: Sender, cut: Callable[[], XmppshError | None] = lambda: None) -> None:
        self._sender, self._cut = sender, cut
        self._open: dict[str, tuple[Jid | None, asyncio.Future[Element]]] = {}

    @property
    def jid(self) -> Jid:
        """Our full JID."""
        return self._sender.jid

    async def request(
        self, iq_type: str, to: Jid | None, payload: Xml | None, timeout_s: float | None = None
    ) -> Element:
        """Send an IQ and give its result.

        iq_type: `get` or `set`; to: None for our own account; timeout_s: the sender's where it is None. Raises
        StanzaError for an error, DeadlineExceeded for silence, ConnectionLost when the session ends before.
        """
        answer = await self.exchange(iq_type, to, payload, timeout_s)
        if (error := refused(answer, self._sender.jid, payload or "")) is not None:
            raise error
        return answer

    async def exchange(
        self, iq_type: str, to: Jid | None, payload: Xml | None, timeout_s: float | None = None, *, ahead: bool = False
    ) -> Element:
        """Send an IQ and give its answer, a result or an error. ahead: before everything that is queued."""
        stanza_id = new_id()
        stanza = request_of(iq_type, stanza_id, to, payload)
        return await self.exchange_stanza(stanza, stanza_id, to, timeout_s, ahead=ahead)

    async def exchange_stanza(
        self, stanza: Xml, stanza_id: str, to: Jid | None, timeout_s: float | None = None, *, ahead: bool = False
    ) -> Element:
        """Send an IQ that stands already, and give its answer, a result or an error."""
        timeout_s = self._sender.timeout_s if timeout_s is None else timeout_s
        future: asyncio.Future[Element] = asyncio.get_running_loop().create_future()
        self._open[stanza_id] = (to, future)
        try:
            (self._sender.send_ahead if ahead else self._sender.send_iq)(stanza)
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise no_answer(to or self._sender.jid.domainpart, timeout_s, self._cut()) from None
        finally:
            self._open.pop(stanza_id, None)
            future.cancel()

    async def ask_own(self, iq_type: str, payload: Xml) -> Element:
        """An IQ to our own account that goes before everything queued; its answer, a result or an error."""
        return await self.exchange(iq_type, None, payload, ahead=True)

    async def fence(self, addresses: Iterable[str], timeout_s: float | None = None) -> bool:
        """Wait until every bounce of what was sent to these addresses has come that comes at once (`fences`).

        Returns False where the session was lost meanwhile.
        """
        limit_s = min(FENCE_TIMEOUT_S, self._sender.timeout_s if timeout_s is None else timeout_s)
        ping = element("ping", {"xmlns": ns.PING})
        pings = (self.exchange("get", to, ping, limit_s) for to in fences(addresses, self.jid))
        outcomes = await asyncio.gather(*pings, return_exceptions=True)
        for outcome in outcomes:
            # Any answer will do, and who gives none in time cannot bounce in time either.
            if isinstance(outcome, BaseException) and not isinstance(outcome, XmppshError):
                raise outcome
        return not any(isinstance(outcome, ConnectionLost) for outcome in outcomes)

    def answer(self, stanza: Element) -> bool:
        """Give an inbound IQ to the request that it answers; False when there is none."""
        stanza_id = stanza.id or ""
        to, future = self._open.get(stanza_id, (None, None))
        if future is None or not is_answer(stanza, stanza_id, to, self._sender.jid):
            return False
        if not future.done():
            future.set_result(stanza)
        return True

    def fail(self, error: XmppshError) -> None:
        """Nobody will answer any more."""
        for _, future in list(self._open.values()):
            if not future.done():
                future.set_exception(error)
