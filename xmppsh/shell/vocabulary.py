"""Names of XML that complete: what stands in a stanza, and namespaces with what they are for."""

from __future__ import annotations

TOP = ("message", "presence", "iq")
CHILDREN = {
    "message": ("body", "subject", "thread", "request", "active", "composing", "replace", "store", "x"),
    "presence": ("show", "status", "priority", "x", "c"),
    "iq": ("query", "ping", "time", "vCard", "command", "pubsub", "block", "unblock", "blocklist", "bind"),
    "pubsub": ("items", "publish", "subscribe", "retract", "create", "configure"),
    "publish": ("item",),
    "items": ("item",),
    "query": ("item", "set", "x", "identity", "feature"),
    "x": ("field", "title", "instructions", "password", "history"),
    "field": ("value", "option"),
}
# Namespace → the elements that carry it (none: many do), and a word about it.
NAMESPACES: dict[str, tuple[tuple[str, ...], str]] = {
    "http://jabber.org/protocol/disco#info": (("query",), "what it can do, XEP-0030"),
    "http://jabber.org/protocol/disco#items": (("query",), "what it has, XEP-0030"),
    "jabber:iq:roster": (("query",), "contacts, RFC 6121"),
    "jabber:iq:version": (("query",), "its program, XEP-0092"),
    "jabber:iq:last": (("query",), "last activity, XEP-0012"),
    "jabber:iq:register": (("query",), "registration, XEP-0077"),
    "jabber:iq:search": (("query",), "search, XEP-0055"),
    "http://jabber.org/protocol/muc#admin": (("query",), "members of a room, XEP-0045"),
    "http://jabber.org/protocol/muc#owner": (("query",), "set-up of a room, XEP-0045"),
    "urn:xmpp:mam:2": (("query",), "the archive, XEP-0313"),
    "urn:xmpp:ping": (("ping",), "are you there, XEP-0199"),
    "urn:xmpp:time": (("time",), "its clock, XEP-0202"),
    "vcard-temp": (("vCard",), "a card, XEP-0054"),
    "http://jabber.org/protocol/commands": (("command",), "commands of a service, XEP-0050"),
    "http://jabber.org/protocol/pubsub": (("pubsub",), "nodes and items, XEP-0060"),
    "http://jabber.org/protocol/pubsub#owner": (("pubsub",), "one's own nodes, XEP-0060"),
    "urn:xmpp:blocking": (("block", "unblock", "blocklist"), "who is blocked, XEP-0191"),
    "http://jabber.org/protocol/muc": (("x",), "join a room, XEP-0045"),
    "http://jabber.org/protocol/muc#user": (("x",), "invitations, XEP-0045"),
    "jabber:x:data": (("x",), "a form, XEP-0004"),
    "jabber:x:oob": (("x",), "a URL, XEP-0066"),
    "jabber:x:conference": (("x",), "an invitation, XEP-0249"),
    "urn:xmpp:receipts": (("request", "received"), "a receipt, XEP-0184"),
    "http://jabber.org/protocol/chatstates": (("active", "composing", "paused", "gone"), "who is writing, XEP-0085"),
    "urn:xmpp:message-correct:0": (("replace",), "a correction, XEP-0308"),
    "urn:xmpp:hints": (("store", "no-store", "no-copy"), "hints for the server, XEP-0334"),
    "http://jabber.org/protocol/rsm": (("set",), "pages, XEP-0059"),
    "http://jabber.org/protocol/caps": (("c",), "capabilities, XEP-0115"),
}
