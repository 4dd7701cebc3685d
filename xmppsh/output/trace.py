"""`--trace`: the XML of both directions, with passwords, SASL payloads and tokens masked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import XmppshError
from xmppsh.later import pattern
from xmppsh.xmlio.build import start_tag
from xmppsh.xmlio.reader import Footer, Header

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.model import Element

# Elements whose whole content is secret: SASL (RFC 6120 §6, XEP-0388), passwords (XEP-0045, 0077), tokens and the
# headers of upload slots (XEP-0363).
_SECRET_ELEMENT = pattern(
    r"<((?:\w+:)?(?:auth|response|challenge|success|password|token|initial-response|additional-data|header))\b"
    r"([^>]*?)(?<!/)>.*?</\1\s*>",
    re.DOTALL,
)
_SECRET_FIELD = pattern(
    r"""(<(?:\w+:)?field\b[^>]*\bvar\s*=\s*["'][^"']*(?:password|secret|token)[^"']*["'][^>]*?(?<!/)>).*?(</(?:\w+:)?field\s*>)""",
    re.DOTALL,
)
# Whoever knows the id of a session can resume it, given the account (XEP-0198 §5).
_SESSION_ID = pattern(r"""(<(?:enabled|resume|resumed)\b[^>]*?\s(?:id|previd)\s*=\s*)("[^"]*"|'[^']*')""")
_SECRET_ATTRIBUTE = pattern(r"""(\s(?:password|token|sm-id)\s*=\s*)("[^"]*"|'[^']*')""")


def masked(xml: str) -> str:
    """The same XML with what is secret replaced by `***`."""
    xml = _SESSION_ID().sub(r'\1"***"', xml)
    xml = _SECRET_ELEMENT().sub(r"<\1\2>***</\1>", xml)
    return _SECRET_ATTRIBUTE().sub(r'\1"***"', _SECRET_FIELD().sub(r"\1***\2", xml))


class Trace:
    """Writes one line for each piece that is sent or received.

    What cannot be written ends the trace, and nothing else: a stream whose trace fails brings its acknowledgements all
    the same. on_failure: is told of it at once.
    """

    def __init__(
        self, write: Callable[[str], object], on_failure: Callable[[XmppshError], object] = lambda _: None
    ) -> None:
        self._to, self._on_failure = write, on_failure
        self._failure: XmppshError | None = None

    @property
    def failure(self) -> XmppshError | None:
        """What has ended it."""
        return self._failure

    def _write(self, line: str) -> None:
        if self._failure is not None:
            return
        try:
            self._to(line)
        except XmppshError as error:
            self._failure = error
            self._on_failure(error)

    def sent(self, data: bytes, *, secret: bool) -> None:
        """Our bytes, before TLS. secret: show no text at all."""
        xml = data.decode("utf-8", "replace")
        # The server chooses what the fields of a registration are called, also the one for the password.
        secret |= f"{ns.REGISTER}'" in xml or f'{ns.REGISTER}"' in xml
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
