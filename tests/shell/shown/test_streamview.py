"""The stream for people: indented, coloured, safe, and the same document."""

from xml.etree.ElementTree import canonicalize

from hypothesis import given
from hypothesis import strategies as st

from xmppsh.output.trace import Trace
from xmppsh.shell.shown.look import Palette
from xmppsh.shell.shown.streamview import StreamView, pretty

PLAIN = Palette(colors=False)


def test_an_element_stands_on_a_line_of_its_own_and_text_beside_its_tags() -> None:
    xml = '<message to="a>b"><body>one &amp; two</body><x xmlns="y"><z/></x></message>'
    assert pretty(xml, PLAIN).splitlines() == [
        '<message to="a>b">',
        "  <body>one &amp; two</body>",
        '  <x xmlns="y">',
        "    <z/>",
        "  </x>",
        "</message>",
    ]


def test_what_is_too_long_for_a_row_goes_on_below_its_beginning() -> None:
    xml = '<iq type="result" from="example.net"><query xmlns="jabber:iq:version" id="a-long-one"/></iq>'
    assert pretty(xml, PLAIN, 40).splitlines() == [
        '<iq type="result"',
        '    from="example.net">',
        '  <query xmlns="jabber:iq:version"',
        '      id="a-long-one"/>',
        "</iq>",
    ]


def test_what_a_terminal_might_obey_is_a_reference() -> None:
    assert pretty("<body>a\x9b2J\u202e</body>", PLAIN) == "<body>a&#155;2J&#8238;</body>"
    assert "\x1b" not in pretty("<a b='\u202e'/>", PLAIN)


@given(st.recursive(
    st.text(alphabet="abé &<>\"'").map(lambda text: text.replace("&", "&amp;").replace("<", "&lt;")),
    lambda inner: st.lists(inner.map(lambda text: f"<e a='1'>{text}</e>"), max_size=3).map("".join), max_leaves=8,
))  # fmt: skip
def test_it_is_the_same_document(content: str) -> None:
    xml = f"<root>{content}</root>"
    assert canonicalize(pretty(xml, PLAIN), strip_text=True) == canonicalize(xml, strip_text=True)


def test_it_stands_beside_the_trace_and_shows_nothing_while_it_is_off() -> None:
    traced: list[str] = []
    shown: list[str] = []
    view = StreamView(Trace(traced.append))
    view.sent(b"<r/>", secret=False)
    view.show = shown.append
    view.sent(b"<auth>secret</auth>", secret=True)
    assert traced == ["> <r/>\n", "> <auth>***</auth>\n"]
    assert shown == ["> <auth>***</auth>\n"]
