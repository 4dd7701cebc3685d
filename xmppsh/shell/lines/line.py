"""What a line of the shell is: a command, XML, a message, or nothing (docs/cli.md, "The shell"). Pure."""

from __future__ import annotations

from xmppsh.plain import dataclass


@dataclass(frozen=True, slots=True)
class Blank:
    """White space alone: nothing to do."""


@dataclass(frozen=True, slots=True)
class Command:
    """`/name tail`; the tail as it stands after the one character that ends the name."""

    name: str
    tail: str


@dataclass(frozen=True, slots=True)
class Xml:
    """The beginning of an element, or all of it."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A message to the current target."""

    text: str


Line = Blank | Command | Xml | Text


def classify(line: str) -> Line:
    """Tell by its first characters what a line is; white space in front makes it a message, and so does `<3`."""
    if not line.strip():
        return Blank()
    if begins_xml(line):
        return Xml(line)
    if line.startswith("//"):
        return Text(line[1:])
    if line.startswith("/"):
        name = line[1:].split(maxsplit=1)[0] if line[1:2].strip() else ""
        return Command(name, line[1 + len(name) + 1 :])
    return Text(line)


def begins_xml(text: str) -> bool:
    """XML begins with `<` and a letter; a declaration (`<?xml`) may lead it."""
    return text[:1] == "<" and (text[1:2].isalpha() or text.startswith("<?xml"))


def xml_start(tail: str) -> int | None:
    """Where the XML of a command's tail begins; None where there is none."""
    at = tail.find("<")
    while at >= 0 and not begins_xml(tail[at:]):
        at = tail.find("<", at + 1)
    return at if at >= 0 else None


def pasted(text: str, keeps_lines: bool) -> list[str]:
    """The lines that stand in what was entered at once, each to be carried out by itself.

    A message and XML are one, however many lines they have. keeps_lines: a command that takes the lines that follow
    it as text; unless one of them begins like a command or XML, they are its text.
    """
    text = text.rstrip("\n")
    lines = text.split("\n")
    if len(lines) == 1 or not isinstance(classify(text), Command):
        return [text]
    if keeps_lines and not any(isinstance(classify(line), Command | Xml) for line in lines[1:]):
        return [text]
    return [line for line in lines if line.strip()]
