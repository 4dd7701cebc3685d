"""XPath 1.0 on stanzas, by lxml, which is loaded when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xmppsh import ns
from xmppsh.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

# Each namespace of ours may be used under its short name: muc_user:x, carbons:sent, mam:result.
PREFIXES = {name.lower(): value for name, value in vars(ns).items() if name.isupper() and isinstance(value, str)}


def compiled(expression: str) -> Callable[[str], list[str]]:
    """A function that gives what an expression finds in a stanza's XML: nodes as XML, else text.

    Elements of the stanza's own namespace have no prefix: `//body`. Raises UsageError for what is no XPath.
    """
    from lxml import etree

    try:
        find = etree.XPath(expression, namespaces=PREFIXES)
    except etree.XPathError as error:
        raise UsageError(f"--xpath: {expression!r}: {str(error).lower()}", hint="--xpath '//body'") from error

    def found(xml: str) -> list[str]:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
        root = etree.fromstring(f"<x xmlns='{ns.CLIENT}'>{xml}</x>".encode(), parser)[0]
        for one in root.iter(f"{{{ns.CLIENT}}}*"):
            one.tag = etree.QName(one).localname
        try:
            result = find(root)
        except etree.XPathError as error:
            raise UsageError(f"--xpath: {expression!r}: {str(error).lower()}") from error
        if isinstance(result, list):
            return [_text(one) for one in result]
        if isinstance(result, bool):
            return ["true"] if result else []
        return [str(result)] if result else []

    return found


def _text(node: Any) -> str:
    from lxml import etree

    return str(node) if isinstance(node, str) else etree.tostring(node, encoding="unicode", with_tail=False)
