"""The contact that is always there and says what it hears."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.playground import handlers
from xmppsh.playground.stanza import error_reply, made, random_id
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Jid
    from xmppsh.playground.ports import Routes
    from xmppsh.playground.stanza import Stanza

RESOURCE = "bot"
CLIENT = f"{{{ns.CLIENT}}}"


class Echo:
    """A resident of the server: answers each message with its own body, confirms receipts, answers IQs."""

    def __init__(self, router: Routes, bare_jid: Jid) -> None:
        self.jid = bare_jid.with_resource(RESOURCE)
        self.presence: Stanza | None = made("presence", None, self.jid, bare_jid)
        self.priority = 0
        self.interested = self.carbons = False
        self._router = router

    def deliver(self, stanza: Stanza) -> None:
        """Answer at once."""
        if stanza.is_request:
            self._router.route(handlers.answer(self._router, stanza, handlers.BOT))
        elif stanza.kind == "message" and stanza.type in ("chat", "normal"):
            self._reply(stanza, stanza.tree())
        elif stanza.kind == "message" and stanza.type == "groupchat":
            self._router.route(error_reply(stanza, "service-unavailable"))

    def _reply(self, message: Stanza, parsed: Tree) -> None:
        if message.id is not None and parsed.find(f"{{{ns.RECEIPTS}}}request") is not None:
            received = element("received", {"xmlns": ns.RECEIPTS, "id": message.id})
            self._router.route(made("message", message.type, self.jid, message.sender, received, stanza_id=random_id()))
        body, thread = parsed.findtext(f"{CLIENT}body"), parsed.findtext(f"{CLIENT}thread")
        if body is None:
            return
        self._router.route(
            made(
                "message",
                message.type,
                self.jid,
                message.sender,
                element("body", {}, body),
                element("thread", {}, thread) if thread else None,
                stanza_id=random_id(),
            )
        )
