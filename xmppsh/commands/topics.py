"""The topics of `xmppsh help` that belong to no command: exit codes, formats, environment, recipes."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from xmppsh.config.schema import SETTING_GROUPS, SETTINGS
from xmppsh.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

WIDTH = 80  # columns

EXIT_CODES: dict[ExitCode, str] = {
    ExitCode.OK: "done; for send and pipe: the server acknowledged every stanza",
    ExitCode.USAGE: "bad command line, malformed JID",
    ExitCode.DATA: "the input is not well-formed, not a stanza, not valid JSON",
    ExitCode.NOINPUT: "a file cannot be read",
    ExitCode.NOUSER: "bounced: the user does not exist or is not available",
    ExitCode.NOHOST: "bounced: the other server was not found; or your own server's name does not exist",
    ExitCode.UNAVAILABLE: "your server cannot be reached, or is shutting down",
    ExitCode.SOFTWARE: "a bug in xmppsh, or a package that it needs is missing",
    ExitCode.IOERR: "local input or output failed, such as a full disk",
    ExitCode.TEMPFAIL: "timed out, or the server asks to wait: try again later",
    ExitCode.PROTOCOL: "TLS, stream or stanza protocol failure; feature not offered; any other stanza error",
    ExitCode.NOPERM: "authentication refused, or not allowed",
    ExitCode.CONFIG: "the config file or the permissions of a file are wrong",
    ExitCode.UNCONFIRMED: "written, never acknowledged: it may have arrived",
    ExitCode.PARTIAL: "some of many failed; --each and stderr say which",
    ExitCode.QUEUED: "not sent, but stored for later because of --queue",
}
SIGNALS = {
    "129": "after SIGHUP, once the stream is closed cleanly",
    "130": "after SIGINT (Ctrl-C)",
    "143": "after SIGTERM",
}
VERBS = {
    "%f": "from, the full JID",
    "%F": "from, the bare JID",
    "%t": "to",
    "%T": "the type of the stanza",
    "%i": "id",
    "%b": "body",
    "%s": "subject",
    "%x": "the stanza as XML",
    "%I": "the time, RFC 3339 in UTC",
    "%j": "the record as JSON",
    "%%": "a percent sign",
    "\\n \\t": "a newline, a tab",
}
FORMATS = """\
--format text   for people: safe to print on a terminal; its wording may change
--format json   for programs: one JSON object per line, exact values
--format xml    the stanzas as the server sent them
-F TEMPLATE     your own line for each record, from these verbs:
"""
ERRORS = """
With --format json an error is one object on stderr:
  {"error": {"code": 77, "name": "NOPERM", "layer": "sasl",
             "condition": "not-authorized", "text": "…", "hint": "…"}}
"""
RECIPES = """\
Tell someone that a job has finished:
  make && xmppsh send juliet@example.org "the build is done"

Send each line of a log as a message:
  tail -f app.log | xmppsh send --lines juliet@example.org

Wait for one message and use its body:
  xmppsh listen -C 1 -F %b

Read everything as JSON:
  xmppsh listen --format json | jq -r .body

Send a file of stanzas, and continue where it stopped after a crash:
  xmppsh pipe --checkpoint run.db stanzas.xml

Ask a server for its version:
  xmppsh iq get example.org '<query xmlns="jabber:iq:version"/>'

Find out why a login fails:
  xmppsh doctor juliet@example.org

Connect to a test server or an address instead of what DNS says:
  xmppsh --host 127.0.0.1:5222 -j juliet@example.org ping

Read the password from a password manager:
  xmppsh --password-command "pass show xmpp" -j juliet@example.org ping

Try it without an account:
  xmppsh playground
"""


def _table(rows: Iterable[tuple[str, str]]) -> str:
    listed = list(rows)
    width = max(len(name) for name, _ in listed)
    lines = (
        textwrap.fill(text, WIDTH, initial_indent=f"  {name:{width}}  ", subsequent_indent=" " * (width + 4))
        for name, text in listed
    )
    return "".join(f"{line}\n" for line in lines)


def exit_codes() -> str:
    """Each exit code with its name and when it is used."""
    codes = [(f"{int(code):3} {code.name}", meaning) for code, meaning in EXIT_CODES.items()]
    return _table([*codes, *SIGNALS.items()])


def formats() -> str:
    """The output formats, the verbs of a template, and what an error looks like in JSON."""
    return FORMATS + _table(VERBS.items()) + ERRORS


def environment() -> str:
    """The environment variable of each setting, and the others that count."""
    parts = [
        "Options override variables, these a profile, and that the rest of the file.\n"
        "Several values of one variable, such as XMPPSH_HOST, have spaces between them.\n"
    ]
    for name, title in SETTING_GROUPS.items():
        rows = [(setting.env, setting.help) for setting in SETTINGS if setting.group == name]
        parts.append(f"\n{title}:\n{_table(rows)}")
    others = {
        "XDG_CONFIG_HOME, XDG_STATE_HOME": "where xmppsh/config.toml and the state live",
        "CONFIGURATION_DIRECTORY": "the folder of config.toml, as set by systemd; comes first",
        "STATE_DIRECTORY": "the folder of the state, as set by systemd; comes first",
        "XDG_RUNTIME_DIR, RUNTIME_DIRECTORY": "the folder of the agent's socket; without them it is in /tmp",
        "CREDENTIALS_DIRECTORY": "where systemd puts xmppsh.password or password",
        "SSL_CERT_FILE": "the authorities to trust",
        "NO_COLOR": "no colours",
        "NETRC": "a file to read instead of ~/.netrc",
    }
    return "".join(parts) + "\nOthers:\n" + _table(others.items())


def recipes() -> str:
    """What people ask for most, as command lines."""
    return RECIPES


TOPICS: dict[str, Callable[[], str]] = {
    "exit-codes": exit_codes,
    "formats": formats,
    "environment": environment,
    "recipes": recipes,
}
