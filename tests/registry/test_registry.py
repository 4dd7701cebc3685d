"""The registry: each command's facts stand once, and the command line, the shell, the help and completion find it."""

import sys
import types
from collections.abc import AsyncIterator
from dataclasses import dataclass

import click
import pytest
from click.shell_completion import ShellComplete

from xmppsh.app.app import App
from xmppsh.cli.main import build_group, parse
from xmppsh.commands.help import text_of
from xmppsh.commands.topics import EXIT_CODES, TOPICS
from xmppsh.config.schema import SETTING_GROUPS, SETTINGS
from xmppsh.errors import ExitCode, UsageError, XmppshError
from xmppsh.output.record import Record
from xmppsh.output.schema import schema
from xmppsh.registry import COMMANDS, GROUPS, SECTIONS, Path, Spec, children
from xmppsh.registry.base import Work, command
from xmppsh.registry.groups import load
from xmppsh.registry.record_types import all_types
from xmppsh.shell.lines import runner

EVERY = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


@EVERY
def test_a_command_is_where_the_registry_says_and_has_an_example_that_can_be_read(path: Path) -> None:
    found = load(path)
    assert found.name == path[-1]
    assert COMMANDS[path].section in SECTIONS
    text = text_of(path)
    assert max(map(len, text.splitlines())) <= 80
    assert "Example:  " in text
    options = [one for one in found.params if isinstance(one, click.Option)]
    assert [option.name for option in options if not option.help] == []


@EVERY
def test_the_groups_of_a_command_are_in_the_registry(path: Path) -> None:
    assert all(path[:size] in GROUPS for size in range(1, len(path)))


def test_the_help_has_every_command_in_its_section_and_fits_a_terminal() -> None:
    text = text_of(())
    assert max(map(len, text.splitlines())) <= 80
    assert all(f"\n  {name} " in text for name in children(()))
    assert all(f"\n{title}:" in text for title in [*SECTIONS.values(), *SETTING_GROUPS.values()])
    assert text.index("\nTalk:") < text.index(f"\n{SETTING_GROUPS['account']}:")


def test_every_setting_is_in_a_group_of_the_help() -> None:
    assert {setting.group for setting in SETTINGS} == set(SETTING_GROUPS)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_has_a_text_that_fits_a_terminal(topic: str) -> None:
    lines = text_of((topic,)).splitlines()
    assert len(lines) > 5
    assert max(map(len, lines)) <= 80


def test_every_exit_code_is_told() -> None:
    assert set(EXIT_CODES) == set(ExitCode)


@dataclass(frozen=True, slots=True)
class OutboxCount(Record):
    """How many messages are left."""

    count: int
    """The number."""

    def text(self) -> str:
        """One line."""
        return f"{self.count} left"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that a newcomer adds: one function, one line of the list."""
    spec = Spec("toys", "Count what is left.", "machine", "none", records=("toys:OutboxCount",))
    monkeypatch.setitem(COMMANDS, ("outbox", "count"), spec)
    module = types.ModuleType("toys")

    @command("outbox", "count")
    @click.option("--twice", is_flag=True, help="Count two times.")
    async def outbox_count(app: App, twice: bool) -> AsyncIterator[OutboxCount]:
        """Count what is left.

        Example:  xmppsh outbox count
        """
        yield OutboxCount(2 if twice else 1)

    module.outbox_count, module.OutboxCount = outbox_count, OutboxCount  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toys", module)


@pytest.mark.usefixtures("toy")
def test_a_new_command_is_found_everywhere() -> None:
    work = parse(["outbox", "count", "--twice", "--format", "json"])
    assert isinstance(work, Work)
    assert (work.name, work.account, work.options) == ("outbox count", False, {"format": "json"})
    assert isinstance(runner.parse("outbox", "count --twice"), Work)
    assert "Count what is left." in text_of(("outbox",))
    assert "--twice" in text_of(("outbox", "count"))
    assert "/outbox count" in runner.help_text(["outbox"])
    assert schema(all_types()["outbox-count"])["properties"] == {
        "count": {"type": "integer", "description": "The number."}
    }


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [([], "outb", "outbox"), (["outbox"], "co", "count"), (["outbox", "count"], "--tw", "--twice")],
)
def test_a_new_command_completes(words: list[str], incomplete: str, expected: str) -> None:
    completions = ShellComplete(build_group(), {}, "xmppsh", "_XMPPSH_COMPLETE").get_completions(words, incomplete)
    assert expected in [item.value for item in completions]


def test_a_command_that_cannot_be_imported_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, ("broken",), Spec("xmppsh.commands.none", "Never.", "machine"))
    with pytest.raises(XmppshError, match="xmppsh broken cannot be loaded: ") as caught:
        parse(["broken"])
    assert caught.value.exit_code == ExitCode.SOFTWARE


@pytest.mark.parametrize(
    ("arguments", "name", "options"),
    [
        (["a@b"], "connect", {"jid": "a@b"}),
        (["a@b", "-e"], "connect", {"jid": "a@b"}),
        (["a@b", "ping"], "ping", {"jid": "a@b"}),
        (["a@b/home", "--format", "json", "ping", "c@d"], "ping", {"jid": "a@b/home", "format": "json"}),
        (["-n", "xmpp:a@b", "outbox", "list"], "outbox list", {"jid": "a@b", "dry_run": True}),
        (["ping", "c@d"], "ping", {}),
    ],
)
def test_an_address_before_the_command_is_the_account(
    arguments: list[str], name: str, options: dict[str, object]
) -> None:
    work = parse(arguments)
    assert isinstance(work, Work)
    assert (work.name, {key: str(value) for key, value in work.options.items()}) == (
        name,
        {key: str(value) for key, value in options.items()},
    )


@pytest.mark.parametrize("words", [("nope",), ("outbox", "nope"), ("ping", "nope")], ids=" ".join)
def test_help_of_what_there_is_not_is_a_usage_error(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"'(outbox )?(nope|ping)' is not a command"):
        text_of(words)
