"""The tables and the verdict of `make ghosts`."""

import math

import pytest

from ghosts.docs import written_into
from ghosts.outbound import runs_of
from ghosts.result import Goal, Round, counts_table, missed_goals, times_table

GOAL = Goal(0.5, 2.0)


def rounds(server: str, *seconds: float | None) -> list[Round]:
    return [Round(server, "SIGKILL", "xmppsh listen", 300, value, 20, GOAL) for value in seconds]


@pytest.mark.parametrize(
    ("seconds", "missed"),
    [((0.1, 0.2, 2.0), False), ((0.1, 0.6, 0.7), True), ((0.1, 0.2, 2.1), True), ((0.1, 0.1, math.inf), True)],
)
def test_a_goal_is_missed_by_the_median_or_by_a_single_round(seconds: tuple[float, ...], missed: bool) -> None:
    assert bool(missed_goals(rounds("prosody", *seconds))) is missed


def test_the_goal_holds_for_each_server_alone() -> None:
    (sentence,) = missed_goals([*rounds("prosody", 0.1), *rounds("ejabberd", 0.6)])
    assert sentence == "SIGKILL, xmppsh listen, ejabberd: median 0.6 s, maximum 0.6 s, the goal is ≤ 0.5 / ≤ 2"


def test_the_table_has_median_and_maximum_a_server() -> None:
    shown = [*rounds("prosody", 0.1, 0.25, 3), *rounds("ejabberd", math.inf, math.inf, 4)]
    shown.append(Round("prosody", "SIGSTOP", "xmppsh listen"))
    assert times_table(shown).splitlines()[2:] == [
        "| SIGKILL | xmppsh listen | 300 s | 0.250 / 3.0 (3) | > 20 (3) | ≤ 0.5 / ≤ 2 |"
    ]


def test_programs_of_one_fault_stand_together() -> None:
    shown = [Round("prosody", fault, program, 10, 1.0) for program in "ab" for fault in ("SIGTERM", "SIGKILL")]
    first_two = [line.split(" | ")[:2] for line in times_table(shown).splitlines()[2:]]
    assert first_two == [["| SIGTERM", "a"], ["| SIGTERM", "b"], ["| SIGKILL", "a"], ["| SIGKILL", "b"]]


def test_counts_are_added_up_and_a_wrong_one_breaks_the_round() -> None:
    right, wrong = rounds("prosody", None, None)
    right.count("messages", 5, 5)
    wrong.count("messages", 4, 5, "it got four")
    wrong.count("locks", 1, 0)
    right.count("locks", 0, 0)
    assert (right.broken, wrong.broken) == ([], ["messages: 4, not 5: it got four", "locks: 1, not 0"])
    lines = ["| messages | 9 of 10 |", "| locks | 1 in 2 rounds |"]
    assert counts_table([right, wrong]).splitlines()[2:] == lines


def test_numbers_show_gaps_and_repetitions() -> None:
    assert runs_of([0, 1, 2, 2, 5]) == "0-2, 2, 5"


def test_the_measured_part_of_a_page_is_replaced() -> None:
    page = "before\n<!-- measured -->\nold\n<!-- /measured -->\nafter\n"
    assert written_into(page, "new") == "before\n<!-- measured -->\nnew\n<!-- /measured -->\nafter\n"
    with pytest.raises(ValueError, match="measured"):
        written_into("no place", "new")
