"""The registry: every command and every fact about it. A command's module is imported when it runs, not before.

A command is one function in its module, named after its path (`("outbox", "list")` is `outbox_list`), and one `Spec`
here. The command line, the shell, `xmppsh help` and completion all read this list.
"""

from __future__ import annotations

from xmppsh.registry.spec import SECTIONS as SECTIONS
from xmppsh.registry.spec import Group as Group
from xmppsh.registry.spec import Path as Path
from xmppsh.registry.spec import Spec as Spec

MESSAGE, ONLINE = "xmppsh.output.records:MessageRecord", "xmppsh.shell.lines.who:Online"
STANZAS = (MESSAGE, "xmppsh.output.records:PresenceRecord", "xmppsh.output.records:IqRecord")
IQ_RECORDS = IQ_ANSWER, _ = "xmppsh.commands.iq:IqAnswer", "xmppsh.commands.iq:IqFound"
CONTACT = "xmppsh.commands.roster:RosterContact"
DISCO_ITEM = "xmppsh.commands.disco:DiscoItem"
FORM_FIELD = "xmppsh.commands.form_records:FormField"
AGENT = "xmppsh.agent.commands:AgentFacts"
AVATAR = "xmppsh.commands.avatar:Avatar"
ROOM, PUBSUB = "xmppsh.commands.room", "xmppsh.commands.pubsub"
PUBLISHED, ITEM, EVENT, SUBSCRIPTION = (
    f"xmppsh.commands.pubsub_records:{name}" for name in ("Published", "PubsubItem", "PubsubEvent", "Subscription")
)
OUTBOX_ENTRY = "xmppsh.commands.outbox:OutboxEntry"

COMMANDS: dict[Path, Spec] = {
    ("connect",): Spec(
        "xmppsh.shell.connect",
        "Open the interactive shell.",
        "talk",
        "lasting",
        records=(MESSAGE, ONLINE),
        not_in_shell="the shell is open already: /quit, then xmppsh connect JID",
    ),
    ("run",): Spec(
        "xmppsh.shell.run",
        "Run the lines of a file, as the shell would.",
        "talk",
        "lasting",
        records=(MESSAGE, ONLINE),
        not_in_shell="the shell has /source FILE",
    ),
    ("send",): Spec(
        "xmppsh.commands.send.send",
        "Send a message; success means that the server has it.",
        "talk",
        tail="text",
        records=(*(f"xmppsh.commands.send.send:{name}" for name in ("Sent", "SendResult", "QueuedMessage")), MESSAGE),
        lasting_with=("lines",),
        stdin_below=("words", 2),
        reports_bounces=True,
    ),
    ("listen",): Spec(
        "xmppsh.commands.listen.listen",
        "Print what arrives, one record per stanza.",
        "talk",
        "lasting",
        records=STANZAS,
        not_in_shell="the shell prints what arrives by itself",
    ),
    ("room", "list"): Spec(ROOM, "Show the rooms of a service.", "talk", records=(f"{ROOM}:Room",)),
    ("room", "who"): Spec(ROOM, "Show who is in a room.", "talk", records=(f"{ROOM}:Occupant",)),
    ("room", "subject"): Spec(
        ROOM,
        "Show or change the subject of a room.",
        "talk",
        reports_bounces=True,
        records=(f"{ROOM}:Subject",),
    ),
    ("room", "invite"): Spec(ROOM, "Invite someone.", "talk", reports_bounces=True),
    ("room", "affiliation"): Spec(
        ROOM, "Show or change who is owner, member, outcast, …", "talk", records=(f"{ROOM}:Affiliation",)
    ),
    ("room", "role"): Spec(ROOM, "Make someone moderator, visitor, …", "talk"),
    ("room", "config"): Spec(ROOM, "Show or change a room's configuration.", "talk", records=(FORM_FIELD,)),
    ("room", "destroy"): Spec(ROOM, "Destroy a room.", "talk"),
    ("pipe",): Spec(
        "xmppsh.commands.pipe.pipe",
        "Send a stream of stanzas from stdin or a file.",
        "stream",
        "lasting",
        records=("xmppsh.commands.pipe.pipe:PipeReply", "xmppsh.commands.pipe.pipe:PipeSummary"),
        not_in_shell="the shell's lines are its input: xmppsh pipe runs outside",
    ),
    ("iq",): Spec("xmppsh.commands.iq", "Send an IQ request and print the answer.", "stream", records=IQ_RECORDS),
    ("raw",): Spec("xmppsh.commands.raw", "Send stanzas as they are.", "stream", records=(IQ_ANSWER,)),
    ("roster", "list"): Spec("xmppsh.commands.roster", "Show the contacts.", "account", records=(CONTACT,)),
    ("roster", "add"): Spec("xmppsh.commands.roster", "Add a contact, or change one.", "account"),
    ("roster", "rename"): Spec("xmppsh.commands.roster", "Rename a contact.", "account"),
    ("roster", "remove"): Spec("xmppsh.commands.roster", "Remove a contact.", "account"),
    ("roster", "export"): Spec("xmppsh.commands.roster", "Print the contacts as JSON.", "account", records=(CONTACT,)),
    ("roster", "import"): Spec(
        "xmppsh.commands.roster", "Add the contacts of an export.", "account", stdin_below=("file", 1)
    ),
    ("presence", "set"): Spec("xmppsh.commands.presence", "Send your presence.", "account"),
    ("presence", "probe"): Spec(
        "xmppsh.commands.presence",
        "Ask for someone's presence now.",
        "account",
        records=("xmppsh.output.records:PresenceRecord",),
    ),
    ("presence", "subscribe"): Spec("xmppsh.commands.presence", "Ask to see someone's presence.", "account"),
    ("presence", "approve"): Spec("xmppsh.commands.presence", "Let someone see your presence.", "account"),
    ("presence", "deny"): Spec("xmppsh.commands.presence", "Hide your presence from someone.", "account"),
    ("block", "list"): Spec(
        "xmppsh.commands.block", "Show who is blocked.", "account", records=("xmppsh.commands.block:Blocked",)
    ),
    ("block", "add"): Spec("xmppsh.commands.block", "Block someone.", "account"),
    ("block", "remove"): Spec("xmppsh.commands.block", "Unblock someone.", "account"),
    ("bookmarks", "list"): Spec(
        "xmppsh.commands.bookmarks",
        "Show the bookmarked rooms.",
        "account",
        records=("xmppsh.commands.bookmarks:BookmarkRecord",),
    ),
    ("bookmarks", "add"): Spec("xmppsh.commands.bookmarks", "Bookmark a room.", "account"),
    ("bookmarks", "remove"): Spec("xmppsh.commands.bookmarks", "Remove a bookmark.", "account"),
    ("vcard", "get"): Spec(
        "xmppsh.commands.vcard", "Show someone's vCard.", "account", records=("xmppsh.commands.vcard:VcardField",)
    ),
    ("vcard", "set"): Spec("xmppsh.commands.vcard", "Change your vCard.", "account"),
    ("avatar", "get"): Spec("xmppsh.commands.avatar", "Fetch someone's avatar.", "account", records=(AVATAR,)),
    ("avatar", "set"): Spec("xmppsh.commands.avatar", "Set your avatar from a file.", "account", records=(AVATAR,)),
    ("avatar", "remove"): Spec("xmppsh.commands.avatar", "Remove your avatar.", "account"),
    ("history", "list"): Spec(
        "xmppsh.commands.history", "Show the last messages of the archive.", "account", records=(MESSAGE,)
    ),
    ("history", "export"): Spec(
        "xmppsh.commands.history", "Print the whole archive as JSON.", "account", records=(MESSAGE,)
    ),
    ("upload",): Spec(
        "xmppsh.commands.upload",
        "Upload files, and print their URLs.",
        "account",
        records=("xmppsh.commands.upload:Uploaded",),
    ),
    ("account", "register"): Spec(
        "xmppsh.commands.own_account",
        "Register an account.",
        "account",
        "none",
        records=(FORM_FIELD,),
        not_in_shell="the shell has logged in already: xmppsh account register runs outside",
    ),
    ("account", "passwd"): Spec(
        "xmppsh.commands.own_account",
        "Change the account's password.",
        "account",
        not_in_shell="the shell would log in again with the old one: xmppsh account passwd runs outside",
    ),
    ("account", "delete"): Spec(
        "xmppsh.commands.own_account",
        "Delete the account.",
        "account",
        not_in_shell="it ends the session: xmppsh account delete runs outside",
    ),
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
        "Close sessions that dead programs on this machine left behind.",
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
    ("version",): Spec(
        "xmppsh.commands.entity",
        "Ask a client or server for its name and version.",
        "server",
        records=("xmppsh.commands.entity:Version",),
    ),
    ("time",): Spec(
        "xmppsh.commands.entity",
        "Ask a client or server for its time.",
        "server",
        records=("xmppsh.commands.entity:EntityTime",),
    ),
    ("last",): Spec(
        "xmppsh.commands.entity",
        "Ask how long someone has been idle or away.",
        "server",
        records=("xmppsh.commands.entity:LastActivity",),
    ),
    ("disco", "info"): Spec(
        "xmppsh.commands.disco",
        "Show what an address is and can do.",
        "server",
        records=("xmppsh.commands.disco:DiscoIdentity", "xmppsh.commands.disco:DiscoFeature"),
    ),
    ("disco", "items"): Spec(
        "xmppsh.commands.disco", "Show what belongs to an address.", "server", records=(DISCO_ITEM,)
    ),
    ("disco", "tree"): Spec(
        "xmppsh.commands.disco", "Show items and their items as a tree.", "server", records=(DISCO_ITEM,)
    ),
    ("pubsub", "nodes"): Spec(PUBSUB, "Show the nodes of a service or account.", "server", records=(DISCO_ITEM,)),
    ("pubsub", "get"): Spec(PUBSUB, "Show the items of a node.", "server", records=(ITEM,)),
    ("pubsub", "publish"): Spec(PUBSUB, "Publish an item.", "server", records=(PUBLISHED,)),
    ("pubsub", "retract"): Spec(PUBSUB, "Retract an item.", "server"),
    ("pubsub", "subscribe"): Spec(PUBSUB, "Subscribe the account to a node.", "server", records=(SUBSCRIPTION,)),
    ("pubsub", "unsubscribe"): Spec(PUBSUB, "Cancel a subscription to a node.", "server"),
    ("pubsub", "watch"): Spec(PUBSUB, "Print a node's events as they happen.", "server", "lasting", records=(EVENT,)),
    ("pubsub", "create"): Spec(PUBSUB, "Create a node.", "server"),
    ("pubsub", "config"): Spec(PUBSUB, "Show or change a node's configuration.", "server", records=(FORM_FIELD,)),
    ("pubsub", "delete"): Spec(PUBSUB, "Delete a node.", "server"),
    ("adhoc", "list"): Spec(
        "xmppsh.commands.adhoc",
        "Show the commands that an address offers.",
        "server",
        records=("xmppsh.commands.adhoc:AdhocCommand",),
    ),
    ("adhoc", "run"): Spec(
        "xmppsh.commands.adhoc",
        "Run a command.",
        "server",
        records=(FORM_FIELD, "xmppsh.commands.adhoc:AdhocResult"),
    ),
    ("doctor",): Spec(
        "xmppsh.commands.doctor",
        "Diagnose the connection to a server, from DNS to stream management.",
        "server",
        "none",
        records=("xmppsh.doctor.report:Check",),
        monitors=True,
    ),
    ("explain",): Spec(
        "xmppsh.commands.explain",
        "Show which servers would be tried, in which order and why.",
        "server",
        "none",
        records=("xmppsh.app.candidates:Candidate",),
    ),
    ("outbox", "list"): Spec(
        "xmppsh.commands.outbox",
        "Show messages that were never confirmed.",
        "machine",
        "none",
        records=(OUTBOX_ENTRY,),
    ),
    ("outbox", "retry"): Spec("xmppsh.commands.outbox", "Settle messages, send what did not arrive.", "machine"),
    ("outbox", "flush"): Spec("xmppsh.commands.outbox", "Send what send --queue has stored.", "machine"),
    ("outbox", "drop"): Spec("xmppsh.commands.outbox", "Forget messages.", "machine", "none", records=(OUTBOX_ENTRY,)),
    ("agent", "start"): Spec(
        "xmppsh.agent.commands",
        "Start the agent, which keeps sessions open for other commands.",
        "machine",
        "none",
        records=(AGENT,),
        not_in_shell="the shell has a session of its own: xmppsh agent start runs outside",
    ),
    ("agent", "status"): Spec(
        "xmppsh.agent.commands",
        "Show the agent and its sessions.",
        "machine",
        "none",
        records=(AGENT, "xmppsh.agent.commands:AgentSession"),
    ),
    ("agent", "stop"): Spec("xmppsh.agent.commands", "Close the agent's sessions and stop it.", "machine", "none"),
    ("login",): Spec(
        "xmppsh.commands.login",
        "Log in once, and save the account for the next time.",
        "machine",
        asks_anew=True,
        not_in_shell="xmppsh login JID runs outside the shell",
    ),
    ("config", "show"): Spec(
        "xmppsh.commands.config",
        "Show the settings in force, and where they come from.",
        "machine",
        "none",
        records=("xmppsh.commands.config:SettingRecord",),
    ),
    ("config", "set"): Spec("xmppsh.commands.config", "Change a line of the config file.", "machine", "none"),
    ("config", "path"): Spec("xmppsh.commands.config", "Print where the config file is.", "machine", "none"),
    ("playground",): Spec(
        "xmppsh.shell.playground",
        "Start a throw-away server on loopback, with the shell on it.",
        "machine",
        "none",
        records=(MESSAGE,),
        not_in_shell="xmppsh playground runs outside the shell",
    ),
    ("schema",): Spec("xmppsh.commands.schema", "Print the JSON schema of the records.", "machine", "none"),
    ("completion",): Spec(
        "xmppsh.commands.completion",
        "Print the script for tab completion in bash, zsh or fish.",
        "machine",
        "none",
        not_in_shell="the Tab key completes here by itself",
    ),
    ("help",): Spec(
        "xmppsh.commands.help",
        "Show help on a command or a topic.",
        "machine",
        "none",
        not_in_shell="/help and /help COMMAND do it here",
    ),
}

GROUPS: dict[Path, Group] = {
    ("roster",): Group("Show and change the account's contacts.", "account"),
    ("presence",): Group("Send presence, and manage who may see whose.", "account"),
    ("block",): Group("Show and change who is blocked.", "account"),
    ("bookmarks",): Group("Show and change the bookmarked rooms.", "account"),
    ("vcard",): Group("Show someone's vCard, change your own.", "account"),
    ("avatar",): Group("Fetch someone's avatar, change your own.", "account"),
    ("pubsub",): Group("Nodes of a service or an account, and their items.", "server"),
    ("history",): Group("Read the archive of the account or of a room.", "account"),
    ("room",): Group("Rooms: occupants, subject, roles, configuration.", "talk"),
    ("account",): Group("Register an account, change its password, delete it.", "account"),
    ("adhoc",): Group("Commands that servers and clients offer.", "server"),
    ("disco",): Group("Discover what an address is, what it can do, what belongs to it.", "server"),
    ("sessions",): Group("Show or close the account's sessions, dead ones too.", "account"),
    ("agent",): Group("Keep sessions open, so that commands need no login of their own.", "machine"),
    ("config",): Group("Show and change the settings.", "machine"),
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
