"""Writes docs/reference.md from the registry, the settings and the exit codes: `python tests/arch/reference.py`.

It also writes the texts of `--help`, which the program prints without loading what made them, and the table of the Tab
key.
"""

from pathlib import Path

import click

from xmppsh.cli.help import BREAK, FILE
from xmppsh.cli.main import parse
from xmppsh.commands.topics import EXIT_CODES, SIGNALS, VERBS
from xmppsh.config.schema import SETTING_GROUPS, SETTINGS
from xmppsh.registry import COMMANDS, GROUPS, SECTIONS
from xmppsh.registry.groups import load

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference.md"
HEAD = """# Reference

Made from the code by `python tests/arch/reference.py`; a test checks that it is current. The rules behind it stand in
[cli.md](cli.md).
"""


def commands() -> str:
    """Each command: its usage, its help, its own options."""
    parts = ["## Commands\n"]
    for section, title in SECTIONS.items():
        parts.append(f"### {title}\n")
        for path, spec in COMMANDS.items():
            if spec.section == section:
                command = load(path)
                context = click.Context(command, info_name=f"xmppsh {' '.join(path)}", max_content_width=80)
                context.terminal_width = 80
                parts.append(f"#### {' '.join(path)}\n\n{spec.help}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def settings() -> str:
    """Each setting: option, variable, key of the config file, default."""
    parts = ["## Settings\n", "An option wins over its variable, that over a profile, that over the config file.\n"]
    for group, title in SETTING_GROUPS.items():
        rows = ["| option | variable | key | default | |", "| --- | --- | --- | --- | --- |"]
        for setting in SETTINGS:
            if setting.group == group:
                option = "" if setting.file_only else f"`{setting.option}`"
                if setting.short and not setting.file_only:
                    option = f"`{setting.short}`, {option}"
                default = "" if setting.default in (None, (), False, 0) else f"`{setting.default}`"
                rows.append(f"| {option} | `{setting.env}` | `{setting.key}` | {default} | {setting.help} |")
        parts += [f"### {title}\n", "\n".join(rows), ""]
    return "\n".join(parts)


def codes() -> str:
    """The exit codes, and the verbs of a template."""
    rows = [f"| {int(code)} | {code.name} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    rows += [f"| {code} | | {meaning} |" for code, meaning in SIGNALS.items()]
    verbs = [f"| `{verb}` | {meaning} |" for verb, meaning in VERBS.items()]
    table = ["## Exit codes\n", "| code | name | when |", "| --- | --- | --- |", *rows]
    return "\n".join([*table, "\n## Verbs of `-F`\n", "| verb | value |", "| --- | --- |", *verbs, ""])


def helps() -> str:
    """What `--help` prints: of the program, of each group and each command."""
    paths = sorted({(), *GROUPS, *COMMANDS})
    return "".join(f"{BREAK}{' '.join(path)}\n{parse([*path, '--help'])}" for path in paths)


def reference() -> str:
    """The whole page."""
    return "\n".join([HEAD, commands(), settings(), codes()])


if __name__ == "__main__":
    import tab_table

    DOCUMENT.write_text(reference())
    Path(FILE).write_text(helps(), encoding="utf-8")
    Path(tab_table.FILE).write_text(tab_table.table(), encoding="utf-8")
