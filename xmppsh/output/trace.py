"""`--trace`: the XML of both directions, with passwords, SASL payloads and tokens masked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xmppsh.xmlio.build import start_tag
from xmppsh.xmlio.reader import Footer, Header

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.model import Element

_SECRET_TEXT = re.compile(
    r"(<(?:\w+:)?(?:auth|response|challenge|success|password|token|initial-response|additional-data)\b[^>]*?(?<!/)>)[^<]+"
)
_SECRET_ATTRIBUTE = re.compile(r"""(\s(?:password|token)\s*=\s*)("[^"]*"|'[^']*')""")


def masked(xml: str) -> str:
    """The same XML with what is secret replaced by `***`."""
    return _SECRET_ATTRIBUTE.sub(r'\1"***"', _SECRET_TEXT.sub(r"\1***", xml))


class Trace:
    """Writes one line for each piece that is sent or received."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def sent(self, data: bytes, *, secret: bool) -> None:
        """Our bytes, before TLS. secret: show no text at all."""
        xml = data.decode("utf-8", "replace")
        self._write(f"> {re.sub(r'>[^<]+<', '>***<', xml) if secret else masked(xml)}\n")

    def received(self, item: Header | Element | Footer) -> None:
        """One item of the server's stream."""
        match item:
            case Header():
                namespaced = {key: value for key, value in item.attributes.items() if "}" not in key}
                self._write(f"< {start_tag('stream:stream', namespaced)}\n")
            case Footer():
                self._write("< </stream:stream>\n")
            case _:
                self._write(f"< {masked(item.xml)}\n")
