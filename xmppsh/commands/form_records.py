"""Forms as records, and how they are filled in: from the command line, asked for on a terminal, or listed."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal

from xmppsh.errors import UsageError
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.xep.forms import Field, Form, checked, filled, submitted

if TYPE_CHECKING:
    from xmppsh.app.app import App
    from xmppsh.app.console import Console


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

    Raises UsageError, which names what is missing; what was given is checked before anything is asked.
    """
    filled(form, given, wholly=False)
    missing = [one for one in form.asked if one.required and one.name not in given and not any(one.values)]
    if missing and app.console.may_prompt:
        for line in filter(None, (form.title, *form.instructions, form.captcha_page)):
            app.console.write_error(safe.block(line) + "\n")
        for one in missing:
            if (texts := await _asked(app.console, one)) is None:
                break  # what is left is missing
            given = given | {one.name: texts}
    try:
        return filled(form, given)
    except UsageError as error:
        if form.captcha_page is not None and not app.console.may_prompt:
            error.hint = "run it on a terminal: it asks for a CAPTCHA, and each run for another one"
        raise


async def _asked(console: Console, one: Field) -> list[str] | None:
    """Ask on the terminal until the answer fits: values of a list are separated by commas, a text of lines ends with an
    empty one. None for Ctrl-D."""

    def fitting(answer: str) -> list[str]:
        texts = _several(one, answer) if one.type in ("list-multi", "jid-multi") else [answer]
        submitted({one.name: checked(one, texts)})  # and XML can carry it
        return texts

    how = {"boolean": "yes|no", "text-multi": "an empty line ends it"}
    choices = how.get(one.type) or "|".join(value for value, _ in one.options)
    label = safe.line(f"{one.label or one.name} ({choices})" if choices else one.label or one.name)
    answer: list[str] = []
    while not any(answer):  # it is required
        first = await console.ask(f"{label}: ", fitting, hidden=one.type == "text-private")
        if first is None:
            return None
        answer = first
    while one.type == "text-multi":
        more = await console.ask("… ", fitting)
        if more is None:
            return None
        if more == [""]:
            break
        answer += more
    return answer


def _several(one: Field, answer: str) -> list[str]:
    """What commas separate; an option that holds one is taken whole."""
    known, parts, found = {value for value, _ in one.options}, answer.split(","), list[str]()
    while parts:
        ends = (end for end in range(len(parts), 1, -1) if ",".join(parts[:end]).strip() in known)
        end = next(ends, 1)
        found.append(",".join(parts[:end]).strip())
        parts = parts[end:]
    return found
