"""XEP-0313: the archive of our account or of a room, page by page."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from xmppsh import ns
from xmppsh.errors import MalformedJid, ProtocolViolation, StanzaError
from xmppsh.model import Jid
from xmppsh.protocol.conditions import number
from xmppsh.session.repeats import stanza_id
from xmppsh.tasks import ended
from xmppsh.texts import rfc3339
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import StanzaReader, below, tree, trees
from xmppsh.xmlio.splitter import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Element
    from xmppsh.session.session_port import SessionPort
    from xmppsh.xmlio.build import Xml

RESULT, FORWARDED = f"{{{ns.MAM}}}result", f"{{{ns.FORWARD}}}forwarded"
MESSAGE, DELAY = f"{{{ns.CLIENT}}}message", f"{{{ns.DELAY}}}delay"
_VALUE = r"'([^'<>&\t\r\n]*+)'"  # with nothing to decode in it
_ATTRIBUTES = rf"(?: (?!xmlns)[a-z:]++={_VALUE.replace('(', '(?:')})*+"
_NAMESPACE = f" xmlns='{ns.CLIENT}'"
_STANDING_ALONE = rf"{_ATTRIBUTES}{_NAMESPACE}{_ATTRIBUTES}"  # Prosody's tables have no order
_DELAY = rf"(?:<delay(?: stamp={_VALUE}| from={_VALUE}| xmlns='({ns.DELAY})')*+/>)?+"
# A result as servers write it, with its delay before or after the message.
AS_WRITTEN = re.compile(
    rf"<message{_ATTRIBUTES}><result(?: id={_VALUE}| queryid={_VALUE}| xmlns='({ns.MAM})')*+>"
    rf"<forwarded xmlns='{ns.FORWARD}'>{_DELAY}(<message{_STANDING_ALONE}>.*</message>){_DELAY}"
    r"</forwarded></result></message>",
    re.DOTALL,
)
END = "</message>"
MAX_EMPTY = 10  # pages in a row; a server may leave out what has expired
PAGE = 250  # messages; servers give fewer when they like
TURNS = 4  # of the loop until a request has left: it is made, queued, written, and sent


class Archived(NamedTuple):
    """A message of the archive: the id that it has there, its XML, and when it came."""

    archive_id: str
    xml: str
    moment: datetime | None


class Page(NamedTuple):
    """Messages in order. last: the id of the last one that the archive has in it; total: how many messages there are on
    all pages, where it tells."""

    messages: list[Archived]
    last: str | None
    is_end: bool
    total: int | None = None


class Wanted(NamedTuple):
    """Which messages: with somebody, since and until a moment (inclusive), of this room."""

    partner: Jid | None = None
    since: datetime | None = None
    until: datetime | None = None
    room: Jid | None = None


async def forwards(session: SessionPort, wanted: Wanted, after: str | None = None) -> AsyncGenerator[Page]:
    """The pages from the oldest on, or from the message after `after` on. Raises ProtocolViolation for a circle,
    and for pages without a message that do not end.

    The server works at the next page while one is read and dealt with.
    """
    seen: set[str] = set()
    empty = 0  # pages in a row
    asked = asyncio.ensure_future(_after(session, wanted, after))
    try:
        while True:
            answer = await asked
            last, is_end = answer.last, answer.is_end
            if last in seen:
                raise ProtocolViolation("the archive repeats a page, and never ends")
            if last is not None and not is_end:
                seen.add(last)
                asked = asyncio.ensure_future(_after(session, wanted, last))
                for _ in range(TURNS):
                    await asyncio.sleep(0)
            page = answer.page()
            empty = 0 if page.messages else empty + 1
            if empty == MAX_EMPTY:
                raise ProtocolViolation("the archive gives page after page without a message, and never ends")
            if page.messages:
                yield page
            if is_end:
                return
    finally:
        await ended(asked)


async def _after(session: SessionPort, wanted: Wanted, after: str | None) -> _Answer:
    try:
        return await _ask(session, wanted, element("after", None, after) if after else None, PAGE)
    except StanzaError as error:
        if after and error.condition == "item-not-found":  # XEP-0059 §2.6
            error.args = (f"{error.sender} has no message with the id {after}, after which to go on: item-not-found",)
            error.hint = "it has left the archive, or never was in it: begin anew, with another checkpoint and output"
        raise


async def newest(session: SessionPort, wanted: Wanted, count: int) -> list[Archived]:
    """The last `count` messages, in order of time."""
    found: list[Archived] = []
    before: str | None = ""
    while len(found) < count and before is not None:
        asked = element("before", None, before or None)
        page = (await _ask(session, wanted, asked, min(PAGE, count - len(found)))).page()
        found = page.messages + found
        next_before = page.messages[0].archive_id if page.messages and not page.is_end else None
        if next_before == before:
            raise ProtocolViolation("the archive repeats a page, and never ends")
        before = next_before
    return found[-count:]


class _Answer(NamedTuple):
    """What an archive has answered to a query, still to be read; the other fields are those of its page.

    own: whose archive; session_archive: that of our account.
    """

    results: list[Element]
    query_id: str
    own: Jid
    session_archive: Jid
    last: str | None
    is_end: bool
    total: int | None

    def page(self) -> Page:
        """Read the messages."""
        messages = _archived(self.results, self.own, self.session_archive, self.query_id)
        return Page(messages, self.last, self.is_end, self.total)


async def _ask(session: SessionPort, wanted: Wanted, position: Xml | None, most: int) -> _Answer:
    """Ask for a page. Raises ProtocolViolation for an answer that is none."""
    query_id = new_id()
    paging = element("set", {"xmlns": ns.RSM}, element("max", None, str(most)), position)
    query = element("query", {"xmlns": ns.MAM, "queryid": query_id}, _form(wanted), paging)
    with session.collecting(query_id) as results:
        answer = tree(await session.request("set", wanted.room, query))
    fin = answer.find(f"{{{ns.MAM}}}fin")
    if fin is None:
        raise ProtocolViolation("the archive answered without an end of the page")
    own = session.jid if wanted.room is None else wanted.room
    last, total = (fin.findtext(f"{{{ns.RSM}}}set/{{{ns.RSM}}}{name}") for name in ("last", "count"))
    is_end = fin.get("complete") in ("true", "1")
    if last is None and not is_end:  # §4.3: not the end, but a database that failed, as ejabberd tells it
        raise ProtocolViolation("the archive gave nothing, and does not say that there is nothing", hint="try again")
    return _Answer(results, query_id, own, session.jid.bare, last, is_end, number(total))


def _form(wanted: Wanted) -> Xml | None:
    facts = {
        "with": None if wanted.partner is None else str(wanted.partner),
        "start": None if wanted.since is None else rfc3339(wanted.since),
        # Whole to its end: servers keep microseconds (ejabberd), and what we print of a moment ends before them.
        "end": None if wanted.until is None else rfc3339(wanted.until).replace("Z", "999Z"),
    }
    fields = [element("field", {"var": name}, element("value", None, value)) for name, value in facts.items() if value]
    if not fields:
        return None
    kind = element("field", {"var": "FORM_TYPE", "type": "hidden"}, element("value", None, ns.MAM))
    return element("x", {"xmlns": ns.DATA_FORMS, "type": "submit"}, kind, *fields)


def as_sent(one: Archived, by: Jid, delayed_by: str | None = None) -> Element | None:
    """As it would have been delivered: with its id in the archive of `by` (XEP-0359) and its stamp (XEP-0203).

    delayed_by: who stamps it, by default the server. None for an empty one.
    """
    if not one.xml.endswith(END):
        return None
    more = ""
    if stanza_id(one.xml, str(by)) != one.archive_id:
        more = element("stanza-id", {"xmlns": ns.SID, "by": str(by), "id": one.archive_id})
    if one.moment is not None:
        facts = {"xmlns": ns.DELAY, "from": delayed_by or by.domainpart, "stamp": rfc3339(one.moment)}
        more += element("delay", facts)
    (stanza,) = StanzaReader(Limits().arriving).feed((one.xml.removesuffix(END) + more + END).encode())
    return stanza


def _archived(stanzas: list[Element], own: Jid, session_archive: Jid, query_id: str) -> list[Archived]:
    """The messages in the results, without what is not from the archive that was asked (§4.2)."""
    # A room's archive answers as the room, never as somebody in it; only our own may leave its address out.
    believed = [one for one in stanzas if _is(one.sender or str(session_archive), own.bare)]
    found = [(one, _cut_out(one.xml, query_id)) for one in believed]
    others = iter(trees([one for one, cut in found if cut is None]) if any(cut is None for _, cut in found) else ())
    both = [_parsed(one, next(others), query_id) if cut is None else cut for one, cut in found]
    messages = [one for one in both if one is not None]
    # Our own server may tell of everybody; a room has only heard who was in it, and could invent the others.
    return messages if own.bare == session_archive.bare else [one for one in messages if _is_of(one.xml, own.bare)]


def _is_of(xml: str, room: Jid) -> bool:
    return _is(tree(xml).get("from", "").partition("/")[0], room)


def _parsed(stanza: Element, root: Tree, query_id: str) -> Archived | None:
    """The message in a result; None for a result of another query, or without one message."""
    result = root.find(RESULT)
    forwarded = None if result is None else result.find(FORWARDED)
    if result is None or forwarded is None or result.get("queryid") != query_id:
        return None
    if len(forwarded.findall(MESSAGE)) != 1:
        return None
    (xml,) = (one.xml for one in below(stanza, 3) if one.name == MESSAGE)  # what stands in a message is deeper
    delay = forwarded.find(DELAY)
    return Archived(result.get("id", ""), xml, _moment(None if delay is None else delay.get("stamp")))


def _cut_out(xml: str, query_id: str) -> Archived | None:
    """The same for a result that is written as servers do, without parsing it; None for another one.

    A `<` of a text or an attribute is always escaped, so tags are where they seem to be; and with two messages in all,
    and nothing that could hide a tag, the one in the result begins and ends where the other does not.
    """
    found = AS_WRITTEN.fullmatch(xml)
    if found is None or xml.count("<message") != 2 or xml.count("</message") != 2 or "<!" in xml or "<?" in xml:
        return None
    archive_id, asked, is_result, stamp, _, is_delay, message, later, _, is_later_delay = found.groups()
    if asked != query_id or not is_result or (stamp and not is_delay) or (later and not is_later_delay):
        return None
    return Archived(archive_id or "", message, _moment(stamp if is_delay else later))


def _is(sender: str, jid: Jid) -> bool:
    try:
        return sender == str(jid) or Jid.parse(sender) == jid
    except MalformedJid:
        return False


def _moment(stamp: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(stamp or "")
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None  # a stamp that no calendar knows; anybody can send one to a room
