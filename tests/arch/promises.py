"""The options and exit codes of the contract, and for each the test that shows it.

Each exit code has a test in which a real situation brings a process, or the program's own `main`, to that end. An
option of a verb for scripts has one in which it does something: to be refused, or to complete, is not enough.
`test_promises.py` holds both against the registry, and looks whether a test that is named here uses what it shows.
"""

VERBS = ("send", "listen", "pipe", "iq", "raw", "ping", "outbox", "sessions")
OPTIONS: dict[str, dict[str, str]] = {
    "interop/test_send.py": {
        "test_recipients_come_from_stdin_where_the_text_does_not": "send --to-file",
        "test_the_record_has_the_id_and_the_ack": "send --id, send --wait",
        "test_room_joins_speaks_and_leaves": "send --room, send --nick",
        "test_attach_uploads_and_sends_the_url": "send --attach",
        "test_a_bad_line_takes_no_good_one_with_it": "send --control",
        "test_queue_stores_what_the_server_is_not_there_for": "send --queue",
    },
    "interop/test_main_job.py": {
        "test_several_recipients_get_the_same_message": "send --to",
        "test_each_line_of_stdin_is_a_message_sent_as_it_comes": "send --lines",
        "test_some_of_many_failed_is_80_and_each_says_which": "send --each",
        "test_listen_is_75_when_fewer_records_came": "listen --count, listen --wait",
        "test_pings_are_answered_by_the_server_and_by_our_own_listener": "ping --count",
    },
    "commands/test_send.py": {
        "test_the_body_is_made_of_what_was_given": "send --batch, send --pre",
        "test_an_option_puts_its_element_into_the_message": (
            "send --replace, send --reply-to, send --retract, send --react"
        ),
        "test_the_quotation_is_marked_for_clients_that_know_replies": "send --quote",
        "test_empty_sends_an_empty_body": "send --empty",
    },
    "app/test_dry_run.py": {
        "test_send_prints_the_message": "send --type, send --subject, send --thread, send --lang",
        "test_send_attaches_urls": "send --oob",
    },
    "playground/test_room_rules.py": {"test_its_owner_says_who_may_enter_and_speak": "send --room-password"},
    "interop/test_listen_only.py": {"test_presence_and_requests_still_reach_it": "listen --only"},
    "interop/test_listen.py": {
        "test_a_filter_leaves_out_what_does_not_fit": (
            "listen --from, listen --to, listen --type, listen --body, listen --xpath, listen --all"
        ),
        "test_drain_ends_with_what_waits": "listen --drain",
        "test_without_carbons_what_another_client_of_ours_is_sent_is_not_asked_for_and_not_printed": (
            "listen --no-carbons"
        ),
        "test_a_descriptor_is_written_to_once_it_listens": "listen --ready",
        "test_exec_runs_a_program_for_each_record": "listen --exec",
        "test_after_kill_9_each_record_is_handled_and_at_most_those_twice_that_were_running": "listen --jobs",
        "test_reply_sends_what_the_program_prints": "listen --reply",
        "test_subscriptions_are_accepted_by_a_pattern": "listen --accept-subscriptions",
        "test_presence_says_what_was_asked_for": "listen --show, listen --status, listen --priority",
    },
    "interop/test_listen_rooms.py": {
        "test_room_joins_and_shows_what_is_said": "listen --room",
        "test_a_room_is_joined_by_the_nick_and_with_the_password_that_were_given": (
            "listen --nick, listen --room-password"
        ),
    },
    "interop/test_asked.py": {
        "test_a_listener_confirms_where_it_is_told_to_says_so_and_strangers_learn_nothing": "listen --receipts",
        "test_a_listener_that_nobody_looks_at_says_so_on_each_stream": "listen --inactive",
    },
    "interop/test_catch_up.py": {
        "test_what_the_archive_gave_to_a_run_that_ended_cleanly_is_not_printed_again_from_the_offline_store": (
            "listen --no-presence"
        ),
    },
    "interop/test_inbox.py": {
        "test_with_an_inbox_of_nothing_what_nobody_reads_stays_with_the_server": "listen --inbox-max",
    },
    "playground/test_faults.py": {
        "test_a_listener_that_waits_for_a_slow_archive_says_so": "listen --ready-file",
        "test_of_what_is_not_acknowledged_a_window_is_on_the_way_and_no_more": "pipe --window",
    },
    "interop/test_pipe.py": {
        "test_each_kind_of_input_is_understood": "pipe --input, pipe --to, pipe --root",
        "test_rate_spreads_the_stanzas": "pipe --rate",
        "test_a_checkpoint_goes_on_with_the_same_input_alone": "pipe --checkpoint",
        "test_skip_bad_reports_and_goes_on": "pipe --skip-bad",
        "test_replies_tell_the_line_of_what_they_answer": "pipe --replies",
        "test_keep_from_leaves_the_judgement_to_the_server": "pipe --keep-from",
    },
    "interop/test_iq_raw_ping.py": {
        "test_xpath_prints_what_it_finds": "iq --xpath",
        "test_ping_at_an_interval_ends_with_a_summary_at_ctrl_c": "ping --interval",
    },
    "interop/test_outbox.py": {
        "test_drop_forgets_what_is_named_and_everything_only_when_sure": "outbox drop --yes",
    },
    "interop/test_sessions.py": {
        "test_where_it_takes_presence_list_says_so_and_visible_sends_it_for_a_moment": "sessions list --visible",
    },
}
CODES: dict[int, str] = {
    0: "interop/test_main_job.py::test_listen_without_a_count_is_0_when_the_time_is_over",
    64: "commands/test_usage.py::test_a_missing_choice_is_one_readable_line",
    65: "interop/test_main_job.py::test_what_came_before_a_bad_stanza_is_sent_and_the_line_is_named",
    66: "commands/test_usage.py::test_a_stdin_that_is_closed_is_66_and_no_empty_input",
    67: "interop/test_main_job.py::test_an_unknown_user_is_67_with_one_line_and_what_to_try",
    68: "interop/test_failures.py::test_a_domain_that_the_server_does_not_serve_is_said",
    69: "interop/test_failures.py::test_a_refused_connection_is_69",
    70: "e2e/test_single_file.py::test_the_single_file_sends_listens_and_has_an_agent_and_says_what_it_lacks",
    74: "interop/test_outbox.py::test_a_state_folder_that_cannot_be_written_is_74_and_sends_nothing",
    75: "interop/test_failures.py::test_a_silent_server_is_75_within_the_deadline",
    76: "interop/test_failures.py::test_a_bad_certificate_is_named",
    77: "interop/test_failures.py::test_a_wrong_password_is_refused",
    78: "commands/test_usage.py::test_a_fault_of_the_config_is_78",
    79: "playground/test_faults.py::test_what_is_never_acknowledged_is_no_success",
    80: "interop/test_main_job.py::test_some_of_many_failed_is_80_and_each_says_which",
    81: "interop/test_send.py::test_queue_stores_what_the_server_is_not_there_for",
    129: "e2e/test_endings.py::test_a_signal_closes_the_stream_and_gives_its_exit_code",
    130: "e2e/test_endings.py::test_a_signal_closes_the_stream_and_gives_its_exit_code",
    143: "e2e/test_endings.py::test_a_signal_closes_the_stream_and_gives_its_exit_code",
}
