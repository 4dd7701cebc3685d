"""XEP-0084: an account's picture; XEP-0153 where it is in its card alone. What does not fit its hash is no picture."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, NamedTuple

from xmppsh import ns
from xmppsh.errors import DataError, ProtocolError
from xmppsh.xep import pubsub
from xmppsh.xep.vcard import card
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import read_element, tree
from xmppsh.xmlio.stanzas import presence

if TYPE_CHECKING:
    from xmppsh.model import Jid
    from xmppsh.session.session_port import SessionPort

MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
PNG_HEADER_BYTES = 24  # up to the end of width and height (PNG §11.2.2)


class Picture(NamedTuple):
    """A picture. sha1: of its bytes, which is its id; type: its media type."""

    sha1: str
    type: str
    data: bytes


async def fetch(session: SessionPort, whose: Jid) -> Picture | None:
    """The picture; None where there is none. Raises ProtocolError for bytes that do not fit the hash they go by."""
    node = await pubsub.items_or_none(session, whose, ns.AVATAR_METADATA)
    for item in reversed(node):
        listed = [] if item.xml is None else tree(read_element(item.xml)).findall(f"{{{ns.AVATAR_METADATA}}}info")
        for one in listed:
            if one.get("url") is None and (wanted := one.get("id")):  # the others lie on the web
                return await _by_hash(session, whose, wanted.lower(), one.get("type", "image/png"))
        if item.xml is not None and not listed:
            return None  # §4.2.4: taken away
    return await _in_card(session, whose)


async def _by_hash(session: SessionPort, whose: Jid, wanted: str, kind: str) -> Picture:
    found = await pubsub.items(session, whose, ns.AVATAR_DATA, wanted)
    data = b"" if not found or found[0].xml is None else _decoded(tree(read_element(found[0].xml)).text)
    return _checked(Picture(hashlib.sha1(data).hexdigest(), kind, data), wanted, whose)


async def _in_card(session: SessionPort, whose: Jid) -> Picture | None:
    """The picture of the card; where its owner's presence tells a hash, it must be the one (XEP-0153 §3.3)."""
    presences = session.subscribe("presence")
    try:
        session.send(presence("probe", to=str(whose)), kind="presence", to=str(whose))
        found = await card(session, None if whose == session.jid.bare else whose)
        presences.finish()
        announced = ""
        async for stanza in presences:
            told = tree(stanza).findtext(f"{{{ns.VCARD_UPDATE}}}x/{{{ns.VCARD_UPDATE}}}photo")
            if stanza.sender.partition("/")[0] == str(whose) and told:
                announced = told.strip().lower()
    finally:
        presences.cancel()
    photo = None if found is None else found.find(f"{{{ns.VCARD}}}PHOTO")
    data = b"" if photo is None else _decoded(photo.findtext(f"{{{ns.VCARD}}}BINVAL"))
    if photo is None or not data:
        return None
    kind = photo.findtext(f"{{{ns.VCARD}}}TYPE") or _type_of(data) or "application/octet-stream"
    picture = Picture(hashlib.sha1(data).hexdigest(), kind, data)
    return _checked(picture, announced or picture.sha1, whose)


def _decoded(text: str | None) -> bytes:
    try:
        return base64.b64decode("".join((text or "").split()), validate=True)
    except binascii.Error:
        return b""


def _checked(picture: Picture, wanted: str, whose: Jid) -> Picture:
    if picture.sha1 != wanted:
        raise ProtocolError(
            f"the picture of {whose} is not the one that is announced (its hash differs)", layer="stanza"
        )
    return picture


def _type_of(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in MAGIC.items() if data.startswith(magic)), None)


async def publish(session: SessionPort, data: bytes, name: str) -> Picture:
    """Make these bytes our picture: the data first, then what tells of them (§4.1). Raises DataError for no picture."""
    kind = _type_of(data)
    if kind is None:
        raise DataError(f"{name} is not a picture that clients show", hint="PNG, JPEG, GIF or WebP")
    picture, own = Picture(hashlib.sha1(data).hexdigest(), kind, data), session.jid.bare
    size: dict[str, str | None] = {}
    if kind == "image/png" and len(data) >= PNG_HEADER_BYTES:
        size = {"width": str(int.from_bytes(data[16:20])), "height": str(int.from_bytes(data[20:24]))}
    facts = {"id": picture.sha1, "type": kind, "bytes": str(len(data)), **size}
    await pubsub.features(session, own)
    encoded = element("data", {"xmlns": ns.AVATAR_DATA}, base64.b64encode(data).decode())
    await pubsub.publish(session, own, ns.AVATAR_DATA, encoded, picture.sha1)
    told = element("metadata", {"xmlns": ns.AVATAR_METADATA}, element("info", facts))
    await pubsub.publish(session, own, ns.AVATAR_METADATA, told, picture.sha1)
    return picture


async def remove(session: SessionPort) -> None:
    """Have no picture any more (§4.2.4)."""
    await pubsub.features(session, session.jid.bare)
    nothing = element("metadata", {"xmlns": ns.AVATAR_METADATA})
    await pubsub.publish(session, session.jid.bare, ns.AVATAR_METADATA, nothing)
