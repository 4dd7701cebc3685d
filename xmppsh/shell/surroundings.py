"""What the shell learns beside messages: the roster, once, and who is online. Names and completion live on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.commands.appearing import answer_to
from xmppsh.commands.known import write_contacts
from xmppsh.errors import XmppshError
from xmppsh.model import Jid
from xmppsh.output import safe
from xmppsh.tasks import apart, running
from xmppsh.texts import os_reason
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xmppsh.commands.app import App
    from xmppsh.model import Element
    from xmppsh.session.session import Session
    from xmppsh.shell.desk import Desk

ASKS = "xmppsh: {who} asks to see when you are online\n  try: /presence approve {who}, or /presence deny {who}\n"


class Surroundings:
    """Fills the desk's `people` as long as the shell runs."""

    def __init__(self, app: App, session: Session, desk: Desk) -> None:
        self._app, self._session, self._desk, self._people = app, session, desk, desk.people
        self._presence = session.subscribe("presence")

    async def run(self) -> None:
        """Ask for the roster, and read presence until the session ends."""
        async with running(self._ask_roster()):
            await self.read(tells=True)

    async def read(self, *, tells: bool) -> None:
        """Read presence until the session ends. tells: who asks to see ours."""
        try:
            async for stanza in self._presence:
                self._note(stanza, tells)
        except XmppshError:
            return  # the end of the session, which the printer of messages tells

    def _note(self, stanza: Element, tells: bool) -> None:
        kind = stanza.attributes.get("type", "available")
        if kind in ("available", "unavailable"):
            show = "" if kind == "unavailable" else tree(stanza).findtext(f"{{{ns.CLIENT}}}show", "")
            self._people.presence(stanza.sender, kind, show)
        elif (approval := answer_to(stanza, self._desk.accepted)) is not None:
            self._session.send(approval)
        elif kind == "subscribe" and tells:
            who = safe.line(stanza.sender.partition("/")[0])
            self._app.console.write_error(ASKS.format(who=who))

    async def _ask_roster(self) -> None:
        """RFC 6121 §2.1.3. What it says is kept for completion outside the shell."""
        console, state = self._app.console, self._app.storage.state_if_any
        try:
            answer = await self._session.request("get", None, element("query", {"xmlns": ns.ROSTER}))
            contacts = list(_contacts(answer))
            self._people.set_contacts(contacts)
            if state is not None:
                account = str(self._session.jid.bare)
                await apart(lambda: write_contacts(state, account, contacts))
        except XmppshError as error:
            console.log(1, f"the contacts are not known: {error}")
        except OSError as error:
            console.log(1, f"the contacts are not kept: {os_reason(error)}")


def _contacts(answer: Element) -> list[tuple[str, str]]:
    found = []
    for item in tree(answer).iterfind(f"{{{ns.ROSTER}}}query/{{{ns.ROSTER}}}item"):
        try:
            found.append((str(Jid.parse(item.get("jid", "")).bare), item.get("name", "")))
        except XmppshError:
            continue  # a server's fault that nobody here can mend
    return found
