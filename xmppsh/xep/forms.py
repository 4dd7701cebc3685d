"""Data forms (XEP-0004): the one engine for ad-hoc commands, rooms, registration and nodes.

A form is read, `NAME=VALUE` are put into it, checked by the types of its fields, and it is written as an answer.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.config.values import nearest
from xmppsh.errors import UsageError, XmppshError
from xmppsh.model import Jid
from xmppsh.plain import dataclass
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.xmlio.build import Xml

FORM = f"{{{ns.DATA_FORMS}}}x"
CAPTCHA_PAGE = "captcha-fallback-url"
SILENT = ("fixed", "hidden")  # what nobody fills in
BOOLEANS = {"1": "1", "true": "1", "yes": "1", "on": "1", "0": "0", "false": "0", "no": "0", "off": "0"}
CHOSEN = ("list-single", "list-multi", "jid-single", "jid-multi")
LIKE = 0.75  # how much a name is like another that may have been meant; 1 is the same
MULTI = ("list-multi", "text-multi", "jid-multi")


@dataclass(frozen=True, slots=True)
class Field:
    """One field (§3.3). options: value and label of each choice; values: what stands in it at first."""

    name: str
    type: str
    label: str | None
    required: bool
    options: tuple[tuple[str, str | None], ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """A form as it came. instructions: what it tells people, fixed texts too; fields: those with a name."""

    title: str | None
    instructions: tuple[str, ...]
    fields: tuple[Field, ...] = field(default=())

    @property
    def asked(self) -> list[Field]:
        """The fields that somebody fills in."""
        return [one for one in self.fields if one.type not in SILENT]

    @property
    def captcha_page(self) -> str | None:
        """Where a CAPTCHA in it can be seen (XEP-0158), as ejabberd names it for who is shown no pictures."""
        return next((one.values[0] for one in self.fields if one.name == CAPTCHA_PAGE and one.values), None)


def form_in(parent: Tree | None) -> Form | None:
    """The form below an element; None where there is none."""
    found = None if parent is None else parent.find(FORM)
    if found is None:
        return None
    fields = [_field(one) for one in found.iterfind(f"{{{ns.DATA_FORMS}}}field")]
    instructions = [one.text or "" for one in found.iterfind(f"{{{ns.DATA_FORMS}}}instructions")]
    for one in fields:
        if one.type == "fixed":  # §3.3: such as the title of a section
            instructions += [": ".join(filter(None, (one.label, text))) for text in one.values or ("",)]
    title = found.findtext(f"{{{ns.DATA_FORMS}}}title")
    return Form(title, tuple(instructions), tuple(one for one in fields if one.name))


def _field(found: Tree) -> Field:
    options = tuple(
        (one.findtext(f"{{{ns.DATA_FORMS}}}value", ""), one.get("label"))
        for one in found.iterfind(f"{{{ns.DATA_FORMS}}}option")
    )
    return Field(
        found.get("var", ""),
        found.get("type", "text-single"),
        found.get("label"),
        found.find(f"{{{ns.DATA_FORMS}}}required") is not None,
        options,
        tuple(one.text or "" for one in found.iterfind(f"{{{ns.DATA_FORMS}}}value")),
    )


def reported_in(parent: Tree | None) -> list[dict[str, list[str]]]:
    """The rows of a result (§3.4), or its fields as one row; values by the names of their fields."""
    found = None if parent is None else parent.find(FORM)
    if found is None:
        return []
    rows = found.findall(f"{{{ns.DATA_FORMS}}}item") or [found]
    return [row for one in rows if (row := _row(one))]


def _row(parent: Tree) -> dict[str, list[str]]:
    return {
        one.get("var", ""): [value.text or "" for value in one.iterfind(f"{{{ns.DATA_FORMS}}}value")]
        for one in parent.iterfind(f"{{{ns.DATA_FORMS}}}field")
        if one.get("var") and one.get("type") != "hidden"
    }


# ── Filling in ──────────────────────────────────────────────────────────────────────────────────────────────────


def split(pairs: Iterable[str]) -> dict[str, list[str]]:
    """The values that `NAME=VALUE` give, by name; one that stands several times has several. Raises UsageError."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"{pair!r} is not FIELD=VALUE", hint="FIELD=VALUE, quoted where it has spaces")
        found.setdefault(name, []).append(value)
    return found


def filled(form: Form, given: dict[str, list[str]], *, wholly: bool = True) -> dict[str, tuple[str, ...]]:
    """The values of all fields, the given ones and what stood there. Raises UsageError, naming all that is wrong.

    wholly: what is required must be there.
    """
    by_name = {one.name: one for one in form.fields}
    unknown = [name for name in given if name not in by_name]
    wrong = [f"there is no field {name!r}" for name in unknown]
    wrong += [f"{name} is fixed" for name in given if name in by_name and by_name[name].type == "fixed"]
    values: dict[str, tuple[str, ...]] = {one.name: one.values for one in form.fields if one.type != "fixed"}
    for name, texts in given.items():
        if name in by_name:
            try:
                values[name] = checked(by_name[name], texts)
            except UsageError as error:
                wrong.append(str(error))
    missing = [one.name for one in form.asked if wholly and one.required and not any(values.get(one.name, ()))]
    if missing:
        wrong.append(f"{', '.join(missing)} must be given")
    if wrong:
        raise UsageError("; ".join(wrong), hint=names_hint(unknown, [one.name for one in form.asked]))
    return values


def names_hint(unknown: Sequence[str], fields: Sequence[str]) -> str:
    """What to write instead of the names that no field has; else which fields there are."""
    short = {tail.lower(): one for one in fields for tail in (one.rpartition("_")[2], one.rpartition("#")[2], one)}
    near = [_meant(name.lower(), short) for name in unknown]
    meant = [f"{one}=…" for one in near if one is not None]
    return " ".join(meant) if meant else f"the fields are {', '.join(fields)}"


def _meant(name: str, known: Mapping[str, str]) -> str | None:
    """The field whose name holds this one alone, or is much like it."""
    holding = {one for tail, one in known.items() if name in tail}
    if len(holding) == 1:
        return holding.pop()
    # What all names of a form begin with makes them alike.
    return known.get(nearest(name.rpartition("_")[2].rpartition("#")[2], known, LIKE) or "")


def checked(one: Field, texts: Sequence[str]) -> tuple[str, ...]:
    """The values as they are sent; raises UsageError for what is not of the field's type.

    `NAME=` empties a list, and a field of addresses: no text stands for "none" there.
    """
    if len(texts) > 1 and one.type not in MULTI:
        raise UsageError(f"{one.name} takes one value")
    allowed = [value for value, _ in one.options]
    if list(texts) == [""] and one.type in CHOSEN and "" not in allowed:
        return ()
    found = []
    for text in texts:
        match one.type:
            case "boolean":
                if text.lower() not in BOOLEANS:
                    raise UsageError(f"{one.name}: {text!r} is not yes or no")
                found.append(BOOLEANS[text.lower()])
            case "list-single" | "list-multi" if allowed and text not in allowed:
                raise UsageError(f"{one.name}: {text!r} is not one of {', '.join(allowed)}")
            case "jid-single" | "jid-multi":
                try:
                    found.append(str(Jid.parse(text)))
                except XmppshError as error:
                    raise UsageError(f"{one.name}: {error}") from error
            case "text-multi":
                found += text.replace("\r\n", "\n").split("\n")
            case _:
                found.append(text)
    return tuple(found)


def submitted(values: dict[str, tuple[str, ...]]) -> Xml:
    """The answer (§3.2, type `submit`)."""
    fields = (
        element("field", {"var": name}, *(element("value", None, value) for value in texts))
        for name, texts in values.items()
    )
    return element("x", {"xmlns": ns.DATA_FORMS, "type": "submit"}, *fields)
