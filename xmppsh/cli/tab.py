"""The answer to the Tab key without click and without the commands: from a table made before, as the help is.

`python tests/arch/reference.py` writes the table. What it cannot tell (values that are worked out, quoted words, the
account of a config file) is asked of click, as if this were not there; both give the same answers, a test says.
"""

from __future__ import annotations

import os

from xmppsh.config.contacts import at_most, read_contacts

FILE = os.path.join(os.path.dirname(__file__), "tab.txt")
BREAK = "\f"  # before each section, which begins with the words of its command
EVERYWHERE = "*"  # the section of the global options
QUOTES = frozenset("'\"\\")
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789@.-_")  # an address of these alone is a file name as it stands
# What else could name the account or the folders; then it is worked out the long way.
ELSEWHERE = ("XMPPSH_PROFILE", "STATE_DIRECTORY", "CONFIGURATION_DIRECTORY")


class NotHere(Exception):
    """The table does not tell."""


def answer(env: os._Environ[str] | dict[str, str]) -> str | None:
    """The lines that the scripts of completions/ expect; None where click has to be asked.

    env: has the line up to the cursor as COMP_WORDS, and its last word as COMP_CWORD.
    """
    line, last = env.get("COMP_WORDS", ""), env.get("COMP_CWORD", "")
    if QUOTES & set(line + last) or not line:
        return None
    words = line.split()[1:]
    if last and words and words[-1] == last:
        words.pop()
    try:
        with open(FILE, encoding="utf-8") as file:
            return Line(file.read(), env).completed(words, last)
    except (OSError, NotHere):
        return None


class Line:
    """The words before the cursor, read from left to right.

    `c` rows of a section are commands with their help, `o` rows options (kind, name, destination, help), `a` rows
    arguments (kind). Kinds: flag, any, file, jid, `=one|other`, click; with a `*` where it may be given again.
    """

    def __init__(self, table: str, env: os._Environ[str] | dict[str, str]) -> None:
        self._table, self._env = table, env
        self._path: list[str] = []
        self._account = ""
        self._given: set[str] = set()
        self._enter()

    def _enter(self) -> None:
        rows = self._section(" ".join(self._path)) + (self._section(EVERYWHERE) if self._path else [])
        self._commands = {row[1]: row[2] for row in rows if row[0] == "c"}
        self._options = {row[2]: row for row in rows if row[0] == "o"}
        self._arguments = [row[1] for row in rows if row[0] == "a"]

    def _section(self, name: str) -> list[list[str]]:
        _, found, rest = self._table.partition(f"{BREAK}{name}\n")
        if not found:
            raise NotHere
        return [row.split("\t") for row in rest.partition(BREAK)[0].splitlines()]

    def completed(self, words: list[str], last: str) -> str:
        """What could stand there, one answer a line. Raises NotHere."""
        option, equals, value = last.partition("=")
        if equals and option.startswith("--"):
            words, last = [*words, option], value
        awaited = self._read(words)
        if awaited:
            found = self._values(awaited, last)
        elif last.startswith("-"):
            found = [
                (name, row[4])
                for name, row in self._options.items()
                if name.startswith(last) and (row[1].startswith("*") or row[3] not in self._given)
            ]
        elif self._commands:
            found = [(name, about) for name, about in self._commands.items() if name.startswith(last)]
        else:
            found = self._values(self._arguments[0], last) if self._arguments else []
        kind = "file" if found is FILES else "plain"
        rows = [(last, "")] if found is FILES else found
        return "".join(f"{kind},{name}{about and chr(9)}{about}\n" for name, about in rows)

    def _read(self, words: list[str]) -> str:
        """Read all of them; the kind of the value that is awaited after the last one, empty for none."""
        awaited, name = "", ""
        for word in words:
            if awaited:
                self._note(name, word)
                awaited = ""
            elif word.startswith("-"):
                name, equals, value = word.partition("=")
                row = self._options.get(name)
                if row is None:
                    raise NotHere  # a group of short ones, a value glued on, or `--`
                self._given.add(row[3])
                kind = row[1].removeprefix("*")
                awaited = "" if kind == "flag" or equals else kind
                if equals:
                    self._note(name, value)
            else:
                self._word(word)
        return awaited

    def _note(self, option: str, value: str) -> None:
        destination = self._options[option][3]
        if destination == "jid":
            self._account = value
        elif destination == "profile":
            raise NotHere

    def _word(self, word: str) -> None:
        if word in self._commands:
            self._path.append(word)
            self._enter()
        elif self._commands:
            if self._path or "@" not in word or self._account:
                raise NotHere
            self._account = word
        elif self._arguments and not self._arguments[0].startswith("*"):
            del self._arguments[0]

    # ── Values ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _values(self, kind: str, last: str) -> list[tuple[str, str]]:
        kind = kind.removeprefix("*")
        if kind == "file":
            return FILES
        if kind == "any":
            return []
        if kind.startswith("="):
            return [(word, "") for word in kind[1:].split("|") if word.startswith(last)]
        if kind != "jid":
            raise NotHere
        begin = last.casefold()
        return at_most([row for row in self._addresses() if row[0].casefold().startswith(begin)])

    def _addresses(self) -> list[tuple[str, str]]:
        """The contacts in the cache of the account, or of all accounts where none is named (registry/known.py)."""
        env = self._env
        account = (self._account or env.get("XMPPSH_JID", "")).partition("/")[0]
        if any(env.get(name) for name in ELSEWHERE) or not PLAIN.issuperset(account):
            raise NotHere
        if not account and os.path.lexists(f"{self._folder('XDG_CONFIG_HOME', '.config')}/config.toml"):
            raise NotHere
        folder = self._folder("XDG_STATE_HOME", ".local/state")
        own = [(account, "this account"), (account.partition("@")[2], "its server")] if account else []
        if not _is_ours(folder):
            raise NotHere
        if account and os.path.exists(f"{folder}/roster/{account}"):
            return own + read_contacts(f"{folder}/roster/{account}")
        try:
            names = sorted(os.listdir(f"{folder}/roster"))
        except OSError:
            return own
        if "%" in "".join(names):
            raise NotHere
        accounts = [(name, "an account") for name in names if not account and "@" in name]
        return own + accounts + [row for name in names for row in read_contacts(f"{folder}/roster/{name}")]

    def _folder(self, variable: str, below_home: str) -> str:
        given, home = self._env.get(variable, ""), self._env.get("HOME", "")
        if not home.startswith("/") or home == "/":
            raise NotHere
        return f"{given if given.startswith('/') else f'{home}/{below_home}'}/xmppsh"


FILES: list[tuple[str, str]] = [("", "")]  # which the shell knows best


def _is_ours(folder: str) -> bool:
    """Is it a folder that nobody else could have filled?"""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    return found.st_mode & 0o170022 == 0o040000 and found.st_uid == os.getuid()
