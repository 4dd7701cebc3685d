"""What a line of the shell is: a command, XML, a message, or nothing (cli.md, section 7). Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Blank:
    """White space alone: nothing to do."""


@dataclass(frozen=True, slots=True)
class Command:
    """`/name tail`; the tail as it stands behind the one character that ends the name."""

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
    """Tell by its first character what a line is; white space in front makes it a message."""
    if not line.strip():
        return Blank()
    if line.startswith("<"):
        return Xml(line)
    if line.startswith("//"):
        return Text(line[1:])
    if line.startswith("/"):
        name = line[1:].split(maxsplit=1)[0] if line[1:2].strip() else ""
        return Command(name, line[1 + len(name) + 1 :])
    return Text(line)
