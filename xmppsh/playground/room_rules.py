"""What a room lets whom do (XEP-0045 §5): its configuration, and who is what in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.xmlio.build import Xml, element

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xmppsh.model import Jid

CONFIG = "muc#roomconfig_"
ROOM_CONFIG = f"{ns.MUC}#roomconfig"
NAME, SUBJECT, SECRET = f"{CONFIG}roomname", f"{CONFIG}changesubject", f"{CONFIG}roomsecret"
PUBLIC, PERSISTENT = f"{CONFIG}publicroom", f"{CONFIG}persistentroom"
MEMBERS, MODERATED, PROTECTED = f"{CONFIG}membersonly", f"{CONFIG}moderatedroom", f"{CONFIG}passwordprotectedroom"
# Each field of the form: its type, what it means, and what stands in it at first (§10.2).
FIELDS = {
    NAME: ("text-single", "Name", "The lobby"),
    PERSISTENT: ("boolean", "Stays when it is empty", "1"),
    PUBLIC: ("boolean", "Is listed by its service", "1"),
    MEMBERS: ("boolean", "Lets members in alone", "0"),
    MODERATED: ("boolean", "Only who has a voice may speak", "0"),
    SUBJECT: ("boolean", "Everybody who may speak changes the subject", "1"),
    PROTECTED: ("boolean", "Wants a password", "0"),
    SECRET: ("text-private", "The password", ""),
}
FEATURES = {
    MEMBERS: ("muc_membersonly", "muc_open"),
    MODERATED: ("muc_moderated", "muc_unmoderated"),
    PUBLIC: ("muc_public", "muc_hidden"),
    PERSISTENT: ("muc_persistent", "muc_temporary"),
    PROTECTED: ("muc_passwordprotected", "muc_unsecured"),
}
BOOLEANS = {"1": "1", "true": "1", "0": "0", "false": "0"}
AFFILIATIONS = ("outcast", "none", "member", "admin", "owner")  # from the least on
ROLES = ("none", "visitor", "participant", "moderator")


class Rules:
    """The configuration of a room, and the affiliations of users by their bare addresses."""

    def __init__(self, owner: Jid) -> None:
        self.config = {name: value for name, (_, _, value) in FIELDS.items()}
        self.affiliations = {owner: "owner"}

    def has(self, name: str) -> bool:
        """Is that field of the configuration on?"""
        return self.config[name] == "1"

    def affiliation(self, jid: Jid) -> str:
        """What somebody is to the room."""
        return self.affiliations.get(jid.bare, "none")

    def role(self, jid: Jid) -> str:
        """What somebody is in it who enters (§5.1.2)."""
        match self.affiliation(jid):
            case "owner" | "admin":
                return "moderator"
            case "none" if self.has(MODERATED):
                return "visitor"
        return "participant"

    def refusal(self, jid: Jid, password: str | None) -> tuple[str, str] | None:
        """Why somebody is not let in, as a condition and a text (§7.2.5 to §7.2.8); None for who is."""
        match self.affiliation(jid):
            case "outcast":
                return "forbidden", "you are banned"
            case "none" if self.has(MEMBERS):
                return "registration-required", "the room is for members only"
            case "owner":
                return None
        if self.has(PROTECTED) and password != self.config[SECRET]:
            return "not-authorized", "the room wants another password"
        return None

    def configure(self, values: Mapping[str, str]) -> str | None:
        """Put values into the configuration; what is wrong with them, None when nothing is."""
        changed = dict(self.config)
        for name, text in values.items():
            if name in FIELDS:
                value = BOOLEANS.get(text) if FIELDS[name][0] == "boolean" else text
                if value is None:
                    return f"{name} is 0 or 1"
                changed[name] = value
        if changed[PROTECTED] == "1" and not changed[SECRET]:
            return f"a room that wants a password has one: {SECRET}"
        self.config = changed
        return None

    def features(self) -> list[str]:
        """What the room tells of itself (§6.4)."""
        return [yes if self.has(name) else no for name, (yes, no) in FEATURES.items()]

    def form(self) -> Xml:
        """The form of the configuration."""
        kind = element("field", {"var": "FORM_TYPE", "type": "hidden"}, element("value", {}, ROOM_CONFIG))
        fields = (
            element("field", {"var": name, "type": type_, "label": label}, element("value", {}, self.config[name]))
            for name, (type_, label, _) in FIELDS.items()
        )
        return element("x", {"xmlns": ns.DATA_FORMS, "type": "form"}, kind, *fields)
