"""The answer to the Tab key without click and without the commands: from a table made before, as the help is.

`python tests/arch/reference.py` writes the table. What it cannot tell (quoted words, the account of a config file
that is not read at a glance) is asked of click, as if this were not there; both give the same answers, a test says.
"""

from __future__ import annotations

import os

from xmppsh.config import glance
from xmppsh.config.contacts import at_most, read_contacts

FILE = os.path.join(os.path.dirname(__file__), "tab.txt")
BREAK = "\f"  # before each section, which begins with the words of its command
EVERYWHERE = "*"  # the section of the global options
WORDS = ":"  # begins the name of a section of words, not of a command
TOPICS = f"{WORDS}TOPIC"  # that `help` has beside the commands
UNITS_S = "smhd"  # as in config/values.py; a test holds both against each other
QUOTES = frozenset("'\"\\")
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789@.-_")  # an address of these alone is a file name as it stands
# What else could name the folders; then they are worked out the long way.
ELSEWHERE = ("STATE_DIRECTORY", "CONFIGURATION_DIRECTORY")


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
    except (OSError, NotHere, glance.Unclear):
        return None


class Line:
    """The words before the cursor, read from left to right.

    `c` rows of a section are commands with their help, `o` rows options (kind, name, destination, help), `a` rows
    arguments (kind), `v` rows words with their help. Kinds: flag, any, file, jid, span, topic, `=one|other`,
    `,one|other` for a list with commas, `:NAME` for the words of that section, click; with a `*` where it may be given
    again.
    """

    def __init__(self, table: str, env: os._Environ[str] | dict[str, str]) -> None:
        self._table, self._env = table, env
        self._path: list[str] = []
        self._account = self._profile = ""
        self._given: set[str] = set()
        self._topic: list[str] = []  # the words that may be given again, as those after `help`
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
            self._profile = value

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
        else:
            self._topic.append(word)

    # ── Values ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _values(self, kind: str, last: str) -> list[tuple[str, str]]:
        kind = kind.removeprefix("*")
        if kind == "file":
            return FILES
        if kind == "any":
            return []
        if kind == "jid":
            begin = last.casefold()
            return at_most([row for row in self._addresses(begin) if row[0].casefold().startswith(begin)])
        return [row for row in self._words(kind, last) if row[0].startswith(last)]

    def _words(self, kind: str, last: str) -> list[tuple[str, str]]:
        """Those that this kind of value may be, with their help."""
        if kind == "span":
            return [(last + unit, "") for unit in UNITS_S] if last.isdecimal() else []
        if kind == "topic":
            found = self._section(" ".join(self._topic)) if not self._topic or self._is_group() else []
            return [(row[1], "") for row in [*found, *([] if self._topic else self._section(TOPICS))] if row[0] in "cv"]
        if kind.startswith(WORDS):
            return [(row[1], row[2]) for row in self._section(kind)]
        if kind.startswith("="):
            return [(word, "") for word in kind[1:].split("|")]
        if kind.startswith(","):
            before = last[: last.rfind(",") + 1]
            return [(before + word, "") for word in kind[1:].split("|") if word not in before.split(",")]
        raise NotHere

    def _is_group(self) -> bool:
        """Are the words after `help` those of a group?"""
        return f"{BREAK}{' '.join(self._topic)}\nc\t" in self._table

    def _addresses(self, begin: str) -> list[tuple[str, str]]:
        """The contacts in the cache of the account, or of all accounts where none is named (registry/known.py)."""
        if any(self._env.get(name) for name in ELSEWHERE):
            raise NotHere
        account = (self._account or self._configured()).partition("/")[0]
        if not PLAIN.issuperset(account):
            raise NotHere
        folder = self._folder("XDG_STATE_HOME", ".local/state")
        own = [(account, "this account"), (account.partition("@")[2], "its server")] if account else []
        if not _is_ours(folder):
            raise NotHere
        if account and os.path.exists(f"{folder}/roster/{account}"):
            return own + read_contacts(f"{folder}/roster/{account}", begin)
        try:
            names = sorted(os.listdir(f"{folder}/roster"))
        except OSError:
            return own
        if "%" in "".join(names):
            raise NotHere
        accounts = [(name, "an account") for name in names if not account and "@" in name]
        return own + accounts + [row for name in names for row in read_contacts(f"{folder}/roster/{name}", begin)]

    def _configured(self) -> str:
        """The account of the environment, or else of the config file; empty for none."""
        profile = self._profile or self._env.get("XMPPSH_PROFILE", "")
        jid = self._env.get("XMPPSH_JID", "")
        if jid and not profile:
            return jid
        known = {row[3].replace("-", "_") for row in self._section(EVERYWHERE) if row[0] == "o"} - {"proxy"}
        named = glance.account(f"{self._folder('XDG_CONFIG_HOME', '.config')}/config.toml", profile, known)
        return jid or named

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
