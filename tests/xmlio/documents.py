"""What the reader's tests share: documents, a strategy that writes stanzas, and the infoset of an element."""

from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree.ElementTree import Element as Tree
from xml.etree.ElementTree import fromstring

from hypothesis import strategies as st

from xmppsh.xmlio.plain import FEWEST
from xmppsh.xmlio.reader import Limits, StanzaReader, StreamReader

ROOT = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
    "xmlns:r='urn:root' id='1' version='1.0'>"
)
FOOTER = "</stream:stream>"

STANZAS = {
    "empty element": "<message/>",
    "empty element with a space": "<message />",
    "start and end": "<message></message>",
    "end tag with spaces": "<message><body>x</body \n></message\t >",
    "text": "<message><body>But soft!</body></message>",
    "nested alike": "<message><message><message/></message><message/></message>",
    "slash at the end of a value": "<message a='/'>x</message>",
    "greater-than in a value": "<message a='>' b=\"/>\"><body c='>'>x</body></message>",
    "quotes in a value": "<message a='\"' b=\"'\" c='&quot;&apos;'/>",
    "an end tag in a value": "<message a='&lt;/message>'>x</message>",
    "greater-than in text": "<message><body>a > b ]] ></body></message>",
    "cdata": "<message><body><![CDATA[</message><presence/>]]></body></message>",
    "empty cdata": "<message><body><![CDATA[]]></body></message>",
    "cdata around brackets": "<message><body>a<![CDATA[]]]]><![CDATA[>]]>b</body></message>",
    "references": "<message><body>&lt;&gt;&amp;&quot;&apos;&#65;&#x1F600;</body></message>",
    "two bytes": "<message to='jos\u00e9@example.org'><body>\u00e9\u00df\u03c0</body></message>",
    "three and four bytes": "<message><body>\u2603\U0001f600\U0010fffd</body></message>",
    "name of several bytes": "<message><\u00e9l\u00e9ment \u00e0='\u00fc'/></message>",
    "prefix of the stanza": "<message xmlns:s='urn:stanza' s:a='1'><s:x/></message>",
    "prefix of a child": "<message><c:x xmlns:c='urn:child' c:a='1'><c:y/></c:x></message>",
    "prefix of the root": "<message r:a='1'><r:x r:b='2'/></message>",
    "prefix of the root declared again": "<message xmlns:r='urn:other'><r:x/></message>",
    "prefix of the root declared again inside": "<message><r:x xmlns:r='urn:other'/><r:x/></message>",
    "default namespace of a child": "<iq type='get' id='1'><query xmlns='jabber:iq:version'><a/></query></iq>",
    "no namespace": "<message><x xmlns=''><y/></x></message>",
    "its own namespace": "<message xmlns='jabber:client'/>",
    "white space inside": "<message\n\tto = 'a'\n>\n <body > x\n</body >\n</message >",
    "xml:lang": "<message xml:lang='en'><body xml:lang='de'>x</body></message>",
}
BETWEEN = ("", "\n", " \t\r\n ")


def cut(document: bytes, size: int) -> list[bytes]:
    """A document in pieces of so many bytes."""
    return [document[at : at + size] for at in range(0, len(document), size)]


def compositions(plain: Sequence[str], odd: Sequence[str], wrong: Sequence[str]) -> st.SearchStrategy[str]:
    """Documents of stanzas: `plain` ones in runs, `odd` ones between them, and at times one that is `wrong`."""
    runs = st.lists(st.sampled_from(plain), min_size=1, max_size=2 * FEWEST)
    blocks = st.lists(runs | st.sampled_from(odd).map(lambda one: [one]), max_size=6)
    between = st.sampled_from(["", "\n", " \r\n\t"])
    return st.builds(_composed, blocks, st.none() | st.sampled_from(wrong), between)


def _composed(blocks: list[list[str]], wrong: str | None, between: str) -> str:
    stanzas = [stanza for block in blocks for stanza in block]
    middle = len(stanzas) // 2
    return between.join([*stanzas[:middle], *([] if wrong is None else [wrong]), *stanzas[middle:]])


def stream_of(*stanzas: str, between: str = "") -> bytes:
    """A whole stream of the server's with these stanzas."""
    return (ROOT + "".join(between + stanza for stanza in stanzas) + between + FOOTER).encode()


def infoset(tree: Tree) -> tuple[Any, ...]:
    """What an XML parser tells of an element: names, attributes, text and children, but no prefixes."""
    children = [(infoset(child), child.tail or "") for child in tree]
    return tree.tag, dict(tree.attrib), tree.text or "", children


def alone(xml: str) -> tuple[Any, ...]:
    """The infoset of an element's own XML, where `jabber:client` alone is known."""
    return infoset(fromstring(f"<x xmlns='jabber:client'>{xml}</x>")[0])


def read_stream(pieces: Iterable[bytes], limits: Limits | None = None) -> tuple[list[Any], tuple[Any, ...] | None]:
    """Feed a StreamReader piece by piece; the items, and the fault that ended it."""
    reader = StreamReader(limits)
    items: list[Any] = []
    for piece in pieces:
        found, error = reader.feed_until_error(piece)
        items += found
        if error is not None:
            return items, (error.condition, error.line, error.column)
    return items, None


def read_stanzas(pieces: Iterable[bytes], **options: Any) -> tuple[list[Any], tuple[Any, ...] | None]:
    """Feed a StanzaReader piece by piece up to its end; the stanzas, and the fault that ended it."""
    reader = StanzaReader(**options)
    stanzas: list[Any] = []
    for piece, final in [*((piece, False) for piece in pieces), (b"", True)]:
        found, error = reader.feed_until_error(piece, final=final)
        stanzas += found
        if error is not None:
            return stanzas, (error.condition, error.line, error.column)
    return stanzas, None


def splits(document: bytes) -> Iterable[list[bytes]]:
    """The document cut in two at every point, and byte by byte."""
    yield from ([document[:point], document[point:]] for point in range(len(document) + 1))
    yield [document[point : point + 1] for point in range(len(document))]


# ── Stanzas that nobody thought of ──────────────────────────────────────────────────────────────────────────────

_TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\r", exclude_categories=("Cs", "Cc"))
    | st.sampled_from("\t\n>]'\""),
    max_size=8,
)
_NAMES = st.sampled_from(["a", "body", "x-y", "n.1", "_", "\u00e9t\u00e9", "message"])


def _escaped(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "]]&gt;")
    return "".join(character if character.isprintable() or character in "\t\n" else "" for character in text)


@st.composite
def _attributes(draw: st.DrawFn, prefixes: frozenset[str]) -> str:
    names = draw(st.lists(_NAMES, max_size=3, unique=True))
    written = []
    for name in names:
        quote = draw(st.sampled_from("'\""))
        value = _escaped(draw(_TEXT)).replace(quote, "&#39;" if quote == "'" else "&#34;")
        prefix = draw(st.sampled_from(["", *(f"{known}:" for known in sorted(prefixes))]))
        equals = draw(st.sampled_from(["=", " = ", "\n="]))
        written.append(f"{prefix}{name}{equals}{quote}{value}{quote}")
    return "".join(draw(st.sampled_from([" ", "\n", " \t"])) + attribute for attribute in written)


@st.composite
def elements(draw: st.DrawFn, name: str | None = None, known: frozenset[str] = frozenset("r"), depth: int = 3) -> str:
    """An element of any shape; `known` are the prefixes declared around it."""
    declared = draw(st.sets(st.sampled_from(["r", "s", "c", "xmlns"]), max_size=2))
    if name is not None:
        declared.discard("xmlns")
    prefixes = known | (declared - {"xmlns"})
    declarations = "".join(
        f" xmlns{'' if prefix == 'xmlns' else ':' + prefix}='urn:{draw(st.sampled_from('123'))}'"
        for prefix in sorted(declared)
    )
    if name is None:
        prefix = draw(st.sampled_from(["", *(f"{one}:" for one in sorted(prefixes))]))
        name = prefix + draw(_NAMES)
    start = f"<{name}{declarations}{draw(_attributes(prefixes))}{draw(st.sampled_from(['', ' ', chr(10)]))}"
    if draw(st.booleans()):
        return start + "/>"
    leaf = (
        _TEXT.map(_escaped)
        | _TEXT.map(lambda text: f"<![CDATA[{text.replace(']]>', '')}]]>")
        | st.sampled_from(["&lt;", "&#65;", "&#x1F600;", "&amp;", "&#10;"])
    )
    inner = leaf | elements(known=prefixes, depth=depth - 1) if depth else leaf
    content = "".join(draw(st.lists(inner, max_size=3)))
    return f"{start}>{content}</{name}{draw(st.sampled_from(['', ' ', chr(10)]))}>"


def stanzas() -> st.SearchStrategy[str]:
    """A message, presence or iq of any shape, in `jabber:client`."""
    return st.sampled_from(["message", "presence", "iq"]).flatmap(elements)
