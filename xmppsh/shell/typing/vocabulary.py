"""Names of XML that complete: what stands in a stanza, and namespaces with what they are for."""

from __future__ import annotations

from xmppsh import ns

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
    ns.DISCO_INFO: (("query",), "what it can do, XEP-0030"),
    ns.DISCO_ITEMS: (("query",), "what it has, XEP-0030"),
    ns.ROSTER: (("query",), "contacts, RFC 6121"),
    ns.VERSION: (("query",), "its program, XEP-0092"),
    ns.LAST: (("query",), "last activity, XEP-0012"),
    ns.REGISTER: (("query",), "registration, XEP-0077"),
    ns.SEARCH: (("query",), "search, XEP-0055"),
    ns.MUC_ADMIN: (("query",), "members of a room, XEP-0045"),
    ns.MUC_OWNER: (("query",), "set-up of a room, XEP-0045"),
    ns.MAM: (("query",), "the archive, XEP-0313"),
    ns.PING: (("ping",), "are you there, XEP-0199"),
    ns.TIME: (("time",), "its clock, XEP-0202"),
    "vcard-temp": (("vCard",), "a card, XEP-0054"),
    ns.COMMANDS: (("command",), "commands of a service, XEP-0050"),
    ns.PUBSUB: (("pubsub",), "nodes and items, XEP-0060"),
    ns.PUBSUB_OWNER: (("pubsub",), "one's own nodes, XEP-0060"),
    ns.BLOCKING: (("block", "unblock", "blocklist"), "who is blocked, XEP-0191"),
    ns.MUC: (("x",), "join a room, XEP-0045"),
    ns.MUC_USER: (("x",), "invitations, XEP-0045"),
    ns.DATA_FORMS: (("x",), "a form, XEP-0004"),
    ns.OOB: (("x",), "a URL, XEP-0066"),
    ns.CONFERENCE: (("x",), "an invitation, XEP-0249"),
    ns.RECEIPTS: (("request", "received"), "a receipt, XEP-0184"),
    ns.CHAT_STATES: (("active", "composing", "paused", "gone"), "who is writing, XEP-0085"),
    ns.CORRECTION: (("replace",), "a correction, XEP-0308"),
    ns.HINTS: (("store", "no-store", "no-copy"), "hints for the server, XEP-0334"),
    ns.RSM: (("set",), "pages, XEP-0059"),
    ns.CAPS: (("c",), "capabilities, XEP-0115"),
}
