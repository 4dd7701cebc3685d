"""Messages that came together, as records and as lines of JSON: what `record` and `dumps` make, for less work.

What stands in most messages, a body and empty extension elements, is read without parsing it again: the reader has
checked that it is well-formed. All the others are parsed in one piece.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from xmppsh.output import safe
from xmppsh.output.ndjson import dumps
from xmppsh.output.records import DELAYS, ENCRYPTED, ENCRYPTION, OOB, OWN, MessageRecord, message_record
from xmppsh.texts import rfc3339
from xmppsh.xmlio.reader import trees

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from xmppsh.xmlio.reader import Start

Line = TypeVar("Line")
Starts: TypeAlias = "Sequence[Start | None]"
BODY, BODY_END = "><body>", "</body>"  # after the start tag of the message
_ATTRIBUTE = r""" (?!xmlns=)[a-z:_-]++=(?:'[^'<>&\t\r\n]*+'|"[^"<>&\t\r\n]*+")"""
_EMPTY = re.compile(
    rf"""<([a-z][a-z0-9_.-]*+)(?: xmlns=(?:'([^'<>&\t\r\n]*)'|"([^"<>&\t\r\n]*)")|{_ATTRIBUTE})*+ ?/>"""
)
# Extensions that say more than that they are there.
_TELLING = frozenset({name[1:].partition("}")[0] for name in (*DELAYS, ENCRYPTION, OOB, OWN)}) | ENCRYPTED
_PLACES = re.compile(r'"id": "@id@", "body": "@body@"|"stamp": "@stamp@"')


Words: TypeAlias = "tuple[str, tuple[str, ...]]"  # the text of a message, and the names of its extension elements


def words(content: str) -> Words | None:
    """What a message says, by its content (Run.starts); None where it has to be parsed."""
    before, begins, rest = content.partition(BODY)
    if not begins or before[:1] not in (">", ""):
        return None
    body, _, rest = rest.partition(BODY_END)
    payloads = _extensions(rest) if rest else ()
    if payloads is None or "<" in body or "\r" in body or "&#" in body:
        return None
    if before:  # after the `>` of the start tag; the partition has taken that of the last element
        ahead = _extensions(f"{before[1:]}>")
        if ahead is None:
            return None
        payloads = ahead + payloads
    if "&" in body:
        body = body.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&apos;", "'")
        body = body.replace("&amp;", "&")
    return body, payloads


def _said(starts: Starts) -> list[Words | None]:
    """What each of these messages says: by one split where all of them have a body and nothing else."""
    contents = [start[-1] for start in starts if start is not None]
    text = "\0".join(contents)  # no XML has it
    bodies = text[len(BODY) : -len(BODY_END)].split(f"{BODY_END}\0{BODY}")
    count = len(starts)
    is_alike = len(contents) == len(bodies) == count and text.startswith(BODY) and text.endswith(BODY_END)
    if is_alike and text.count("<") == 2 * count and "&" not in text and "\r" not in text:
        return [(body, ()) for body in bodies]
    return [None if start is None else words(start[-1]) for start in starts]


def _extensions(content: str) -> tuple[str, ...] | None:
    """The names of empty elements, each with a namespace of its own that tells nothing else; None for all the rest."""
    at, found = 0, []
    while at < len(content):
        element = _EMPTY.match(content, at)
        if element is None:
            return None
        namespace = element[2] or element[3]
        if not namespace or namespace in _TELLING:
            return None
        found.append(f"{{{namespace}}}{element[1]}")
        at = element.end()
    return tuple(found)


def records(messages: Sequence[str], starts: Starts, now: Callable[[], datetime], own: str) -> list[MessageRecord]:
    """The records of messages; starts: what is known of each start tag; own: our bare address."""
    stamp = rfc3339(now())
    found: list[MessageRecord | None] = []
    for xml, start, said in zip(messages, starts, _said(starts), strict=True):
        found.append(None if start is None or said is None else _record(*start[:-1], said, stamp, xml))
    return _completed(found, messages, now, own)


def lines(
    messages: Sequence[str],
    starts: Starts,
    now: Callable[[], datetime],
    own: str,
    moments: Sequence[datetime] | None = None,
) -> list[str | MessageRecord]:
    """The same as JSON, without newlines; a record where the message had to be parsed. moments: when each came, where
    they did not come now."""
    stamp = f'"stamp": {encode_basestring(rfc3339(now()))}'
    found: list[str | None] = []
    known = head = middle = tail = None
    for at, (start, said) in enumerate(zip(starts, _said(starts), strict=True)):
        if start is None or said is None:
            found.append(None)
            continue
        sender, to, stanza_type, stanza_id, language, _ = start
        body, payloads = said
        if (around := (sender, to, stanza_type, language, payloads)) != known:
            known, (head, middle, tail) = around, _around(*around)
        if moments is not None:
            stamp = f'"stamp": "{rfc3339(moments[at])}"'
        quoted_id = "null" if stanza_id is None else encode_basestring(stanza_id)
        found.append(f'{head}"id": {quoted_id}, "body": {encode_basestring(body)}{middle}{stamp}{tail}')
    if not _is_harmless("".join(filter(None, found))):
        found = [one and safe.escaped_for_json(one) for one in found]
    return _completed(found, messages, now, own, moments)


def _is_harmless(text: str) -> bool:
    """Has it nothing that a terminal might obey? JSON has escaped all other controls of ASCII."""
    return text.isascii() and "\x7f" not in text


def _completed(
    found: Sequence[Line | None],
    messages: Sequence[str],
    now: Callable[[], datetime],
    own: str,
    moments: Sequence[datetime] | None = None,
) -> list[Line | MessageRecord]:
    """Parse what is missing, in one piece."""
    missing = [at for at, one in enumerate(found) if one is None]
    parsed = iter(trees([messages[at] for at in missing]) if missing else ())

    def parse(at: int) -> MessageRecord:
        came = now if moments is None else partial(moments.__getitem__, at)
        return message_record(next(parsed), messages[at], came, own)

    return [parse(at) if one is None else one for at, one in enumerate(found)]


def _record(
    sender: str | None,
    to: str | None,
    given: str | None,
    stanza_id: str | None,
    language: str | None,
    said: Words,
    stamp: str,
    xml: str,
) -> MessageRecord:
    stanza_type = "normal" if given is None else given  # RFC 6121 §5.2.2
    return MessageRecord(
        from_=sender,
        to=to,
        type=stanza_type,
        id=stanza_id,
        body=said[0],
        subject=None,
        thread=None,
        lang=language,
        stamp=stamp,
        delayed=False,
        carbon=None,
        room=stanza_type == "groupchat",
        encrypted=False,
        oob=(),
        payloads=said[1],
        xml=xml,
    )


@lru_cache(maxsize=1000)
def _around(
    sender: str | None, to: str | None, stanza_type: str | None, language: str | None, payloads: tuple[str, ...]
) -> tuple[str, str, str]:
    """The JSON before the id, between the body and the stamp, and after that: the same for many messages."""
    example = _record(sender, to, stanza_type, "@id@", language, ("@body@", payloads), "@stamp@", "")
    head, middle, tail = _PLACES.split(dumps(example.data()))
    return head, middle, tail
