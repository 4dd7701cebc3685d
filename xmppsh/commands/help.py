"""`help`: what `COMMAND --help` shows, and the topics that belong to no command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from xmppsh.commands.topics import TOPICS
from xmppsh.output.verbatim import Verbatim
from xmppsh.registry import COMMANDS, GROUPS, children
from xmppsh.registry.base import command
from xmppsh.registry.groups import Root, group, load, unknown
from xmppsh.registry.params import starting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from click.shell_completion import CompletionItem

    from xmppsh.app.app import App


def _known(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The commands below the words before, and the topics."""
    words = tuple(ctx.params.get("words") or ())
    if words and words not in GROUPS:
        return []
    return starting([*children(words), *([] if words else TOPICS)], incomplete)


@command("help")
@click.argument("words", metavar="[COMMAND|TOPIC]…", nargs=-1, shell_complete=_known)
async def help(app: App, words: tuple[str, ...]) -> AsyncIterator[Verbatim]:  # noqa: A001 - it is the command's name
    """Show help on COMMAND, or on exit-codes, formats, environment or recipes.

    Example:  xmppsh help exit-codes
    """
    yield Verbatim(text_of(words).removesuffix("\n"))


def text_of(words: tuple[str, ...]) -> str:
    """The help of a command, a group or a topic; raises UsageError for what there is not."""
    if not words:
        root = Root(lambda _: None)
        return root.get_help(click.Context(root, info_name="xmppsh", max_content_width=80, terminal_width=80)) + "\n"
    if len(words) == 1 and words[0] in TOPICS:
        return TOPICS[words[0]]()
    if words in COMMANDS:
        found: click.Command = load(words)
    elif words in GROUPS:
        found = group(words, GROUPS[words])
    else:
        known = 0
        while words[: known + 1] in GROUPS:
            known += 1
        names = [*children(words[:known]), *(TOPICS if known == 0 else ())]
        raise unknown(words[known], names, words[:known], "xmppsh help ")
    name = f"xmppsh {' '.join(words)}"
    return found.get_help(click.Context(found, info_name=name, max_content_width=80, terminal_width=80)) + "\n"
