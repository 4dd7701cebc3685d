"""Modules that are loaded at their first use."""

import sys

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


def test_a_module_that_is_loaded_stays_as_it_is() -> None:
    later("sys", "pytest")
    assert sys.modules["pytest"] is pytest


def test_what_was_never_used_is_loaded_before_a_child_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    monkeypatch.setattr(sys, "stdout", None)  # it prints
    later("this")
    load_rest()
    assert "d" in vars(sys.modules["this"])
