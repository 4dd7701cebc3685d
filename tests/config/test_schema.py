"""The settings as a whole: each is read somewhere, shown without secrets, and never changed in place."""

from __future__ import annotations

import ast
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

import xmppsh
from xmppsh.config.schema import ALTERNATIVES, BY_NAME, OF_ACCOUNT, SETTINGS, Origin, Settings

CHOOSES_THE_LAYERS = {"profile"}
FILES = {setting.name for setting in SETTINGS if setting.is_path}  # read by name: settings.path("ca", env)


def _read_attributes() -> set[str]:
    """Every attribute that is read of something called settings, or of the code that turns settings into options."""
    found: set[str] = set()
    for path in Path(xmppsh.__file__).parent.rglob("*.py"):
        if path.name == "schema.py":
            continue  # where they are declared
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                owner = node.value
                name = (
                    owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
                )
                if name in ("settings", "_settings"):
                    found.add(node.attr)
            elif isinstance(node, ast.Constant) and node.value in FILES:
                found.add(node.value)
    return found


def test_every_setting_is_read_somewhere() -> None:
    read = _read_attributes()
    assert [setting.name for setting in SETTINGS if setting.name not in read | CHOOSES_THE_LAYERS] == []


def test_a_password_is_not_shown_with_the_settings() -> None:
    assert "secret" not in repr(Settings(password="secret"))


def test_settings_are_not_changed_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().tls = "off"  # type: ignore[misc]


def test_an_option_is_nearest_and_a_default_furthest() -> None:
    assert sorted(Origin) == [
        Origin.OPTION, Origin.ENVIRONMENT, Origin.PROFILE, Origin.CONFIG_FILE, Origin.DEFAULT,
    ]  # fmt: skip


def test_groups_name_settings_that_exist() -> None:
    assert {name for group in (*ALTERNATIVES, OF_ACCOUNT) for name in group} <= BY_NAME.keys()
