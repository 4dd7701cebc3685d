"""What the shell learns beside messages: the roster, once, and who is online. Names and completion live on it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.commands.appearing import answer_to
from xmppsh.errors import XmppshError
from xmppsh.model import Jid
from xmppsh.output import safe
from xmppsh.registry.known import write_contacts
from xmppsh.shell.lines.failure import report
from xmppsh.shell.lines.rooms import learn
from xmppsh.tasks import apart, running
from xmppsh.texts import os_reason
from xmppsh.xep.roster import contacts, pushed
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from xmppsh.app.app import App
    from xmppsh.model import Element
    from xmppsh.session.session import Session
    from xmppsh.shell.lines.desk import Desk
    from xmppsh.shell.lines.sent import Sent
    from xmppsh.xep.roster import Contact

ASKS = "xmppsh: {who} asks to see when you are online\n  try: /presence approve {who}, or /presence deny {who}\n"
MAX_SERVICES = 20  # of the server's; each is asked whether it has rooms


class Surroundings:
    """Fills the desk's `people` as long as the shell runs.

    sent: what the lines have sent, and may come back; on_out: is told a room that we are in no longer.
    """

    def __init__(self, app: App, session: Session, desk: Desk, sent: Sent, on_out: Callable[[str], None]) -> None:
        self._app, self._session, self._desk, self._people = app, session, desk, desk.people
        self._sent, self._on_out = sent, on_out
        own = session.jid
        self._people.own = ((str(own.bare), "this account"), (own.domainpart, "its server"))
        self._arrivals = session.subscribe("presence", "iq")

    async def run(self) -> None:
        """Ask for the roster and for rooms, and read presence until the session ends."""
        async with running(self._ask_roster(), self._ask_rooms()):
            await self.read(tells=True)

    async def read(self, *, tells: bool) -> None:
        """Read presence until the session ends. tells: who asks to see ours."""
        try:
            async for stanza in self._arrivals:
                self._note(stanza, tells)
        except XmppshError:
            return  # the end of the session, which the printer of messages tells

    def _note(self, stanza: Element, tells: bool) -> None:
        if stanza.kind == "iq":
            for contact in _valid(pushed(stanza, self._session.jid)):
                self._people.set_contact(contact)
            return
        stanza_type = stanza.attributes.get("type", "available")
        bare = stanza.sender.partition("/")[0]
        if stanza_type == "error" and self._sent.tell(stanza):
            return
        if (why := learn(self._people, stanza)) is not None:
            self._on_out(bare)
            return report(self._app, why)
        if bare == str(self._session.jid.bare):
            self._note_own(stanza, stanza_type)
        if stanza_type in ("available", "unavailable"):
            show = "" if stanza_type == "unavailable" else tree(stanza).findtext(f"{{{ns.CLIENT}}}show", "")
            self._people.presence(stanza.sender, stanza_type, show)
            if self._desk.conversation is not None:
                self._desk.conversation.presence(bare, is_online=bare in self._people.online)
        elif (approval := answer_to(stanza, self._desk.accepted)) is not None:
            self._session.send(approval)
        elif stanza_type == "subscribe" and tells:
            self._app.console.write_error(ASKS.format(who=safe.line(bare)))

    def _note_own(self, stanza: Element, stanza_type: str) -> None:
        if stanza_type == "available":
            self._people.own_presence[stanza.sender] = stanza
        elif stanza_type == "unavailable":
            self._people.own_presence.pop(stanza.sender, None)

    async def _ask_roster(self) -> None:
        """RFC 6121 §2.1.3. What it says is kept for completion outside the shell."""
        console, state = self._app.console, self._app.storage.state_if_any
        try:
            self._people.set_contacts(_valid(await contacts(self._session)))
            if state is not None:
                account = str(self._session.jid.bare)
                known = list(self._people.contacts.items())
                await apart(lambda: write_contacts(state, account, known))
        except XmppshError as error:
            console.log(1, f"the contacts are not known: {error}")
        except OSError as error:
            console.log(1, f"the contacts are not kept: {os_reason(error)}")

    async def _ask_rooms(self) -> None:
        """The rooms that are marked (XEP-0402), and the services of our server that have some (XEP-0045 §6.1)."""
        from xmppsh.xep import bookmarks, disco

        session, domain = self._session, self._session.jid.domainpart
        try:
            self._people.bookmarks = [str(one.room) for one in await bookmarks.bookmarks(session)]
            listed = [one.jid for one in await disco.items(session, Jid(None, domain))]
            for jid in [jid for jid in listed if jid.endswith(f".{domain}")][:MAX_SERVICES]:
                identities, _ = await disco.info(session, Jid.parse(jid))
                if any(one.category == "conference" for one in identities):
                    self._people.services.append(jid)
        except XmppshError as error:
            self._app.console.log(1, f"the rooms are not known: {error}")


def _valid(found: Iterable[Contact]) -> Iterator[Contact]:
    for contact in found:
        try:
            yield replace(contact, jid=str(Jid.parse(contact.jid).bare))
        except XmppshError:
            continue  # a server's fault that nobody here can mend
