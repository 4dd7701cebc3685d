"""Modules that are loaded at their first use."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from xmppsh.later import later, load_rest


def test_a_module_is_loaded_when_something_of_it_is_used_and_not_when_it_is_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    monkeypatch.setattr(sys, "stdout", None)  # it prints
    later("this")
    import this

    assert "d" not in vars(this)
    assert len(this.d) == 52
    assert sys.modules["this"] is this


def test_what_is_known_of_a_module_can_be_had_without_loading_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    monkeypatch.setattr(sys, "stdout", None)  # it prints
    later("this", c="known before")
    from this import c

    assert (c, "d" in vars(sys.modules["this"])) == ("known before", False)
    from this import d

    assert len(d) == 52


def test_two_threads_that_use_a_module_at_once_both_get_the_whole_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    began, goes_on = tmp_path / "began", tmp_path / "goes_on"
    os.mkfifo(began)
    os.mkfifo(goes_on)
    lines = (f"open({str(began)!r}, 'w').close()", f"open({str(goes_on)!r}).close()", "last = 1")
    (tmp_path / "slow_to_load.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(tmp_path))
    later("slow_to_load")
    slow = sys.modules["slow_to_load"]
    with ThreadPoolExecutor() as threads:
        first = threads.submit(lambda: slow.last)
        began.open().close()  # the first one is in the middle of it
        second = threads.submit(lambda: slow.last)
        goes_on.open("w").close()
        assert (first.result(), second.result()) == (1, 1)


def test_a_module_that_is_loaded_stays_as_it_is() -> None:
    later("sys", "pytest")
    assert sys.modules["pytest"] is pytest


def test_what_was_never_used_is_loaded_before_a_child_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    monkeypatch.setattr(sys, "stdout", None)  # it prints
    later("this")
    load_rest()
    assert "d" in vars(sys.modules["this"])
