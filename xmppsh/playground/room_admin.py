"""What owners, admins and moderators ask of a room (XEP-0045 §8 to §10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import MalformedJid
from xmppsh.playground.room_rules import AFFILIATIONS, MEMBERS, ROLES
from xmppsh.playground.stanza import error_reply, form_values, parse_jid, result
from xmppsh.xmlio.build import Xml, element

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Jid
    from xmppsh.playground.ports import Place
    from xmppsh.playground.stanza import Stanza

BANNED, KICKED, NO_MEMBER, MEMBERS_ONLY = "301", "307", "321", "322"  # §15.6
ADMIN, OWNER = f"{{{ns.MUC_ADMIN}}}", f"{{{ns.MUC_OWNER}}}"


def configuration(room: Place, iq: Stanza) -> Stanza:
    """Show or change the configuration, or destroy the room, which the lobby does not suffer."""
    if room.rules.affiliation(iq.sender) != "owner":
        return error_reply(iq, "forbidden", "only its owner configures the room")
    query = iq.tree()[0]
    if iq.type == "get":
        return result(iq, element("query", {"xmlns": ns.MUC_OWNER}, room.rules.form()))
    if query.find(f"{OWNER}destroy") is not None:
        return error_reply(iq, "not-allowed", "the playground keeps its room")
    if (wrong := room.rules.configure(form_values(query))) is not None:
        return error_reply(iq, "not-acceptable", wrong)
    if room.rules.has(MEMBERS):
        for nick, jid in room.people().items():
            if room.rules.affiliation(jid) == "none":
                room.expel(nick, MEMBERS_ONLY)
    return result(iq)


def administration(room: Place, iq: Stanza) -> Stanza:
    """List or change affiliations and roles."""
    item = iq.tree()[0].find(f"{ADMIN}item")
    if item is None:
        return error_reply(iq, "bad-request", "nobody is named")
    if iq.type == "get":
        return _listed(room, iq, item)
    if (affiliation := item.get("affiliation")) is not None:
        return _affiliation(room, iq, item, affiliation)
    return _role(room, iq, item, item.get("role", ""))


def _listed(room: Place, iq: Stanza, item: Tree) -> Stanza:
    if room.rules.affiliation(iq.sender) not in ("owner", "admin"):
        return error_reply(iq, "forbidden", "only its admins see that")
    found: list[Xml] = []
    if (affiliation := item.get("affiliation")) is not None:
        known = room.rules.affiliations.items()
        found = [element("item", {"jid": str(jid), "affiliation": one}) for jid, one in known if one == affiliation]
    elif (role := item.get("role")) is not None:
        for nick, jid in room.people().items():
            if room.roles[nick] == role:
                facts = {"nick": nick, "jid": str(jid), "role": role, "affiliation": room.rules.affiliation(jid)}
                found.append(element("item", facts))
    return result(iq, element("query", {"xmlns": ns.MUC_ADMIN}, *found))


def _affiliation(room: Place, iq: Stanza, item: Tree, wanted: str) -> Stanza:
    try:
        jid = parse_jid(item.get("jid", "")).bare
    except MalformedJid as error:
        return error_reply(iq, "jid-malformed", str(error))
    if wanted not in AFFILIATIONS:
        return error_reply(iq, "bad-request", f"there is no affiliation {wanted}")
    own, former = room.rules.affiliation(iq.sender), room.rules.affiliation(jid)
    if own not in ("owner", "admin") or (own == "admin" and {wanted, former} & {"owner", "admin"}):
        return error_reply(iq, "not-allowed", "that is for its owner to do")
    owners = [one for one in room.rules.affiliations.values() if one == "owner"]
    if former == "owner" and wanted != "owner" and len(owners) == 1:
        return error_reply(iq, "conflict", "a room has an owner")
    room.rules.affiliations[jid] = wanted
    if wanted == "none":
        del room.rules.affiliations[jid]
    for nick in [nick for nick, who in room.people().items() if who.bare == jid]:
        _changed(room, nick, jid, _reason(item))
    return result(iq)


def _changed(room: Place, nick: str, jid: Jid, reason: str | None) -> None:
    match room.rules.affiliation(jid):
        case "outcast":
            room.expel(nick, BANNED, reason)
        case "none" if room.rules.has(MEMBERS):
            room.expel(nick, NO_MEMBER, reason)
        case _:
            room.give(nick, room.rules.role(jid))


def _role(room: Place, iq: Stanza, item: Tree, wanted: str) -> Stanza:
    nick, people = item.get("nick", ""), room.people()
    if wanted not in ROLES:
        return error_reply(iq, "bad-request", f"there is no role {wanted!r}")
    if nick not in people:
        return error_reply(iq, "item-not-found", f"nobody is called {nick!r} here")
    own = next((room.roles[name] for name, jid in people.items() if jid == iq.sender), "none")
    ranks = [AFFILIATIONS.index(room.rules.affiliation(jid)) for jid in (iq.sender, people[nick])]
    if (
        own != "moderator"
        or (ranks[0] < ranks[1])
        or (ranks[1] >= AFFILIATIONS.index("admin") and wanted != "moderator")
    ):
        return error_reply(iq, "not-allowed", "that is for its moderators to do, and not to its admins")
    if wanted == "none":
        room.expel(nick, KICKED, _reason(item))
    else:
        room.give(nick, wanted)
    return result(iq)


def _reason(item: Tree) -> str | None:
    return item.findtext(f"{ADMIN}reason")
