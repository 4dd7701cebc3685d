"""XEP-0402: the account's rooms, one item each on a node of its own that nobody else may read (XEP-0223)."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import MalformedJid, StanzaError
from xmppsh.model import Jid
from xmppsh.plain import dataclass
from xmppsh.xep import pubsub
from xmppsh.xep.missing import NotOffered, offered
from xmppsh.xmlio.build import Xml, element, verbatim
from xmppsh.xmlio.reader import children, read_element, tree

if TYPE_CHECKING:
    from xmppsh.session.session_port import SessionPort

WHAT = "private bookmarks (XEP-0402)"
# §4: without these the node would be open to contacts, and keep one item only. ejabberd 23.01 takes the first two alone
# with an item.
PRIVATE = {"persist_items": "true", "access_model": "whitelist"}
MANY = {"pubsub#max_items": ("max",), "pubsub#send_last_published_item": ("never",)}
EXTENSIONS = f"{{{ns.BOOKMARKS}}}extensions"


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A room. autojoin: clients enter it by themselves; extensions: what other clients keep there, to be kept."""

    room: Jid
    name: str | None = None
    nick: str | None = None
    autojoin: bool = False
    password: str | None = field(default=None, repr=False)
    extensions: Xml | None = None


async def bookmarks(session: SessionPort) -> list[Bookmark]:
    """All of them; what is none is left out. Raises NotOffered where there is no place for them."""
    try:
        with offered(WHAT, session.jid.domainpart):
            found = await pubsub.items(session, session.jid.bare, ns.BOOKMARKS)
    except StanzaError as error:
        if error.condition != "item-not-found":
            raise
        return []  # nothing was marked yet
    return [one for item in found if (one := _bookmark(item)) is not None]


def _bookmark(item: pubsub.Item) -> Bookmark | None:
    try:
        room = Jid.parse(item.item_id)
    except MalformedJid:
        return None
    payload = None if item.xml is None else read_element(item.xml)
    if payload is None or payload.name != f"{{{ns.BOOKMARKS}}}conference":
        return None
    root = tree(payload)
    kept = [verbatim(one) for one in map(read_element, children(payload)) if one.name == EXTENSIONS]
    return Bookmark(
        room.bare,
        root.get("name"),
        root.findtext(f"{{{ns.BOOKMARKS}}}nick"),
        root.get("autojoin") in ("true", "1"),
        root.findtext(f"{{{ns.BOOKMARKS}}}password"),
        kept[0] if kept else None,
    )


async def keep(session: SessionPort, one: Bookmark, *, is_there: bool) -> None:
    """Add it, or put it in the place of the one that is there; raises NotOffered where it would not stay private.

    is_there: is there the node for it?
    """
    own = session.jid.bare
    if ns.PUBLISH_OPTIONS not in await pubsub.features(session, own):
        raise NotOffered(f"{own.domainpart} does not offer {WHAT}", hint=f"xmppsh disco info {own}")
    conference = element(
        "conference",
        {"xmlns": ns.BOOKMARKS, "name": one.name, "autojoin": "true" if one.autojoin else "false"},
        None if one.nick is None else element("nick", None, one.nick),
        None if one.password is None else element("password", None, one.password),
        one.extensions,
    )
    if is_there:  # before one that is full drops its oldest item
        await pubsub.configure(session, own, ns.BOOKMARKS, MANY)
    await pubsub.publish(session, own, ns.BOOKMARKS, conference, str(one.room), **PRIVATE)
    if not is_there:
        await pubsub.configure(session, own, ns.BOOKMARKS, MANY)


async def forget(session: SessionPort, room: Jid) -> None:
    """Remove it, and tell our other clients (§3.3)."""
    await pubsub.retract(session, session.jid.bare, ns.BOOKMARKS, str(room.bare))
