"""Every module is named by a test: who changes a file finds in the tree what shows its behaviour."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = {
    path.relative_to(ROOT).with_suffix("").as_posix()
    for path in (ROOT / "xmppsh").rglob("*.py")
    if path.name != "__init__.py"
}
TESTS = {path.relative_to(ROOT / "tests").as_posix(): path for path in (ROOT / "tests").rglob("*.py")}

# What runs in a process of its own, and is not imported by its tests: the tests that show it, and the modules.
SHOWN_BY = {
    "agent/test_agent.py": "agent: allowed borrowed commands pool request running server sessions streams thin",
    "arch/test_documents.py": "commands: schema · cli: help",
    "commands/test_completion.py": "app: candidates",
    "commands/test_pipe_apart.py": "xmlio: apart",
    "registry/test_registry.py": "registry: spec",
    "commands/test_send.py": "commands/send: bodies order send",
    "commands/test_sessions.py": "commands: session_records",
    "commands/test_usage.py": "cli: run · __main__",
    "config/test_load.py": "config: ahead document",
    "connection/test_lasting.py": "connection: ports takeover",
    "connection/test_race.py": "connection: opening",
    "express/test_bundle.py": "cli: bundle",
    "e2e/test_connect_commands.py": (
        "shell: connect surroundings · shell/lines: desk interpreter own_commands records · shell/shown: printer"
    ),
    "e2e/test_connect_cut.py": "shell: fates standing · shell/lines: sent",
    "e2e/test_connect_ends.py": "shell: repl · shell/lines: failure",
    "e2e/test_connect_line.py": "shell/typing: editor lexer",
    "e2e/test_connect_rooms.py": "shell/lines: who",
    "e2e/test_endings.py": "cli: report supervise · commands/listen: ending",
    "e2e/test_flood.py": "commands/listen: together · xep: stored_first",
    "e2e/test_single_file.py": "oneself",
    "e2e/test_stranded.py": "session: availability",
    "hostile/test_dane.py": "doctor: dnssec",
    "hostile/test_express.py": "cli: express · express: bounces link session sessions waits · session: outcome",
    "hostile/test_gates.py": "protocol: negotiation",
    "hostile/test_two_processes.py": "outbox: control",
    "interop/test_account.py": (
        "commands: block disco entity history presence roster upload · net: put · output: appending"
        " · xep: disco missing roster upload"
    ),
    "interop/test_asked.py": "xep: receipts",
    "interop/test_catch_up.py": "session: clock · xep: catch_up room_gaps",
    "interop/test_inbox.py": "app: reading · session: others",
    "interop/test_doctor.py": (
        "doctor: case check_dns check_hostmeta check_login check_services check_stream check_tcp check_tls"
        " examine probe report"
    ),
    "interop/test_explain.py": "commands: explain",
    "interop/test_iq_raw_ping.py": "commands: iq ping raw · output: verbatim · xmlio: xpath",
    "interop/test_listen.py": (
        "commands: appearing room_options · commands/listen: filters jobs listen · session: session_port streams"
        " · xep: carbons greeting"
    ),
    "interop/test_outbox.py": "commands: outbox · app: storage · outbox: database registry",
    "interop/test_own_account.py": "commands: own_account · session: registration · xep: register",
    "interop/test_own_nodes.py": (
        "commands: avatar bookmarks pubsub pubsub_records vcard · xep: avatar bookmarks pubsub vcard"
    ),
    "interop/test_pipe.py": "commands/pipe: pipe input proof run · app: ports · session: collecting",
    "e2e/test_connect_script.py": "commands: collecting · app: sources · shell: run script · shell/lines: of_file",
    "interop/test_reap.py": "ghosts: dead_session reap",
    "interop/test_adhoc.py": "commands: adhoc form_records",
    "interop/test_room.py": "commands: room · xep: muc",
    "interop/test_login.py": "commands: login",
    "interop/test_send_lines.py": "commands/send: telling",
    "interop/test_send.py": (
        "app: account own_session · commands: attachments resending · commands/send: delivery"
        " · output: failure printer · xmlio: payloads"
    ),
    "interop/test_witness.py": "commands: witness",
    "playground/test_nodes.py": "playground: cards nodes",
    "playground/test_room_rules.py": "playground: room_admin room_rules",
    "playground/test_services.py": (
        "playground: archive blocking carbons echo handlers ports queries roster session upload"
    ),
    "playground/test_visitor.py": "shell: playground tour visitor · playground: heir",
    "protocol/test_ahead.py": "protocol: binding",
    "protocol/test_resumption.py": "protocol: resuming",
    "shell/lines/test_aliases.py": "shell/lines: secret_lines",
    "shell/shown/test_conversation.py": "shell/shown: refers",
    "shell/typing/test_complete.py": "shell/lines: rooms · shell/typing: arguments vocabulary · app: shared_session",
}


def _listed() -> set[str]:
    """The modules of SHOWN_BY, as paths."""
    found = set()
    for text in SHOWN_BY.values():
        for group in text.split(" · "):
            room, _, names = group.rpartition(": ")
            found |= {"/".join(part for part in ("xmppsh", room, name) if part) for name in names.split()}
    return found


def _imported(module: str, text: str) -> bool:
    package, _, name = module.replace("/", ".").rpartition(".")
    pattern = rf"{re.escape(package)}\.{name}\b|from {re.escape(package)} import (?:\w+(?: as \w+)?, )*{name}\b"
    return re.search(pattern, text) is not None


def test_every_module_is_named_by_a_test() -> None:
    text = "\n".join(path.read_text() for path in TESTS.values())
    unnamed = {
        module
        for module in MODULES - _listed()
        if not _imported(module, text) and re.sub(r"^xmppsh/(.*?)(\w+)$", r"\1test_\2.py", module) not in TESTS
    }
    assert unnamed == set(), "say in SHOWN_BY, tests/arch/test_modules.py, which test shows what they do"


def test_the_list_names_what_is_there() -> None:
    assert _listed() - MODULES == set()
    assert SHOWN_BY.keys() - TESTS.keys() == set()
