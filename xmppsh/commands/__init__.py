"""The registry: every command and every fact about it. A command's module is imported when it runs, not before.

A command is one function in its module, named after its path (`("outbox", "list")` is `outbox_list`), and one `Spec`
here. The command line, the shell, `xmppsh help` and completion all read this list.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Path = tuple[str, ...]

SECTIONS = {
    "talk": "Talk",
    "stream": "Streams of stanzas",
    "account": "Account",
    "server": "Server",
    "machine": "This machine",
}


class Spec(NamedTuple):
    """The facts of one command.

    module: where its function is. help: one line. section: its group in the help, a key of SECTIONS.
    session: `none` for a command that needs no account, `one-shot` for one whose session dies with its socket,
    `lasting` for one that survives a cut and is watched by a guard.
    not_in_shell: why it does not run on the shell's open session, and what to do instead; None when it runs there.
    tail: in the shell, `text` keeps what follows the first argument as it stands; `words` splits it as sh does.
    reports_bounces: it tells by itself what came back, so that the shell need not.
    lasting_with: its parameters that make the session of a one-shot a lasting one.
    records: the types that it prints, as `module:Class`; none where it prints text alone, or nothing.
    """

    module: str
    help: str
    section: str
    session: Literal["none", "one-shot", "lasting"] = "one-shot"
    not_in_shell: str | None = None
    tail: Literal["words", "text"] = "words"
    reports_bounces: bool = False
    records: tuple[str, ...] = ()
    lasting_with: tuple[str, ...] = ()


class Group(NamedTuple):
    """The facts of a group of commands, such as `outbox`."""

    help: str
    section: str


MESSAGE = "xmppsh.output.records:MessageRecord"
STANZAS = (MESSAGE, "xmppsh.output.records:PresenceRecord", "xmppsh.output.records:IqRecord")
IQ_ANSWER = "xmppsh.commands.iq:IqAnswer"
OUTBOX_ENTRY = "xmppsh.commands.outbox:OutboxEntry"

COMMANDS: dict[Path, Spec] = {
    ("connect",): Spec(
        "xmppsh.shell.connect",
        "Open the shell on a session.",
        "talk",
        "lasting",
        records=(MESSAGE,),
        not_in_shell="the shell is open already: /quit, then xmppsh connect JID",
    ),
    ("send",): Spec(
        "xmppsh.commands.send",
        "Send a message; success means that the server has it.",
        "talk",
        tail="text",
        records=(*(f"xmppsh.commands.send:{name}" for name in ("Sent", "SendResult", "QueuedMessage")), MESSAGE),
        lasting_with=("lines",),
        reports_bounces=True,
    ),
    ("listen",): Spec(
        "xmppsh.commands.listen",
        "Print what arrives, one record each.",
        "talk",
        "lasting",
        records=STANZAS,
        not_in_shell="the shell prints what arrives by itself",
    ),
    ("pipe",): Spec(
        "xmppsh.commands.pipe",
        "Send a stream of stanzas from stdin or a file.",
        "stream",
        "lasting",
        records=("xmppsh.commands.pipe:PipeReply", "xmppsh.commands.pipe:PipeSummary"),
        not_in_shell="the shell's lines are its input: xmppsh pipe runs outside",
    ),
    ("iq",): Spec(
        "xmppsh.commands.iq", "Ask with an IQ of your own and print the answer.", "stream", records=(IQ_ANSWER,)
    ),
    ("raw",): Spec("xmppsh.commands.raw", "Send stanzas as they are.", "stream", records=(IQ_ANSWER,)),
    ("sessions", "list"): Spec(
        "xmppsh.commands.sessions",
        "Show the sessions that are online as you.",
        "account",
        records=("xmppsh.commands.session_records:SessionRecord",),
    ),
    ("sessions", "close"): Spec(
        "xmppsh.commands.sessions",
        "Close one of your sessions.",
        "account",
        records=("xmppsh.commands.session_records:Closed",),
    ),
    ("sessions", "reap"): Spec(
        "xmppsh.commands.sessions",
        "Close what dead programs of this machine left.",
        "account",
        records=("xmppsh.commands.session_records:ReapedRecord",),
    ),
    ("witness",): Spec(
        "xmppsh.commands.witness",
        "Close this account's sessions on other machines when they fall silent.",
        "account",
        records=("xmppsh.commands.witness:WitnessNews",),
    ),
    ("ping",): Spec(
        "xmppsh.commands.ping",
        "Measure the round trip to an XMPP address.",
        "server",
        records=("xmppsh.commands.ping:Pong", "xmppsh.commands.ping:PingSummary"),
    ),
    ("doctor",): Spec(
        "xmppsh.commands.doctor",
        "Examine the way to a server, from the DNS to stream management.",
        "server",
        "none",
        records=("xmppsh.doctor.report:Check",),
    ),
    ("explain",): Spec(
        "xmppsh.commands.explain",
        "Show which places would be dialled, in which order and why.",
        "server",
        "none",
        records=("xmppsh.commands.candidates:Candidate",),
    ),
    ("outbox", "list"): Spec(
        "xmppsh.commands.outbox",
        "Show messages that were never confirmed.",
        "machine",
        "none",
        records=(OUTBOX_ENTRY,),
    ),
    ("outbox", "retry"): Spec("xmppsh.commands.outbox", "Settle them, and send what did not arrive.", "machine"),
    ("outbox", "flush"): Spec("xmppsh.commands.outbox", "Send what send --queue has stored.", "machine"),
    ("outbox", "drop"): Spec("xmppsh.commands.outbox", "Forget them.", "machine", "none", records=(OUTBOX_ENTRY,)),
    ("playground",): Spec(
        "xmppsh.shell.playground",
        "Start a throw-away server on loopback, and the shell on it.",
        "machine",
        "none",
        records=(MESSAGE,),
        not_in_shell="xmppsh playground runs outside the shell",
    ),
    ("schema",): Spec("xmppsh.commands.schema", "Print the JSON schema of the records.", "machine", "none"),
    ("completion",): Spec(
        "xmppsh.commands.completion",
        "Print what makes the Tab key complete in bash, zsh or fish.",
        "machine",
        "none",
        not_in_shell="the Tab key completes here by itself",
    ),
    ("help",): Spec(
        "xmppsh.commands.help",
        "Tell about a command or a topic.",
        "machine",
        "none",
        not_in_shell="/help and /help COMMAND do it here",
    ),
}

GROUPS: dict[Path, Group] = {
    ("sessions",): Group("Show or close the account's own sessions, and those that died.", "account"),
    ("outbox",): Group("Show, settle or forget messages that were never confirmed.", "machine"),
}


def children(path: Path) -> dict[str, Spec | Group]:
    """What stands directly below a path, in the order of the registry: commands, and groups at their first command."""
    found: dict[str, Spec | Group] = {}
    for full in COMMANDS:
        if full[: len(path)] == path and len(full) > len(path):
            here = full[: len(path) + 1]
            found.setdefault(here[-1], COMMANDS[here] if here in COMMANDS else GROUPS[here])
    return found
