"""What is said in one way everywhere."""

import os
from datetime import datetime, timedelta, timezone

import pytest

from xmppsh.texts import asking_for_network, os_reason, rfc3339, to_run


def test_the_system_s_reason_ends_a_sentence_of_ours() -> None:
    assert os_reason(FileNotFoundError(2, os.strerror(2), "/a/Path")) == "no such file or directory"


@pytest.mark.parametrize(("error", "said"), [(OSError("Odd"), "odd"), (ValueError(), "valueerror")])
def test_an_error_without_a_reason_says_what_it_has(error: BaseException, said: str) -> None:
    assert os_reason(error) == said


def test_whether_there_is_a_network_is_asked_where_nothing_else_was_at_fault() -> None:
    gone = "network is unreachable"
    assert asking_for_network("--dns A", gone, gone) == "is this machine connected to a network? --dns A"
    assert [asking_for_network("--dns A", *reasons) for reasons in ((), (gone, "refused"))] == ["--dns A"] * 2


def test_a_moment_is_told_in_utc_whatever_zone_it_has() -> None:
    moment = datetime(2026, 1, 31, 1, 30, 0, 5_000, timezone(timedelta(hours=2)))
    assert rfc3339(moment) == "2026-01-30T23:30:00.005Z"
    assert rfc3339(moment, "seconds") == "2026-01-30T23:30:00Z"


def test_a_command_to_try_can_be_pasted_whatever_is_named_in_it() -> None:
    assert to_run("pubsub", "get", "a@b", "urn:xmpp:x") == "xmppsh pubsub get a@b urn:xmpp:x"
    assert to_run("disco", "info", "a@b/Bob's phone; ls") == """xmppsh disco info 'a@b/Bob'"'"'s phone; ls'"""
