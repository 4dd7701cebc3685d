"""The report for people: each fault once with all its places, facts beside it, what was not reached counted."""

import pytest

from xmppsh.doctor.report import Check
from xmppsh.doctor.rows import Rows

REFUSED = [
    Check("tls", "handshake [2001:db8::7]:5222", "ok", "STARTTLS, TLSv1.3"),
    Check("tls", "chain [2001:db8::7]:5222", "fail", "not signed", "--ca FILE"),
    Check("tls", "certificate [2001:db8::7]:5222", "ok", "issued by Example CA"),
    Check("tls", "chain 192.0.2.7:5222", "fail", "not signed", "--ca FILE"),
    Check("tls", "certificate 192.0.2.7:5222", "ok", "issued by Example CA"),
    Check("stream", "header", "skip", "because chain [2001:db8::7]:5222 failed"),
    Check("sasl", "login", "skip", "because chain [2001:db8::7]:5222 failed"),
]


def rows(columns: int, *checks: Check) -> list[str]:
    made = Rows(columns)
    return [row for check in checks for row in made.add(check)] + list(made.end())


def test_one_fault_is_one_row_with_its_places_and_what_is_known_of_the_certificate() -> None:
    assert rows(0, *REFUSED) == [
        " ✗ tls     [2001:db8::7]:5222, 192.0.2.7:5222: not signed; issued by Example CA; try: --ca FILE",
        " · stream, sasl: not reached, because chain [2001:db8::7]:5222 failed (2 checks; -v lists them)",
    ]


def test_what_is_one_row_is_counted_once() -> None:
    made = Rows(0)
    for check in (*REFUSED, *(Check("bind", f"resource {place}", "warn", "slow") for place in "ab")):
        list(made.add(check))
    list(made.end())
    assert made.counts == {"ok": 3, "warn": 1, "fail": 1, "skip": 2}


def test_what_was_not_reached_of_a_certificate_is_no_fact_about_it() -> None:
    failed = Check("tls", "handshake a:1", "fail", "no STARTTLS")
    unreached = Check("tls", "certificate a:1", "skip", "because handshake a:1 failed")
    assert rows(0, failed, unreached) == [
        " ✗ tls     a:1: no STARTTLS",
        " · tls: not reached, because handshake a:1 failed (1 check; -v lists them)",
    ]


def test_on_a_terminal_rows_are_broken_between_words_and_hang_under_their_layer() -> None:
    first = rows(40, *REFUSED)[0].split("\n")
    assert first == [
        " ✗ tls     [2001:db8::7]:5222,",
        "           192.0.2.7:5222: not signed",
        "           issued by Example CA",
        "           try: --ca FILE",
    ]


@pytest.mark.parametrize("group", ["stream", "session"])
def test_a_layer_where_all_is_well_is_one_row(group: str) -> None:
    checks = [
        Check("stream", "header a:1", "ok", "version 1.0"),
        Check("stream", "features a:1", "ok", "bind"),
        Check("session", "carbons", "ok", "switched on"),
        Check("session", "clock", "ok", "exact"),
        Check("session", "upload", "skip", "the server does not offer it"),
    ]
    expected = {"stream": " ✓ stream  a:1: version 1.0", "session": " ✓ session carbons, clock"}[group]
    assert rows(0, *(check for check in checks if check.group == group)) == [expected]
