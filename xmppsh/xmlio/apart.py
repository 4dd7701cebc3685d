"""A process that checks long input beside the one that sends it, on a core of its own: `PlainReader`, and nothing else.

It reads requests from its stdin and writes answers to its stdout, and ends when its stdin does: with whoever started it
(commands/pipe/apart.py). It has no environment, no socket and no file, and knows nothing but the input.

A request is one letter, a length and so many bytes; the first one holds what `PlainReader` is made of. An answer is a
length and what was read. A stanza crosses as a tuple, since `marshal` knows the types of the language alone, and makes
nothing else of what it reads.
"""

from __future__ import annotations

import marshal
import os
import signal
import struct
from contextlib import suppress
from dataclasses import astuple
from typing import TYPE_CHECKING, BinaryIO

from xmppsh.errors import XmlError
from xmppsh.model import Element
from xmppsh.xmlio.plain import Plain, PlainReader
from xmppsh.xmlio.splitter import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xmppsh.xmlio.reader import Place

FEED, LAST, RELEASE = b"F", b"L", b"R"  # input, the end of it, nothing more comes for a while
REQUEST, ANSWER = struct.Struct("!cI"), struct.Struct("!I")
# Whoever stops the program by them stops it alone: what it has read is still sent.
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

Read = tuple[list[Plain | Element], XmlError | None]  # what PlainReader gives


def request(kind: bytes, data: bytes) -> list[bytes]:
    """A request, in pieces."""
    return [REQUEST.pack(kind, len(data)), data]


def made_of(limits: Limits, root: str | None, place: Place) -> bytes:
    """What the first request holds; place: where in the input the next one begins."""
    return marshal.dumps((astuple(limits), root, place))


def answer(found: Sequence[Plain | Element], error: XmlError | None) -> bytes:
    """An answer, with its length."""
    items = [
        (item.messages, item.place, () if item.have_ids else item.starts)
        if isinstance(item, Plain)
        else (item.name, item.attributes, item.xml, item.line, item.column)
        for item in found
    ]
    fault = None if error is None else (error.reason, error.condition, error.line, error.column)
    data = marshal.dumps((items, fault))
    return ANSWER.pack(len(data)) + data


def answered(data: bytes | memoryview) -> Read:
    """What an answer says, without its length."""
    items, fault = marshal.loads(data)
    found = [Plain(*item) if len(item) == len(Plain._fields) else Element(*item) for item in items]
    return found, None if fault is None else _fault(*fault)


def _fault(reason: str, condition: str | None, line: int | None, column: int | None) -> XmlError:
    return XmlError(reason, condition=condition or "", line=line, column=column)


def _taken(requests: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next request; None at the end, also in the middle of one."""
    head = requests.read(REQUEST.size)
    if len(head) < REQUEST.size:
        return None
    kind, length = REQUEST.unpack(head)
    data = requests.read(length)
    return (kind, data) if len(data) == length else None


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def main() -> None:
    """The process: says by an empty answer that it is there, then answers requests until they end."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    with suppress(BrokenPipeError), open(0, "rb", closefd=False) as requests:  # whoever asked has gone
        _write(answer([], None))
        if (first := _taken(requests)) is not None:
            limits, root, place = marshal.loads(first[1])
            reader = PlainReader(Limits(*limits), root=root, place=place)
            while (taken := _taken(requests)) is not None:
                _write(answer(*_read(reader, *taken)))


def _read(reader: PlainReader, kind: bytes, data: bytes) -> Read:
    if kind != RELEASE:
        return reader.feed(data, final=kind == LAST)
    return reader.release() if reader.holds else ([], None)
