"""The only way to make XML: everything that is not `Xml` already is escaped, or refused.

`element("body", {}, "a < b")` gives `Xml("<body>a &lt; b</body>")`. No other file has format strings with tags.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from xmppsh.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xmppsh.model import Element

# XML 1.0 §2.2: what may not stand in a document in any form, not even as a character reference.
NOT_XML = "[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]"
_TAG_NAME = r"<[^\s/>]+"
_ATTRIBUTE = r"""\s+([^\s=]+)\s*=\s*(?:"[^"]*"|'[^']*')"""


class Xml(str):
    """Text that is XML already; only this file and the reader make it."""

    __slots__ = ()


def escape(value: str) -> Xml:
    """Escape text for element content and attribute values; raises DataError on characters outside XML 1.0."""
    # What can be printed is fine: that spares most runs the pattern, which takes longer to compile than to use.
    wrong = None if value.isprintable() else re.search(NOT_XML, value)
    if wrong is not None and "\udc80" <= wrong.group() <= "\udcff":  # how Python reads such bytes of a command line
        raise DataError(f"the text is not UTF-8 (character {wrong.start() + 1})")
    if wrong is not None:
        raise DataError(
            f"the text holds U+{ord(wrong.group()):04X} at character {wrong.start() + 1}, which XML cannot carry",
            hint="remove control characters before sending",
        )
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A literal CR would reach the other side as LF (XML 1.0 §2.11); a reference keeps it.
    return Xml(value.replace('"', "&quot;").replace("'", "&apos;").replace("\r", "&#13;"))


def attribute_xml(name: str, value: str) -> str:
    """An attribute with a space before it, its value escaped."""
    # Literal tabs and newlines in attributes would be read as spaces (XML 1.0 §3.3.3).
    return f' {name}="{escape(value)}"'.replace("\t", "&#9;").replace("\n", "&#10;")


def element(name: str, attributes: Mapping[str, str | None] | None = None, *children: str | Xml | None) -> Xml:
    """Make an element; attributes and children that are None are left out, plain text is escaped."""
    return Xml(_element(name, attributes or {}, children, close=True))


def start_tag(name: str, attributes: Mapping[str, str | None]) -> Xml:
    """Make a start tag alone: the stream's header."""
    return Xml(_element(name, attributes, (), close=False))


def _element(
    name: str, attributes: Mapping[str, str | None], children: tuple[str | Xml | None, ...], *, close: bool
) -> str:
    for label in (name, *attributes):
        if not _is_name(label):
            raise ValueError(f"{label!r} is not an XML name")
    tag = name + "".join(attribute_xml(key, value) for key, value in attributes.items() if value is not None)
    if not close:
        return f"<{tag}>"
    content = "".join(child if isinstance(child, Xml) else escape(child) for child in children if child is not None)
    return f"<{tag}>{content}</{name}>" if content else f"<{tag}/>"


@lru_cache(256)
def _is_name(label: str) -> bool:
    """Is it a name in ASCII, with a prefix or without (XML names §4)?"""
    prefix, colon, local = label.partition(":")
    parts = (prefix, local) if colon else (label,)
    return label.isascii() and all(
        part[:1] not in (".", "-") and part.replace(".", "_").replace("-", "_").isidentifier() for part in parts
    )


def verbatim(stanza: Element) -> Xml:
    """The XML of an element that the reader has checked, as it came."""
    return Xml(stanza.xml)


def with_id(stanza: Element, stanza_id: str) -> Xml:
    """The element's XML with this `id` attribute, whether it had one or not."""
    name = re.match(_TAG_NAME, stanza.xml)
    assert name is not None
    kept, end, pattern = [], name.end(), re.compile(_ATTRIBUTE)
    while (attribute := pattern.match(stanza.xml, end)) is not None:
        end = attribute.end()
        if attribute.group(1) != "id":
            kept.append(attribute.group())
    return Xml(name.group() + attribute_xml("id", stanza_id) + "".join(kept) + stanza.xml[end:])


def with_child(parent: Xml, child: Xml) -> Xml:
    """The element with one more child, after the others."""
    if parent.endswith("/>"):
        name = re.match(_TAG_NAME, parent)
        assert name is not None
        return Xml(f"{parent[:-2]}>{child}</{name.group()[1:]}>")
    end = parent.rindex("</")
    return Xml(parent[:end] + child + parent[end:])
