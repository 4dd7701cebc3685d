"""What the first word of a line may be. It is asked at each key, and before the first prompt: without click."""

from __future__ import annotations

from xmppsh.registry import COMMANDS, GROUPS, Path, Spec, children
from xmppsh.shell.lines.builtins import BUILTINS

# What a single command may set; everything else was settled when the session was opened.
OF_A_COMMAND = frozenset({"format", "template", "color", "verbose", "quiet", "dry_run"})


def available() -> dict[Path, Spec]:
    """The commands that run here."""
    return {path: spec for path, spec in COMMANDS.items() if spec.not_in_shell is None}


def here(path: Path) -> set[str]:
    """What may follow the words of a group, or begin a command."""
    return {one[len(path)] for one in available() if one[: len(path)] == path}


def exists(name: str) -> bool:
    """Is there a command, or a group of commands, of that name?"""
    return name in BUILTINS or (name,) in COMMANDS or (name,) in GROUPS


def is_own(name: str, tail: str) -> bool:
    """Does a line mean the shell's own command, where the registry has one of that name, too?"""
    if name not in BUILTINS:
        return False
    word = tail.split(maxsplit=1)[0] if tail.strip() else ""
    if (name,) in GROUPS:
        return word not in children((name,)) and not word.startswith("-")
    return (name,) not in COMMANDS or name == "help" or not word or word.isdecimal()


def keeps_text(name: str) -> bool:
    """Is what follows this command a text, which is taken as it stands?"""
    spec, own = COMMANDS.get((name,)), BUILTINS.get(name)
    return spec.tail == "text" if spec is not None else own is not None and own.keeps_text


def described() -> list[tuple[str, str]]:
    """All commands that may be typed, each with its line of help."""
    names = here(())
    registered = {f"/{name}": facts.help for name, facts in children(()).items() if name in names}
    return sorted({**registered, **{f"/{name}": facts.help for name, facts in BUILTINS.items()}}.items())
