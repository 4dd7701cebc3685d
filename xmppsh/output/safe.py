"""The only door to a terminal: text from the network is made visible before it is shown.

Controls (C0, DEL, C1), bidi overrides and isolates, zero-width and tag characters become `\\x1b`, `\\u202e`, …
"""

from __future__ import annotations

import re

# Line feed and tab are controls too; `block` lets them pass where text may have several lines.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners, fillers
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # zero width, bidi, separators
    "\ud800-\udfff\U000e0000-\U000e0fff]"  # lone surrogates, tags
)
_CDATA = re.compile(r"(<!\[CDATA\[.*?\]\]>)", re.DOTALL)
MAX_MARKS = 4  # combining marks on one character; more would climb over other lines
_MARK = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe20-\ufe2f]"
_MARKS = re.compile(f"({_MARK}{{{MAX_MARKS}}}){_MARK}+")


def escaped_for_json(text: str) -> str:
    """JSON text in which everything that a terminal might obey is an escape; line ends of the text itself stay."""
    return _HIDDEN.sub(lambda match: match.group() if match.group() in "\n\t" else _json_escape(match.group()), text)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _shown(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def line(text: str) -> str:
    """Foreign text for one line of a terminal: a newline is made visible too."""
    return _MARKS.sub(r"\1", _HIDDEN.sub(_shown, text))


def block(text: str, indent: str = "  ") -> str:
    """Foreign text of several lines: each line after the first is indented, so none can pass for a line of ours."""
    return ("\n" + indent).join(line(part.replace("\t", "    ")) for part in text.split("\n"))


def xml(document: str) -> str:
    """XML for a terminal: the same document, with character references for what a terminal might obey."""
    parts = _CDATA.split(document)
    parts[::2] = [_HIDDEN.sub(_reference, part) for part in parts[::2]]
    parts[1::2] = [_HIDDEN.sub(_outside_cdata, part) for part in parts[1::2]]
    return "".join(parts)


def _reference(match: re.Match[str]) -> str:
    return match.group() if match.group() in "\n\t" else f"&#{ord(match.group())};"


def _outside_cdata(match: re.Match[str]) -> str:
    # In CDATA a reference would be text: it stands between two sections.
    reference = _reference(match)
    return f"]]>{reference}<![CDATA[" if reference.startswith("&") else reference
