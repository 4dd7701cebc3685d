"""Forms as records, and how they are filled in: from the command line, asked for on a terminal, or listed."""

from __future__ import annotations

from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, Literal

from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.tasks import apart
from xmppsh.xep.forms import Field, Form, filled

if TYPE_CHECKING:
    from xmppsh.commands.app import App


@dataclass(frozen=True, slots=True)
class FormField(Record):
    """A field of a form that is to be filled in."""

    kind: Literal["field"] = field(default="field", init=False)
    """What it is."""
    name: str
    """Its name, for NAME=VALUE."""
    type: str
    """text-single, boolean, list-single, … (XEP-0004 §3.3)."""
    label: str | None
    """What it means, for people."""
    required: bool
    """Must it be given?"""
    options: tuple[str, ...]
    """The values to choose from."""
    values: tuple[str, ...]
    """What stands in it."""

    def text(self) -> str:
        """One line."""
        star = "*" if self.required else " "
        choices = f" of {'|'.join(self.options)}" if self.options else ""
        return safe.line(
            f"{star} {self.name}={','.join(self.values)}  ({self.type}{choices})  {self.label or ''}".rstrip()
        )


def field_record(one: Field) -> FormField:
    """A field as it is listed."""
    return FormField(one.name, one.type, one.label, one.required, tuple(value for value, _ in one.options), one.values)


async def completed(app: App, form: Form, given: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    """The values to send: what was given; on a terminal the required ones that are missing are asked for.

    Raises UsageError, which names what is missing.
    """
    if app.console.may_prompt:
        for one in form.asked:
            if one.required and one.name not in given and not any(one.values):
                given = given | {one.name: [await apart(partial(_ask, app, one))]}
    return filled(form, given)


def _ask(app: App, one: Field) -> str:
    import click

    label = safe.line(one.label or one.name)
    app.console.log(1, f"{one.name} ({one.type})")
    answer: str = click.prompt(label, err=True, hide_input=one.type == "text-private")
    return answer
