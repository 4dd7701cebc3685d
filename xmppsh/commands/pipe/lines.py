"""What `pipe` makes of the lines of its input: messages, by their text or by a JSON object."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from xmppsh.commands.send.bodies import BOM
from xmppsh.errors import DataError, XmlError, XmppshError
from xmppsh.model import Element
from xmppsh.registry.kinds import parse_address
from xmppsh.xmlio.plain import Plain
from xmppsh.xmlio.reader import END, read_element
from xmppsh.xmlio.stanzas import MESSAGE_TYPES, Message, with_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from xmppsh.model import Jid
    from xmppsh.xmlio.splitter import Limits

TEXTS = ("body", "subject", "thread", "lang")  # of a JSON object, each a string
FIELDS = frozenset({"xml", "to", "type", "id", *TEXTS})
EVERYWHERE_BYTES = 10_000  # a server takes a stanza of this size (RFC 6120 §13.12)
MAX_TOGETHER = 4000  # messages; a chunk of the input may have very many lines


class Made(NamedTuple):
    """A message that may leave together with others: without its end tag, and in one line. has_id: by the input."""

    xml: bytes
    has_id: bool


class Lines:
    """Makes messages of lines. is_json: each line is an object; else it is a body.

    to: for those that have no recipient of their own. skip: is told of a bad one, and the others are read; None: the
    first one is raised. current: the line of the stanza that was given last, where that was one by itself.
    """

    def __init__(
        self, *, is_json: bool, to: Jid | None, limits: Limits, skip: Callable[[XmppshError], None] | None
    ) -> None:
        self._is_json, self._limits, self._skip = is_json, limits, skip
        self._to = "" if to is None else str(to)
        self._small_bytes = min(EVERYWHERE_BYTES, limits.stanza_bytes)
        self._number = 0  # of the line that was read last
        self.current = b""

    def read(self, lines: Sequence[bytes]) -> Iterator[Element | Plain]:
        """The next lines of the input; raises XmlError with the place of a bad one, after what came before it."""
        together: list[tuple[int, Made]] = []
        for number, line in enumerate(lines, self._number + 1):
            self._number = number
            if not line.strip():
                continue
            made = self._made(line.removesuffix(b"\r"), number)
            if isinstance(made, Made):
                together.append((number, made))
                if len(together) < MAX_TOGETHER:
                    continue
            if together:
                yield _plain(together)
                together = []
            if isinstance(made, Element):
                self.current = line.removesuffix(b"\r")
                yield made.at(number, made.column)
            elif isinstance(made, XmlError):
                if self._skip is None:
                    raise made
                self._skip(made)
        if together:
            yield _plain(together)

    def _made(self, line: bytes, number: int) -> Made | Element | XmlError:
        """The message of a line; a stanza by itself where it is large, or was given as XML; or what is wrong."""
        try:
            text = line.decode("utf-8")
            if number == 1:
                text = text.removeprefix(BOM)
            return self._of_json(text) if self._is_json else self._small(with_body(text, self._to))
        except UnicodeDecodeError as error:
            reason, column = "it is not UTF-8", error.start + 1
        except json.JSONDecodeError as error:
            reason = error.msg.lower().removesuffix(" at")  # the place stands before it
            reason, column = f"it is not JSON: {reason}", error.colno
        except (ValueError, RecursionError):  # a number of very many digits; very many brackets
            reason, column = "it is no JSON that can be read: a number is too long, or it is nested too deep", 1
        except XmppshError as error:
            reason, column = error.reason if isinstance(error, XmlError) else str(error), 1  # not its place in a string
        return XmlError(reason, condition="", line=number, column=column)

    def _small(self, message: str, *, has_id: bool = False) -> Made | Element:
        """To leave together with others, if it is small enough for that. A newline in it would count as a line of the
        input there, and is written as a reference."""
        xml = message.replace("\n", "&#10;").encode()
        if len(xml) > self._small_bytes or not xml.endswith(END):
            return read_element(message, self._limits)
        return Made(xml.removesuffix(END), has_id)

    def _of_json(self, text: str) -> Made | Element:
        """`{"to", "body", "type", "subject", "thread", "lang", "id"}`, or `{"xml": "<message/>"}`."""
        given = json.loads(text)
        if not isinstance(given, dict):
            raise DataError("a JSON object is wanted")
        if not given.keys() <= FIELDS:
            raise DataError(f"{min(given.keys() - FIELDS)!r} is not a field of a message")
        if wrong := [name for name, value in given.items() if value is not None and not isinstance(value, str)]:
            raise DataError(f"{wrong[0]!r} is not text")
        if given.get("xml") is not None:
            if beside := sorted(name for name, value in given.items() if value is not None and name != "xml"):
                raise DataError(f"{beside[0]!r} stands beside 'xml', which is the whole stanza")
            stanza = read_element(given["xml"], self._limits)
            if not stanza.is_stanza:
                raise DataError(f"<{stanza.kind}> is not a stanza")
            return stanza
        if (stanza_type := given.get("type") or "chat") not in MESSAGE_TYPES:
            raise DataError(f"{stanza_type!r} is not a type of a message", hint=", ".join(MESSAGE_TYPES))
        to = _address(given["to"]) if given.get("to") else self._to
        if not to:
            raise DataError("it has no recipient (to)", hint="--to JID")
        return self._of_object(given, to, stanza_type)

    def _of_object(self, given: dict[str, Any], to: str, stanza_type: str) -> Made | Element:
        stanza_id, body, lang = given.get("id") or None, given.get("body"), given.get("lang")
        subject, thread = given.get("subject"), given.get("thread")
        if body is subject is None:
            raise DataError("there is nothing to send: it has neither body nor subject")
        if body is not None and subject is thread is None:
            message = with_body(body, to, stanza_type, lang, stanza_id)
        else:
            message = Message(body, stanza_type, subject, thread, lang).bare(to, stanza_id)
        return self._small(message, has_id=stanza_id is not None)


def _plain(together: list[tuple[int, Made]]) -> Plain:
    """Messages, each in its line of the input, so that the lines between them stand as white space."""
    first = before = together[0][0]
    messages = []
    for number, made in together:
        messages.append(b"\n" * (number - before) + made.xml)
        before = number
    return Plain(messages, (first, 1), [made.has_id for _, made in together])


@lru_cache(maxsize=1000)
def _address(text: str) -> str:
    return str(parse_address(text))
