"""`make table`: every command of the registry, the test that shows it, and how that went on Prosody and on ejabberd.

Each test looks at what was done as a second account, or a second call, sees it. `python tests/arch/table.py
--write` writes docs/commands.md, which a test holds against the registry.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from xmppsh.registry import COMMANDS

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "commands.md"
SERVERS = ("prosody", "ejabberd")
HEAD = """# Every command and its test

Each command of the registry with the tests that show that it does its job, as a second account or a second call sees
it. `make table` runs them on Prosody and on ejabberd, and prints the table with what came of it. What a server lacks is
told by its name: `tests/interop/test_lacking.py` runs each command that asks a server for something on one that has
logins, messages and rosters alone. Written by `python tests/arch/table.py --write`.

On the newest servers (Prosody 13.0.7 and ejabberd 26.07, Debian testing), 2026-11-28, in several runs:
`make interop-next` passed, the two-node cluster included, and so did every row of this table, by
`XMPPSH_TEST_ROOT=/var/tmp/xmppsh-next make table`. `sessions close` and `outbox drop` are run on Prosody alone.

| command | shown by |
| --- | --- |
"""
LACKING = "interop/test_lacking.py::test_what_a_server_lacks_is_told_by_name"
# The tests by file, and the commands that each of them shows.
SHOWN: dict[str, dict[str, str]] = {
    "interop/test_account.py": {
        "test_version_time_and_last_ask_the_server": "version, time, last",
        "test_disco_shows_features_services_and_a_tree": "disco info, disco items, disco tree",
        "test_the_roster_is_changed_and_shown": "roster list, roster add, roster rename, roster remove",
        "test_an_export_imported_elsewhere_gives_the_same_roster_however_often": "roster export, roster import",
        "test_presence_is_asked_for_and_given": "presence subscribe, presence approve, presence deny",
        "test_who_is_blocked_cannot_write": "block list, block add, block remove",
        "test_upload_prints_where_the_file_can_be_got": "upload",
        "test_history_lists_the_last_messages_and_those_with_somebody": "history list",
        "test_an_export_that_is_killed_goes_on_with_nothing_missing_or_doubled": "history export",
    },
    "interop/test_killed.py": {
        "test_an_import_shows_how_far_it_is_and_goes_on_after_a_kill": "roster import",
        "test_the_export_of_a_room_that_is_killed_goes_on_with_nothing_missing_or_doubled": "history export",
    },
    "interop/test_own_account.py": {
        "test_an_account_is_made_gets_another_password_and_goes": "account register, account passwd, account delete",
    },
    "interop/test_own_nodes.py": {
        "test_a_room_is_marked_kept_private_changed_and_forgotten": "bookmarks list, bookmarks add, bookmarks remove",
        "test_a_card_is_changed_field_by_field_and_shown_to_others": "vcard get, vcard set",
        "test_a_picture_is_set_fetched_checked_and_taken_away": "avatar get, avatar set, avatar remove",
        "test_who_watches_a_node_sees_what_its_owner_does_and_what_nobody_else_says": (
            "pubsub nodes, pubsub get, pubsub publish, pubsub retract, pubsub watch, pubsub create, pubsub delete"
        ),
        "test_a_node_is_configured_by_the_form_that_it_has": "pubsub config",
        "test_who_has_subscribed_is_told_and_no_more_afterwards": "pubsub subscribe, pubsub unsubscribe",
        "test_a_probe_shows_a_contact_that_is_online_and_nothing_of_a_stranger": "presence probe",
        "test_a_contact_sees_how_available_we_say_we_are": "presence set",
    },
    "interop/test_room.py": {
        "test_rooms_and_who_is_in_them_are_listed": "room list, room who",
        "test_the_subject_is_changed_and_shown": "room subject",
        "test_a_room_that_refuses_a_subject_or_a_guest_says_so": "room subject, room invite",
        "test_the_configuration_is_shown_and_changed_by_its_types": "room config",
        "test_members_are_made_banned_and_put_out": "room affiliation, room role",
        "test_a_guest_is_invited": "room invite",
        "test_to_destroy_a_room_needs_a_yes": "room destroy",
    },
    "interop/test_adhoc.py": {
        "test_a_command_of_several_stages_is_run": "adhoc list, adhoc run",
        "test_the_server_s_own_commands_are_run_by_its_admin": "adhoc list, adhoc run",
    },
    "interop/test_main_job.py": {
        "test_a_text_from_the_command_line_arrives_exact": "send",
        "test_two_hundred_mixed_stanzas_are_piped_in_order": "pipe",
        "test_listen_prints_one_json_record_and_ends": "listen",
        "test_an_iq_prints_the_payload_of_the_answer": "iq",
        "test_raw_sends_stanzas_as_they_stand": "raw",
    },
    "interop/test_iq_raw_ping.py": {"test_ping_at_an_interval_ends_with_a_summary_at_ctrl_c": "ping"},
    "e2e/test_connect_commands.py": {"test_a_room_is_entered_written_to_and_left": "connect"},
    "e2e/test_connect_script.py": {"test_run_takes_its_lines_from_a_file_and_leaves_stdin_alone": "run"},
    "interop/test_sessions.py": {
        "test_the_session_that_lists_is_not_listed": "sessions list",
        "test_reap_closes_what_dead_programs_left_and_nothing_else": "sessions reap",
    },
    "interop/test_locks.py": {
        "test_sessions_are_listed_and_closed_though_a_store_is_damaged_and_a_lock_is_not_ours": "sessions close",
    },
    "interop/test_witness.py": {"test_a_second_witness_takes_the_place_of_the_first_which_says_so": "witness"},
    "interop/test_doctor.py": {"test_all_is_well": "doctor"},
    "interop/test_explain.py": {"test_it_shows_every_place_with_its_source_and_dials_none": "explain"},
    "interop/test_outbox.py": {
        "test_what_a_crash_left_is_listed_and_settled_by_the_archive": "outbox list, outbox retry",
        "test_drop_forgets_what_is_named_and_everything_only_when_sure": "outbox drop",
    },
    "interop/test_send.py": {"test_queue_stores_what_the_server_is_not_there_for": "outbox flush"},
    "interop/test_login.py": {"test_login_keeps_a_profile_and_the_password_in_the_keyring": "login"},
    "agent/test_agent.py": {
        "test_commands_share_one_session_and_a_stop_closes_it": "agent start, agent status, agent stop",
    },
    "commands/test_config.py": {
        "test_show_tells_what_is_in_force_and_who_says_so": "config show",
        "test_set_changes_a_line": "config set",
        "test_path_names_the_file_and_set_makes_it": "config path",
    },
    "playground/test_visitor.py": {"test_it_ends_as_its_program_ends": "playground"},
    "output/test_schema.py": {"test_a_schema_is_one_and_every_field_is_described": "schema"},
    "commands/test_completion.py": {"test_the_scripts_of_the_repository_are_those_of_the_program": "completion"},
    "commands/test_usage.py": {"test_without_arguments_the_help_is_shown": "help"},
}


def shown() -> dict[str, list[str]]:
    """The tests of each command, in the order of the registry."""
    found: dict[str, list[str]] = {" ".join(path): [] for path in COMMANDS}
    for file, tests in SHOWN.items():
        for test, commands in tests.items():
            for command in commands.split(", "):
                found.setdefault(command, []).append(f"{file}::{test}")
    return found


def document() -> str:
    """docs/commands.md."""
    rows = (f"| `{name}` | {', '.join(f'`tests/{one}`' for one in tests)} |" for name, tests in shown().items())
    return HEAD + "\n".join(rows) + "\n"


def outcomes(report: Path) -> dict[tuple[str, str], str]:
    """How each test went, by its id and the server: ok or FAILED; a test that needs neither has the server ''."""
    found: dict[tuple[str, str], str] = {}
    for case in ElementTree.parse(report).iterfind(".//testcase"):
        name, _, parameters = case.get("name", "").partition("[")
        test = f"{case.get('classname', '').removeprefix('tests.').replace('.', '/')}.py::{name}"
        server = next((one for one in SERVERS if one in parameters), "")
        failed = case.find("failure") is not None or case.find("error") is not None
        said = "FAILED" if failed else "skipped" if case.find("skipped") is not None else "ok"
        if found.get((test, server), "ok") == "ok":
            found[test, server] = said
    return found


def cell(tests: list[str], server: str, went: dict[tuple[str, str], str]) -> str:
    """What all tests of a command gave on a server; in brackets where they need none."""
    here = [went.get((test, server)) for test in tests]
    anywhere = [went.get((test, "")) for test in tests]
    said = {one for one in (*here, *anywhere) if one is not None}
    worst = next((one for one in ("FAILED", "skipped", "ok") if one in said), "not run")
    return worst if any(here) else f"({worst})"


def main() -> int:
    """Run the tests, print the table; the exit code is that of pytest."""
    tests = sorted({LACKING, *(one for listed in shown().values() for one in listed)})
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        pytest = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", f"--junitxml={report}"]
        code = subprocess.run(
            [*pytest, *(f"tests/{one}" for one in tests)],
            cwd=ROOT, env=os.environ | {"XMPPSH_ALL": "1"}, stdout=sys.stderr, check=False,
        ).returncode  # fmt: skip
        went = outcomes(report)
    print(f"{'command':22} {SERVERS[0]:10} {SERVERS[1]:10} shown by")
    for name, listed in [*shown().items(), ("what is lacking", [LACKING])]:
        cells = (cell(listed, server, went) for server in SERVERS)
        print(f"{name:22} {next(cells):10} {next(cells):10} {', '.join(one.partition('::')[2] for one in listed)}")
    return code


if __name__ == "__main__":
    if "--write" in sys.argv:
        DOCUMENT.write_text(document())
    else:
        sys.exit(main())
