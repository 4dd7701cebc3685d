"""The messages of one `send`: their ids, and what came back: bounces, receipts, replies."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import DeadlineExceeded, Partial, XmppshError
from xmppsh.model import Jid
from xmppsh.outbox.entry import Fate
from xmppsh.protocol.conditions import not_a_room, stanza_error
from xmppsh.registry.kinds import ANSWERS
from xmppsh.session.outcome import Unsettled, unsettled
from xmppsh.session.requests import may_refuse
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from xmppsh.app.console import Console
    from xmppsh.model import Element
    from xmppsh.registry.kinds import Wait
    from xmppsh.session.session_port import Reader, SessionPort


class Delivery:
    """What was sent to whom, and its fate.

    count: messages times recipients; failed: the errors of those that bounced or were not confirmed, by their keys;
    shut: why rooms do not let us in; nothing is sent to those; most: so many of the last messages are remembered, where
    the answer to each is not waited for (None: all); untold: the keys of those whose result nobody has taken;
    lost: why nothing good is known of those that the session's end has left; unacked: which of them were not
    acknowledged; rooms: those that the session is in, by bare address;
    on_news: is called when something was handed in or answered; answered: is set once nothing more is waited for.
    """

    def __init__(self, recipients: list[Jid], wait: Wait, message_type: str, stanza_id: str | None = None) -> None:
        self.recipients, self.wait = recipients, wait
        self.count = 0
        self.most: int | None = None
        self.failed: dict[str, XmppshError] = {}
        self.shut: dict[Jid, XmppshError] = {}
        self.replies: list[Element] = []
        self.rooms: Container[str] = ()
        self.untold: dict[str, None] = {}
        self.lost: dict[str, XmppshError] = {}
        self.unacked: set[str] = set()
        self.on_news: Callable[[], object] = lambda: None
        self._confirmed: set[str] = set()
        self._numbers: dict[str, int] = {}  # in the session, by their keys
        self._replied: set[Jid] = set()
        self._message_type, self._stanza_id = message_type, stanza_id
        self._to: OrderedDict[str, Jid] = OrderedDict()
        self._addresses: dict[Jid, None] = {}  # the bare ones of the recipients, in order

    @property
    def open_recipients(self) -> list[Jid]:
        """Those that something is sent to."""
        return [to for to in self.recipients if to not in self.shut]

    @cached_property
    def answered(self) -> asyncio.Event:
        """Made where it is waited for: it needs asyncio."""
        return asyncio.Event()

    def stanzas(self, new_id: Callable[[], str]) -> list[tuple[str, str, Jid]]:
        """The id, the origin-id and the recipient of each stanza of one message; the id is the user's, if he gave one.

        The origin-id is always a fresh one: the archive tells by it whether this very stanza has arrived.
        """
        made = []
        for recipient in self.recipients:
            origin = new_id()
            key = self.expect(self._stanza_id or origin, recipient)
            if recipient in self.shut:
                self.failed[key] = self.shut[recipient]
            else:
                made.append((self._stanza_id or origin, origin, recipient))
        return made

    def expect(self, stanza_id: str, recipient: Jid) -> str:
        """A stanza with this id goes to this recipient; its key."""
        bare = recipient.bare
        key = _key(stanza_id, bare)
        self.count += 1
        self._to[key] = recipient
        self._addresses[bare] = None
        self.untold[key] = None
        self.on_news()
        if self.most is not None and len(self._to) > self.most:
            forgotten, _ = self._to.popitem(last=False)
            self.untold.pop(forgotten, None)
            self._numbers.pop(forgotten, None)
        return key

    def numbered(self, stanza_id: str, recipient: Jid, number: int) -> None:
        """It was handed in, as this stanza of the session."""
        self._numbers[_key(stanza_id, recipient.bare)] = number

    # ── What comes back ─────────────────────────────────────────────────────────────────────────────────────────

    async def collect_bounces(self, session: SessionPort, bounces: Reader) -> None:
        """Note the errors that come back."""
        async for stanza in bounces:
            error = stanza_error(tree(stanza), stanza.sender or session.jid.domainpart)
            if self._message_type == "groupchat":
                error = not_a_room(error)
            elif stanza.sender in session.rooms:
                error.hint = "--room says it in the room"
            self.bounced(stanza.id or "", stanza.sender, session.jid, error)

    async def collect_receipts(self, receipts: Reader) -> None:
        """Note the receipts (XEP-0184 §5)."""
        async for stanza in receipts:
            if stanza.attributes.get("type") == "error":
                continue  # what comes back is no receipt, whatever it holds
            for received in tree(stanza).iterfind(f"{{{ns.RECEIPTS}}}received"):
                self.confirmed(received.get("id", ""), stanza.sender)

    async def collect_replies(self, session: SessionPort, messages: Reader) -> None:
        """Note what the recipients say, here or, as a carbon, to another client of ours."""
        from xmppsh.xep.carbons import copied, is_copy

        self.rooms = session.rooms
        async for stanza in messages:
            carbon = copied(stanza, session.jid)
            if carbon is not None and carbon.direction == "received":
                self.replied(carbon.message)
            elif not is_copy(stanza):
                self.replied(stanza)

    def bounced(self, stanza_id: str, sender: str, own: Jid, error: XmppshError) -> None:
        """An error came back; it counts when it answers one of our messages, from who may say so."""
        for bare in self._addresses:
            key = _key(stanza_id, bare)
            if key in self._to and may_refuse(sender, bare, own):
                self.failed.setdefault(key, error)
                self._check()
                return

    def confirmed(self, stanza_id: str, sender: str) -> None:
        """A receipt came; it counts from the recipient alone."""
        with suppress(XmppshError):
            key = _key(stanza_id, Jid.parse(sender).bare)
            if key in self._to:
                self._confirmed.add(key)
        self._check()

    def replied(self, message: Element) -> None:
        """A message with a text came; it counts from a recipient alone, and the first of each."""
        try:
            sender = Jid.parse(message.sender)
        except XmppshError:
            return
        wanted = {self._who(recipient) for recipient in self.recipients} - self._replied
        who = sender if sender in wanted else sender.bare
        if who not in wanted or message.attributes.get("type") in ("error", "groupchat"):
            return
        if tree(message).find(f"{{{ns.CLIENT}}}body") is not None:
            self._replied.add(who)
            self.replies.append(message)
            self._check()

    def _who(self, recipient: Jid) -> Jid:
        """Who answers there: any client of an account, but in a room each occupant is somebody else."""
        return recipient if str(recipient.bare) in self.rooms else recipient.bare

    def _check(self) -> None:
        self.on_news()
        if self.wait.what not in ANSWERS:
            return
        if self.wait.what == "delivered" and len(self._confirmed) + len(self.failed) < len(self._to):
            return
        if self._to.keys() <= self._done() | self.failed.keys():
            self.answered.set()

    def _done(self) -> set[str]:
        if self.wait.what == "reply":
            return {key for key, recipient in self._to.items() if self._who(recipient) in self._replied}
        return self._confirmed

    async def wait_for_answers(self, session: SessionPort, seconds: float) -> None:
        """Wait for every receipt or reply, or for a bounce instead; raises what ends the session, or cuts it just then.

        Nobody has failed to answer whom nobody could hear.
        """
        from xmppsh.commands.collecting import unless_lost  # most do not wait for answers

        self._check()
        try:
            async with asyncio.timeout(seconds):
                await unless_lost(session, self.answered.wait())
        except TimeoutError:
            if session.is_cut:
                raise session.cause from None
            for key in self._to.keys() - self._done() - self.failed.keys():
                self.failed[key] = self._missed(self._to[key], seconds)

    def _missed(self, recipient: Jid, seconds: float) -> DeadlineExceeded:
        if self.wait.what == "reply":
            return DeadlineExceeded(
                f"{recipient} did not answer within {seconds:.3g} s (the server has the message)",
                layer="stanza",
                hint="--wait reply:S waits longer",
            )
        return DeadlineExceeded(
            f"{recipient} did not confirm the message within {seconds:.3g} s (the server has it)",
            layer="stanza",
            hint="not every client sends receipts (XEP-0184)",
        )

    # ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────

    def result(self, key: str) -> tuple[Jid, str, XmppshError | None]:
        """A recipient with the message's id and its error."""
        return self._to[key], key.partition(" ")[0], self.failed.get(key) or self.lost.get(key)

    def lose(self, session: SessionPort, error: XmppshError) -> bool:
        """The session has ended with this: note what became of each that is untold. Was any stored and not sent?"""
        cause = (error.cause or error) if isinstance(error, Unsettled) else error
        fates, waits = session.open_fates, False
        for key in self.untold:
            number = self._numbers.get(key)
            fate = Fate.QUEUED if number is None else fates.get(number, Fate.ACKED)
            if fate is not Fate.ACKED:
                self.unacked.add(key)
                self.lost[key] = cause if fate is Fate.QUEUED else unsettled(1, cause)
            elif not self.is_settled(key):
                self.lost[key] = cause
            waits = waits or (fate is Fate.QUEUED and number is not None)
        return waits

    def is_settled(self, key: str) -> bool:
        """Of a message that was acknowledged: is nothing more waited for?"""
        return self.wait.what not in ANSWERS or key in self.failed or key in self._done()

    def verdict(self) -> XmppshError | None:
        """The error that decides the exit code, None when all went well."""
        errors = list(self.failed.values())
        if not errors:
            return None
        if len(errors) == self.count:
            return errors[0]
        return Partial(f"{len(errors)} of {self.count} messages failed", hint=errors[0].hint)

    def judge(self, console: Console, *, each: bool = False, ended: XmppshError | None = None) -> None:
        """Raise the error that decides the exit code, once the others are told.

        each: the command has told of them; ended: what has ended the session, and so decides.
        """
        if (verdict := ended or self.verdict()) is None:
            return
        for error in self.failed.values():
            if error is verdict or each:
                continue
            if console.as_json:
                console.report(error)
            else:
                console.warn(str(error))
        raise verdict


def _key(stanza_id: str, bare: Jid) -> str:
    return f"{stanza_id} {bare}"
