"""The shell's own commands: the facts, which the help, the menu and the lexer read."""

from __future__ import annotations

from typing import NamedTuple


class Builtin(NamedTuple):
    """The facts of a command that exists in the shell alone.

    arguments: what completes in each place: `jid`, `room`, `file`, `command`, or words with | between them.
    keeps_text: is what follows the first word a text, which is taken as it stands?
    """

    usage: str
    help: str
    example: str
    arguments: tuple[str, ...] = ()
    keeps_text: bool = False


BUILTINS: dict[str, Builtin] = {
    "to": Builtin("/to [JID]", "Send what you type to JID; without JID, to nobody.", "/to romeo@example.net", ("jid",)),
    "last": Builtin("/last [N]", "Show the last N messages with the target again [10].", "/last 20"),
    "who": Builtin("/who [ROOM]", "Show which contacts are online, or who is in a room.", "/who", ("room",)),
    "join": Builtin(
        "/join ROOM [NICK]",
        "Join a room and write to it; --nick NICK, --room-password P.",
        "/join tea@rooms.example.net juliet",
        ("room",),
    ),
    "leave": Builtin("/leave [ROOM]", "Leave a room.", "/leave", ("room",)),
    "presence": Builtin(
        "/presence [SHOW] [TEXT]",
        "Set your availability for others to see.",
        "/presence away back at six",
        ("available|away|chat|dnd|xa",),
        keeps_text=True,
    ),
    "xml": Builtin("/xml on|off", "Show the XML stream, both directions.", "/xml on", ("on|off",)),
    "timing": Builtin("/timing on|off", "Show how long each command takes.", "/timing on", ("on|off",)),
    "x": Builtin("/x on|off", "Show records with one field per line.", "/x on", ("on|off",)),
    "o": Builtin("/o [FILE]", "Write command output to FILE; without FILE, to the screen.", "/o out.txt", ("file",)),
    "source": Builtin(
        "/source FILE", "Run the lines of FILE, up to the first error.", "/source greet.xmppsh", ("file",)
    ),
    "alias": Builtin("/alias [NAME [LINE]]", "Give a line a name; with only NAME, remove it.", "/alias p /ping -c 3"),
    "watch": Builtin(
        "/watch S COMMAND", "Run COMMAND every S seconds, until Ctrl-C.", "/watch 5 /ping", ("", "command")
    ),
    "!": Builtin("/! COMMAND", "Run a command of the system's shell.", "/! date"),
    "help": Builtin("/help [COMMAND]", "This list, or a command's own help.", "/help ping", ("command",)),
    "quit": Builtin("/quit", "Close the stream and leave (Ctrl-D).", "/quit"),
}

# What other programs have under another name, and what to type here.
ELSEWHERE = {
    "rooms": "/room list SERVICE",
    "list": "/room list SERVICE",
    "names": "/who",
    "nick": "/join ROOM NICK",
    "part": "/leave",
    "topic": "/room subject",
    "invite": "/room invite ROOM JID",
    "kick": "/room role ROOM NICK none",
    "ban": "/room affiliation ROOM JID outcast",
    "me": "//me TEXT",
    "msg": "/to JID, then the message",
    "query": "/to JID",
    "chat": "/to JID",
    "contacts": "/roster list",
    "buddies": "/roster list",
    "whois": "/vcard get JID",
    "away": "/presence away",
    "status": "/presence SHOW TEXT",
    "exit": "/quit",
    "bye": "/quit",
    "disconnect": "/quit",
    "clear": "Ctrl-L",
}
