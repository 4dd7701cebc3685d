"""Queries of an account's archive (XEP-0313), paged by XEP-0059."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import MalformedJid
from xmppsh.playground.archive import Wanted
from xmppsh.playground.stanza import error_reply, forwarded, made, parse_jid, result
from xmppsh.texts import rfc3339
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.playground.archive import Archive, Kept
    from xmppsh.playground.ports import Client
    from xmppsh.playground.stanza import Stanza
    from xmppsh.xmlio.build import Xml

MAX_PAGE = 100
RSM, FORM = f"{{{ns.RSM}}}", f"{{{ns.DATA_FORMS}}}"


def queried(client: Client, iq: Stanza, query: Tree) -> Stanza:
    """Carry out a query: the messages go to the client, the end of the page is the answer (§4)."""
    try:
        wanted = _wanted(query)
        page, is_complete = _page(client.account.archive, wanted, query)
    except (ValueError, MalformedJid) as error:
        return error_reply(iq, "bad-request", str(error))
    for kept in page:
        client.deliver(_found(client, kept, query.get("queryid")))
    ends = (page[0].number, page[-1].number) if page else ()
    named = (element(name, None, str(number)) for name, number in zip(("first", "last"), ends, strict=False))
    paging = element("set", {"xmlns": ns.RSM}, *named)
    return result(iq, element("fin", {"xmlns": ns.MAM, "complete": "true" if is_complete else None}, paging))


def _page(archive: Archive, wanted: Wanted, query: Tree) -> tuple[list[Kept], bool]:
    paging = query.find(f"{RSM}set")
    asked = {} if paging is None else {one.tag.removeprefix(RSM): one.text or "" for one in paging}
    most = min(int(asked.get("max") or MAX_PAGE), MAX_PAGE)
    if "before" in asked:
        found = archive.backwards(wanted, int(asked["before"] or 2**63))
    else:
        found = archive.forwards(wanted, int(asked.get("after") or 0))
    page = list(islice(found, most + 1))
    is_complete, page = len(page) <= most, page[:most]
    return (page[::-1] if "before" in asked else page), is_complete


def _wanted(query: Tree) -> Wanted:
    """Read the form (§4.1.1); raises ValueError, MalformedJid."""
    values = {field.get("var"): field.findtext(f"{FORM}value") for field in query.iterfind(f"{FORM}x/{FORM}field")}
    partner, since, until = (values.get(name) for name in ("with", "start", "end"))
    return Wanted(
        parse_jid(partner) if partner else None,
        _moment(since) if since else 0.0,
        _moment(until) if until else float("inf"),
    )


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _found(client: Client, kept: Kept, query_id: str | None) -> Stanza:
    stamp = rfc3339(datetime.fromtimestamp(kept.message.received_at, UTC))
    delay = element("delay", {"xmlns": ns.DELAY, "stamp": stamp})
    attributes = {"xmlns": ns.MAM, "queryid": query_id, "id": str(kept.number)}
    payload = element("result", attributes, forwarded(kept.message, delay))
    return made("message", None, client.account.jid, client.jid, payload)


def preferences() -> Xml:
    """All is kept, and nobody can change that (XEP-0441)."""
    empty = (element("always"), element("never"))
    return element("prefs", {"xmlns": ns.MAM, "default": "always"}, *empty)
