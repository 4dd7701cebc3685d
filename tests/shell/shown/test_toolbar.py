"""The toolbar: its words, and what goes first where there is no room."""

from dataclasses import replace

import pytest

from xmppsh.shell.shown.toolbar import HINT, Facts, toolbar

FACTS = Facts("romeo@example.net/balcony", "TLSv1.3", "SCRAM-SHA-256-PLUS", 12, 0, round_trip_ms=11.6)


def shown(facts: Facts, columns: int = 200) -> str:
    return "".join(fragment[1] for fragment in toolbar(facts, columns))


@pytest.mark.parametrize(
    ("facts", "columns", "text"),
    [
        (FACTS, 200, " romeo@example.net/balcony · all sent · round trip 12 ms · TLS 1.3, SCRAM-SHA-256-PLUS"),
        (FACTS, 75, " romeo@example.net/balcony · all sent · round trip 12 ms · TLS 1.3"),
        (FACTS, 60, " romeo@example.net/balcony · all sent · round trip 12 ms"),
        (FACTS, 50, " romeo@example.net/balcony · all sent"),
        (FACTS, 30, " romeo@example.net · all sent"),
        (FACTS, 20, " romeo · all sent"),
        (FACTS, 10, " all sent"),
    ],
)
def test_what_a_newcomer_needs_least_is_dropped_first(facts: Facts, columns: int, text: str) -> None:
    assert shown(facts, columns) == text


def test_the_hint_stays_longest() -> None:
    facts = replace(FACTS, has_target=False, unread={"juliet": 1})
    assert HINT in shown(facts, 80)
    assert shown(facts, len(HINT) + 1) == f" {HINT}"
    assert shown(facts, 20) == " /to JID"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sent": 0}, "nothing sent yet"),
        ({"open": 3}, "3 of 12 on the way"),
        ({"cut_s": 9.2, "next_try_s": 3.4}, "OFFLINE 9 s, next try in 3 s"),
        ({"cut_s": 9.2}, "OFFLINE 9 s, connecting"),
        ({"cut_s": 9.2, "open": 2}, "2 stanzas wait, kept on disk"),
        ({"unread": {"nurse": 2, "tybalt": 1}}, "unread: nurse 2, tybalt 1"),
        ({"typing": "juliet"}, "juliet is writing …"),
        ({"tls": None}, "not encrypted"),
        ({"unread": {"a\x1bb": 1}}, "unread: a\\x1bb 1"),
    ],
)
def test_the_words(changes: dict[str, object], words: str) -> None:
    assert words in shown(replace(FACTS, **changes))  # type: ignore[arg-type]


def test_what_is_not_kept_is_not_said_to_be() -> None:
    assert "kept" not in shown(replace(FACTS, cut_s=9.2, open=1, is_kept=False))


def test_nothing_but_the_cut_is_told_of_a_link_that_is_cut() -> None:
    assert "TLS" not in shown(replace(FACTS, cut_s=1.0))
