"""The only door to a terminal: text from the network is made visible before it is shown.

Controls (C0, DEL, C1), bidi overrides and isolates, zero-width and tag characters become `\\x1b`, `\\u202e`, …
In `block`, joiners that are text stay: between emoji, in scripts that join (RFC 5892 A.1, A.2), lone
marks of direction.
"""

from __future__ import annotations

import re

# Line feed and tab are controls too; `block` lets them pass where text may have several lines.
# Patterns are text here: `re` compiles and keeps each at its first use, and most runs need none.
_HIDDEN = (
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners, fillers
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # zero width, bidi, separators
    "\ud800-\udfff\U000e0000-\U000e0fff]"  # lone surrogates, tags
)
# Letters and marks of the scripts that need U+200C and U+200D: Arabic, Syriac, N'Ko, Mongolian, those of India and
# South-East Asia with a virama.
_JOINING = (
    "\u0610-\u061a\u0620-\u06ff\u0700-\u074f\u0750-\u077f\u07ca-\u07f5\u0840-\u085b\u0870-\u08ff"
    "\u0900-\u0dff\u0f00-\u0fbc\u1000-\u109f\u1780-\u17b3\u17b6-\u17d3\u1820-\u18aa\u1a20-\u1aad\u1b00-\u1b7c"
    "\ua840-\ua873\ua880-\ua8ff\ua980-\ua9df\uabc0-\uabff\ufb50-\ufdff\ufe70-\ufefc"
)
_EMOJI = "\u00a9\u00ae\u203c-\u2bff\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff"
_DIRECTION = "\u200e\u200f\u061c"
_TEXT_JOINER = (
    f"(?<=[{_JOINING}])[\u200c\u200d](?=[{_JOINING}])"
    f"|(?<=[{_EMOJI}])\u200d(?=[{_EMOJI}])"
    f"|(?<![{_DIRECTION}])[{_DIRECTION}](?![{_DIRECTION}])"
)
_CDATA = r"(?s)(<!\[CDATA\[.*?\]\]>)"
MAX_MARKS = 4  # combining marks on one character; more would climb over other lines
_MARK = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe20-\ufe2f]"
_MARKS = f"({_MARK}{{{MAX_MARKS}}}){_MARK}+"


def escaped_for_json(text: str) -> str:
    """JSON text in which everything that a terminal might obey is an escape; line ends of the text itself stay."""
    if text.isascii() and text.isprintable():
        return text
    return re.sub(
        _HIDDEN, lambda match: match.group() if match.group() in "\n\t" else _json_escape(match.group()), text
    )


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _shown(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def line(text: str) -> str:
    """Foreign text for one line of a terminal: a newline is made visible too."""
    if text.isascii() and text.isprintable():
        return text
    return re.sub(_MARKS, r"\1", re.sub(_HIDDEN, _shown, text))


def block(text: str, indent: str = "  ") -> str:
    """Foreign text of several lines: each line after the first is indented, so none can pass for a line of ours."""
    return ("\n" + indent).join(_body_line(part.replace("\t", "    ")) for part in text.split("\n"))


def _body_line(text: str) -> str:
    if text.isascii() or not re.search(_TEXT_JOINER, text):
        return line(text)
    kept = [match.span() for match in re.finditer(_TEXT_JOINER, text)]
    ends = [0, *(end for _, end in kept)]
    starts = [*(start for start, _ in kept), len(text)]
    joiners = [*(text[start:end] for start, end in kept), ""]
    hidden = (re.sub(_HIDDEN, _shown, text[end:start]) for end, start in zip(ends, starts, strict=True))
    return re.sub(_MARKS, r"\1", "".join(part + joiner for part, joiner in zip(hidden, joiners, strict=True)))


def xml(document: str) -> str:
    """XML for a terminal: the same document, with character references for what a terminal might obey."""
    parts = re.split(_CDATA, document)
    parts[::2] = [re.sub(_HIDDEN, _reference, part) for part in parts[::2]]
    parts[1::2] = [re.sub(_HIDDEN, _outside_cdata, part) for part in parts[1::2]]
    return "".join(parts)


def _reference(match: re.Match[str]) -> str:
    return match.group() if match.group() in "\n\t" else f"&#{ord(match.group())};"


def _outside_cdata(match: re.Match[str]) -> str:
    # In CDATA a reference would be text: it stands between two sections.
    reference = _reference(match)
    return f"]]>{reference}<![CDATA[" if reference.startswith("&") else reference
