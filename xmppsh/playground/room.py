"""One room to talk in (XEP-0045): join, leave, nicknames, roles, subject, invitations, a short history."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import XmppshError
from xmppsh.model import Jid
from xmppsh.playground import handlers, room_admin
from xmppsh.playground.room_rules import NAME, PUBLIC, SUBJECT, Rules
from xmppsh.playground.stanza import delayed, error_reply, made, random_id, result
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.playground.ports import Routes
    from xmppsh.playground.stanza import Stanza

LOBBY = "lobby"
HISTORY = 20  # messages that somebody who joins gets to read
SELF, NICK_CHANGED = "110", "303"  # XEP-0045 §15.6: status codes
CLIENT = f"{{{ns.CLIENT}}}"
INVITATION = f"{{{ns.MUC_USER}}}x/{{{ns.MUC_USER}}}invite"


class RoomService:
    """The domain `rooms.…` with its one room. owner: of the room."""

    def __init__(self, router: Routes, owner: Jid) -> None:
        self.domain = f"rooms.{router.domain}"
        self._router = router
        self.rooms = {LOBBY: Room(router, Jid(LOBBY, self.domain), Rules(owner))}

    def take(self, stanza: Stanza) -> None:
        """Take a stanza to the service or to a room."""
        assert stanza.to is not None
        room = self.rooms.get(stanza.to.localpart or "")
        if room is not None:
            room.take(stanza)
        elif stanza.to.localpart is None and stanza.is_request:
            self._router.route(self._answer(stanza))
        else:
            self._router.bounce(stanza, "item-not-found")

    def _answer(self, iq: Stanza) -> Stanza:
        match _parts(iq.tree()[0].tag):
            case ns.DISCO_INFO, "query":
                features = [ns.DISCO_INFO, ns.DISCO_ITEMS, ns.MUC]
                return result(iq, handlers.disco_info(None, [("conference", "text", "Rooms")], features))
            case ns.DISCO_ITEMS, "query":
                return result(
                    iq,
                    handlers.disco_items(
                        [(room.jid, room.name) for room in self.rooms.values() if room.rules.has(PUBLIC)]
                    ),
                )
            case ns.PING, "ping":
                return result(iq)
        return error_reply(iq, "service-unavailable")


class Room:
    """A room with its occupants, by nickname: who they are, and their last presence. roles: by nickname."""

    def __init__(self, router: Routes, jid: Jid, rules: Rules) -> None:
        self.jid, self.rules = jid, rules
        self.roles: dict[str, str] = {}
        self._router = router
        self._occupants: dict[str, Stanza] = {}
        self._history: deque[Stanza] = deque(maxlen=HISTORY)
        self._subject = made("message", "groupchat", jid, jid, element("subject"), stanza_id=random_id())

    @property
    def name(self) -> str:
        """What it is called."""
        return self.rules.config[NAME]

    def people(self) -> dict[str, Jid]:
        """Who is in it: full addresses by nickname."""
        return {nick: presence.sender for nick, presence in self._occupants.items()}

    def take(self, stanza: Stanza) -> None:
        """Take a stanza to the room, or to one of its occupants."""
        nick = self._nick(stanza.sender)
        if stanza.kind == "presence":
            self._presence(stanza, nick)
        elif stanza.kind == "iq":
            if stanza.is_request:
                self._router.route(self._answer(stanza, nick))
        elif stanza.type == "error":
            return
        elif nick is None:
            self._router.bounce(stanza, "not-acceptable", "join the room first")  # XEP-0045 §7.4
        elif stanza.type == "groupchat":
            self._speak(stanza, nick)
        elif (invitation := stanza.tree().find(INVITATION)) is not None and stanza.to == self.jid:
            self._invite(stanza, invitation)
        else:
            self._whisper(stanza, nick)

    def _nick(self, jid: Jid) -> str | None:
        return next((nick for nick, presence in self._occupants.items() if presence.sender == jid), None)

    # Coming and going (XEP-0045 §7.2, §7.6, §7.14)

    def _presence(self, stanza: Stanza, nick: str | None) -> None:
        assert stanza.to is not None
        wanted = stanza.to.resourcepart
        if stanza.type == "unavailable":
            if nick is not None:
                self._leave(nick, stanza)
        elif stanza.type != "available":
            return
        elif wanted is None:
            self._router.bounce(stanza, "jid-malformed", "a nickname is missing: room@service/nick")
        elif wanted in self._occupants and wanted != nick:
            self._router.bounce(stanza, "conflict", "someone has this nickname already")
        elif nick is None:
            self._join(wanted, stanza)
        else:
            role = self.roles[nick]
            if wanted != nick:
                self._leave(nick, made("presence", "unavailable", stanza.sender, self.jid), renamed=wanted)
            self._occupants[wanted], self.roles[wanted] = stanza, role
            self._show_all(wanted, stanza)

    def _join(self, nick: str, stanza: Stanza) -> None:
        password = stanza.tree().findtext(f"{{{ns.MUC}}}x/{{{ns.MUC}}}password")
        if (refusal := self.rules.refusal(stanza.sender, password)) is not None:
            self._router.bounce(stanza, *refusal)
            return
        self.roles[nick] = self.rules.role(stanza.sender)
        for other, presence in self._occupants.items():
            self._show(other, presence, stanza.sender)
        self._occupants[nick] = stanza
        self._show_all(nick, stanza)
        if self._wants_history(stanza):
            for message in self._history:
                self._router.route(delayed(message, str(self.jid)).addressed(stanza.sender))
        self._router.route(self._subject.addressed(stanza.sender))

    @staticmethod
    def _wants_history(stanza: Stanza) -> bool:
        """XEP-0045 §7.2.14; anything but "none at all" gets the little we have."""
        history = stanza.tree().find(f"{{{ns.MUC}}}x/{{{ns.MUC}}}history")
        return history is None or "0" not in (history.get("maxstanzas"), history.get("maxchars"))

    def _leave(
        self, nick: str, stanza: Stanza, renamed: str | None = None, code: str | None = None, reason: str | None = None
    ) -> None:
        self._show_all(nick, stanza, renamed, NICK_CHANGED if renamed else code, reason)
        del self._occupants[nick], self.roles[nick]

    def expel(self, nick: str, code: str, reason: str | None = None) -> None:
        """Put somebody out (§8.2, §9.1, §9.4); the code says why."""
        gone = made("presence", "unavailable", self._occupants[nick].sender, self.jid)
        self._leave(nick, gone, code=code, reason=reason)

    def give(self, nick: str, role: str) -> None:
        """Give somebody a role, and tell everybody (§8.3)."""
        self.roles[nick] = role
        self._show_all(nick, self._occupants[nick])

    def _show_all(
        self,
        nick: str,
        presence: Stanza,
        renamed: str | None = None,
        code: str | None = None,
        reason: str | None = None,
    ) -> None:
        for occupant in list(self._occupants.values()):
            self._show(nick, presence, occupant.sender, renamed, code, reason)

    def _show(
        self,
        nick: str,
        presence: Stanza,
        to: Jid,
        renamed: str | None = None,
        code: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Tell `to` about an occupant: the presence's own words, under the nickname."""
        gone = presence.type == "unavailable"
        codes = [code] if code else []
        if presence.sender == to:
            codes.append(SELF)
        sees_address = self.rules.affiliation(to) in ("owner", "admin")  # §5.1.2: a room where others do not
        facts = {
            "affiliation": self.rules.affiliation(presence.sender),
            "role": "none" if gone else self.roles[nick],
            "nick": renamed,
            "jid": str(presence.sender) if sees_address else None,
        }
        item = element("item", facts, None if reason is None else element("reason", {}, reason))
        statuses = (element("status", {"code": code}) for code in codes)
        words = presence.tree()
        kept = (
            element(name, {}, text)
            for name in ("show", "status", "priority")
            if (text := words.findtext(CLIENT + name)) is not None
        )
        self._router.route(
            made(
                "presence",
                "unavailable" if gone else None,
                self.jid.with_resource(nick),
                to,
                *kept,
                element("x", {"xmlns": ns.MUC_USER}, item, *statuses),
                stanza_id=presence.id,
            )
        )

    # Talking (XEP-0045 §7.4, §7.5, §8.1)

    def _speak(self, stanza: Stanza, nick: str) -> None:
        words, role = stanza.tree(), self.roles[nick]
        is_subject = words.find(f"{CLIENT}body") is None and words.find(f"{CLIENT}subject") is not None
        if role == "visitor" or (is_subject and role != "moderator" and not self.rules.has(SUBJECT)):
            self._router.bounce(stanza, "forbidden", "you may not say that here")  # §7.4, §8.1
            return
        said = stanza.addressed(self.jid, self.jid.with_resource(nick))
        if words.find(f"{CLIENT}body") is not None:
            self._history.append(said)
        elif is_subject:
            self._subject = said
        for occupant in list(self._occupants.values()):
            self._router.route(said.addressed(occupant.sender))

    def _whisper(self, stanza: Stanza, nick: str) -> None:
        assert stanza.to is not None
        occupant = self._occupants.get(stanza.to.resourcepart or "")
        if occupant is None:
            self._router.bounce(stanza, "item-not-found")
        else:
            self._router.route(stanza.addressed(occupant.sender, self.jid.with_resource(nick)))

    def _invite(self, stanza: Stanza, invitation: Tree) -> None:
        # XEP-0045 §7.8.2: the guest hears it from the room, which says who asked it to.
        try:
            guest = Jid.parse(invitation.get("to", ""))
        except XmppshError:
            self._router.bounce(stanza, "jid-malformed", "nobody is invited")
            return
        reason = invitation.findtext(f"{{{ns.MUC_USER}}}reason")
        why = None if reason is None else element("reason", {}, reason)
        asked = element("invite", {"from": str(stanza.sender.bare)}, why)
        words = element("x", {"xmlns": ns.MUC_USER}, asked)
        self._router.route(made("message", None, self.jid, guest, words, stanza_id=stanza.id))

    # Asking

    def _answer(self, iq: Stanza, nick: str | None) -> Stanza:
        payload = iq.tree()[0]
        match *_parts(payload.tag), iq.to == self.jid:
            case ns.PING, "ping", _:  # XEP-0410 for an occupant
                return result(iq) if nick is not None else error_reply(iq, "not-acceptable")
            case ns.DISCO_INFO, "query", True:
                features = [ns.DISCO_INFO, ns.DISCO_ITEMS, ns.MUC, *self.rules.features()]
                return result(iq, handlers.disco_info(None, [("conference", "text", self.name)], features))
            case ns.DISCO_ITEMS, "query", True:
                occupants: list[tuple[Jid | str, str | None]] = [
                    (self.jid.with_resource(name), None) for name in self._occupants
                ]
                return result(iq, handlers.disco_items(occupants))
            case ns.MUC_OWNER, "query", True:
                return room_admin.configuration(self, iq)
            case ns.MUC_ADMIN, "query", True:
                return room_admin.administration(self, iq)
        return error_reply(iq, "service-unavailable")


def _parts(tag: str) -> tuple[str, str]:
    """Namespace and name of `{namespace}name`."""
    namespace, _, name = tag.removeprefix("{").rpartition("}")
    return namespace, name
