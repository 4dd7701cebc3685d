"""Nothing that a terminal might obey gets through: every code point is tried."""

import json
import sys
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmppsh.output import safe
from xmppsh.output.ndjson import dumps

C0 = {*range(0x20)}
DEL_C1 = {*range(0x7F, 0xA0)}
BIDI = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
ZERO_WIDTH = {0x00AD, 0x034F, 0x180E, 0x200B, 0x200C, 0x200D, *range(0x2060, 0x2066), 0xFEFF}
SEPARATORS = {0x2028, 0x2029}
TAGS = {*range(0xE0000, 0xE0080)}
SURROGATES = {*range(0xD800, 0xE000)}
DANGEROUS = C0 | DEL_C1 | BIDI | ZERO_WIDTH | SEPARATORS | TAGS | SURROGATES
SINGLE_DIRECTION = {0x061C, 0x200E, 0x200F}  # alone they only settle the place of a sign
CODES = range(sys.maxunicode + 1)
AT_ONCE = 256  # each stands between two letters, as it would alone; one call for each code point takes half a minute
EVERYTHING = ["".join(f"a{chr(code)}b" for code in CODES[n : n + AT_ONCE]) for n in range(0, len(CODES), AT_ONCE)]


def dangerous_in(text: str) -> set[int]:
    return {ord(character) for character in text} & DANGEROUS


def test_nothing_dangerous_leaves_a_line() -> None:
    for text in EVERYTHING:
        assert not dangerous_in(safe.line(text)), hex(ord(text[1]))


def test_nothing_dangerous_but_a_newline_leaves_a_block() -> None:
    for text in EVERYTHING:
        found = dangerous_in(safe.block(text))
        assert found <= SINGLE_DIRECTION | ({0x0A} if "\n" in text else set()), hex(ord(text[1]))


@pytest.mark.parametrize(
    "text",
    ["می\u200cخواهم", "क्\u200dष", "👨\u200d👩\u200d👧", "🏳\ufe0f\u200d🌈", "🧑🏽\u200d🚀", "שלום\u200f!"],
    ids=["Persian", "Hindi", "family", "flag", "skin", "Hebrew"],
)
def test_joiners_that_are_text_stay_in_a_body_and_never_in_an_address(text: str) -> None:
    assert safe.block(text) == text
    assert not dangerous_in(safe.line(text))


@pytest.mark.parametrize(
    "text", ["a\u200db", "a\u200c", "\u200d👩", "👩\u200d", "م\u200c\u200cن", "\u200e\u200f", "x\u061c\u200ey"]
)
def test_joiners_and_marks_that_are_no_text_are_made_visible_in_a_body(text: str) -> None:
    assert not dangerous_in(safe.block(text))


def test_what_people_write_passes_untouched() -> None:
    for text in ("Hello, wörld! ½ € ☃", "日本語 한국어 ไทย हिन्दी العربية עברית", "😀 🏳️ e\u0301", "a\\b", "\\x1b"):
        assert safe.line(text) == text
        assert safe.block(text) == text


@pytest.mark.parametrize(("text", "shown"), [
    ("\x1b[31mred", "\\x1b[31mred"),
    ("a\nb", "a\\x0ab"),
    ("a\tb\r", "a\\x09b\\x0d"),
    ("\x9b2J", "\\x9b2J"),
    ("\u202eevil", "\\u202eevil"),
    ("\U000e0041", "\\U000e0041"),
    ("\ud800", "\\ud800"),
    ("e" + "\u0301" * 50, "e" + "\u0301" * 4),
])  # fmt: skip
def test_what_is_hidden_is_made_visible(text: str, shown: str) -> None:
    assert safe.line(text) == shown


def test_no_line_of_a_block_can_pass_for_one_of_ours() -> None:
    assert safe.block("one\nxmppsh: error\n") == "one\n  xmppsh: error\n  "
    assert safe.block("a\tb") == "a    b"
    assert safe.block("a\r\nb") == "a\\x0d\n  b"


@pytest.mark.parametrize("code", [0x1BCA0, 0x1BCA3, 0x1D173, 0x1D17A])
def test_invisible_format_characters_of_the_higher_planes_are_made_visible(code: int) -> None:
    assert safe.line(chr(code)) == f"\\U{code:08x}"


def test_xml_for_a_terminal_holds_nothing_dangerous_and_means_the_same() -> None:
    text = "".join(
        character
        for character in map(chr, range(0x20, 0x30000))
        if not 0xD800 <= ord(character) < 0xE000 and ord(character) not in (0xFFFE, 0xFFFF) and character not in "<&>"
    )
    shown = safe.xml(f"<a>{text}</a>")
    assert not dangerous_in(shown)
    assert fromstring(shown).text == text


def test_xml_with_cdata_means_the_same_on_a_terminal() -> None:
    assert fromstring(safe.xml("<a><![CDATA[x\u202ey]]></a>")).text == "x\u202ey"


# ── JSON ────────────────────────────────────────────────────────────────────────────────────────────────────────

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
def test_json_is_one_line_that_reads_back_exactly(record: dict[str, object]) -> None:
    line = dumps(record)
    assert "\n" not in line
    assert not dangerous_in(line) - {0x034F, 0x180E} - TAGS
    assert json.loads(line) == record


def test_json_escapes_every_dangerous_character_and_keeps_it_exact() -> None:
    text = "".join(map(chr, sorted(DANGEROUS)))
    line = dumps({"body": text})
    assert not dangerous_in(line) - {0x034F, 0x180E} - TAGS
    # A pair of surrogates is one character in JSON; alone, each stays what it is.
    for character in text:
        assert json.loads(dumps({"a": character})) == {"a": character}


@pytest.mark.parametrize("code", [0x034F, 0x180E, 0xE0041])
def test_json_escapes_whatever_a_line_makes_visible(code: int) -> None:
    assert chr(code) not in dumps({"a": chr(code)})


def test_json_keeps_letters_and_emoji_readable() -> None:
    assert dumps({"body": "wörld 😀", "n": 1}) == '{"body": "wörld 😀", "n": 1}'
