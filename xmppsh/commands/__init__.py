"""The list of commands: name, module, one line of help. A command's module is imported when it runs, not before."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """Where a command lives; its module has it under its own name."""

    module: str
    help: str


COMMANDS: dict[str, Entry] = {
    "connect": Entry("xmppsh.shell.connect", "Open the shell on a session."),
    "send": Entry("xmppsh.commands.send", "Send a message; success means that the server has it."),
    "pipe": Entry("xmppsh.commands.pipe", "Send a stream of stanzas from stdin or a file."),
    "listen": Entry("xmppsh.commands.listen", "Print what arrives, one record each."),
    "iq": Entry("xmppsh.commands.iq", "Ask with an IQ of your own and print the answer."),
    "raw": Entry("xmppsh.commands.raw", "Send stanzas as they are."),
    "ping": Entry("xmppsh.commands.ping", "Measure the round trip to an XMPP address."),
    "explain": Entry("xmppsh.commands.explain", "Show where would be dialled, in which order and why."),
    "doctor": Entry("xmppsh.commands.doctor", "Examine the way to a server, from the DNS to stream management."),
    "outbox": Entry("xmppsh.commands.outbox", "Show, settle or forget messages that were never confirmed."),
    "sessions": Entry("xmppsh.commands.sessions", "Show or close the account's own sessions, and those that died."),
    "witness": Entry(
        "xmppsh.commands.witness", "Close this account's sessions on other machines when they fall silent."
    ),
    "playground": Entry("xmppsh.shell.playground", "Start a throw-away server on loopback, and the shell on it."),
}
