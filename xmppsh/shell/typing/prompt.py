"""The prompt: what prompt_toolkit is told about keys, history, colours and faults of the line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prompt_toolkit.auto_suggest import AutoSuggestFromHistory, ConditionalAutoSuggest
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER, EditingMode
from prompt_toolkit.filters import Condition, has_focus, vi_navigation_mode
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.shortcuts.prompt import PromptSession
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth
from prompt_toolkit.validation import ValidationError, Validator

from xmppsh.errors import XmlError, XmppshError
from xmppsh.shell.lines import xmlinput
from xmppsh.shell.lines.line import Command, Xml, classify, xml_start
from xmppsh.shell.lines.names import exists, keeps_text
from xmppsh.shell.typing.fault import explained, xml_fault
from xmppsh.shell.typing.lexer import LineLexer
from xmppsh.xmlio.reader import StanzaReader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prompt_toolkit.application import Application
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.formatted_text import AnyFormattedText
    from prompt_toolkit.key_binding import KeyPressEvent

    from xmppsh.shell.typing.fault import Fault
    from xmppsh.shell.typing.history import LineHistory
    from xmppsh.xmlio.splitter import Limits

CONTINUATION = "... "
REDRAW_S = 0.02  # at most that often, whatever comes in
STYLE = Style.from_dict(
    {
        "prompt": "bold",
        "command": "ansigreen",
        "unknown": "ansired",
        "option": "ansicyan",
        "quoted": "ansiyellow",
        "tag": "ansiblue",
        "name": "ansicyan",
        "value": "ansiyellow",
        "entity": "ansimagenta",
        "comment": "ansibrightblack",
        "completion-menu": "bg:default",
        "completion-menu.completion": "bg:default noreverse",
        "completion-menu.completion.current": "reverse",
        "completion-menu.meta.completion": "bg:default ansibrightblack",
        "completion-menu.meta.completion.current": "bg:default ansibrightblack",
        "auto-suggestion": "ansibrightblack",
        "validation-toolbar": "bg:default ansired noreverse",
        "bottom-toolbar": "noreverse ansibrightblack",
        "bottom-toolbar.text": "noreverse",
        "bottom-toolbar alert": "ansired bold",
        "bottom-toolbar.unread": "ansigreen bold",
    }
)


def make_prompt(
    message: Callable[[], str],
    toolbar: Callable[[], AnyFormattedText],
    limits: Limits,
    history: LineHistory,
    completer: Completer,
    is_alias: Callable[[str], bool],
    colors: ColorDepth,
    *,
    vi: bool,
    dumb: bool,
    on_enter: Callable[[str], None],
    on_suspend: Callable[[], None],
    on_edit: Callable[[str], Awaitable[str]],
    on_trouble: Callable[[XmppshError], None],
) -> PromptSession[str]:
    """The prompt of the shell.

    message: what stands in front of the line; is_alias: is this a name that was given to a line? on_enter: is
    told a line that is taken, while it still stands on the screen; on_suspend: Ctrl-Z; on_edit: gives what an editor
    leaves of the line; on_trouble: is told why one did not; dumb: a terminal that can only print.
    """
    xml_is_open = Condition(lambda: _waits_for_more(session.default_buffer.text, limits))

    def continuation(width: int, _line: int, wrap_count: int) -> str:
        # A row that goes on by itself is no new line, and must not look like one.
        return "" if wrap_count else CONTINUATION.rjust(min(width, 20))

    session: PromptSession[str] = PromptSession(
        lambda: [("class:prompt", message())],
        multiline=xml_is_open,
        prompt_continuation=continuation,
        bottom_toolbar=toolbar,
        key_bindings=_keys(xml_is_open, on_enter, on_suspend, on_edit, on_trouble),
        color_depth=colors,
        style=STYLE,
        history=history,
        completer=completer,
        complete_while_typing=False,
        lexer=LineLexer(lambda name: _is_command(name) or is_alias(name), keeps_text),
        # Without colours a suggestion could not be told from what was typed.
        auto_suggest=ConditionalAutoSuggest(
            AutoSuggestFromHistory(), Condition(lambda: colors is not ColorDepth.MONOCHROME and not dumb)
        ),
        validator=None if dumb else XmlValidator(limits, lambda: (get_cwidth(message()), _columns(session))),
        validate_while_typing=False,
        editing_mode=EditingMode.VI if vi else EditingMode.EMACS,
    )
    session.app.min_redraw_interval = REDRAW_S
    session.app.before_render += _shrink
    return session


def _shrink(app: Application[Any]) -> None:
    """The toolbar stands right below the line, also where a menu or more lines were: by itself it stays down there."""
    size, drawn = app.output.get_size(), app.renderer.last_rendered_screen
    needed = app.layout.container.preferred_height(size.columns, size.rows).preferred
    if drawn is not None and drawn.height > needed:
        app.renderer.erase(leave_alternate_screen=False)


def _columns(session: PromptSession[str]) -> int:
    return session.output.get_size().columns


def _is_command(name: str) -> bool:
    return exists(name) or name.startswith("!")


def _waits_for_more(text: str, limits: Limits) -> bool:
    return isinstance(classify(text), Xml) and xmlinput.is_open(text, limits)


def _keys(
    xml_is_open: Condition,
    on_enter: Callable[[str], None],
    on_suspend: Callable[[], None],
    on_edit: Callable[[str], Awaitable[str]],
    on_trouble: Callable[[XmppshError], None],
) -> KeyBindings:
    keys = KeyBindings()
    at_line = has_focus(DEFAULT_BUFFER)

    @keys.add("c-c", filter=at_line)
    def _clear(event: KeyPressEvent) -> None:
        event.current_buffer.reset()

    @keys.add("enter", filter=at_line & ~xml_is_open)
    def _enter(event: KeyPressEvent) -> None:
        on_enter(event.current_buffer.text)
        event.current_buffer.validate_and_handle()

    @keys.add("c-x", "c-e", filter=at_line)
    @keys.add("v", filter=at_line & vi_navigation_mode)
    def _edit(event: KeyPressEvent) -> None:
        buffer = event.current_buffer

        async def edit() -> None:
            try:
                text = await on_edit(buffer.text)
            except XmppshError as error:
                return on_trouble(error)
            buffer.document = Document(text, len(text))
            if text.strip():  # as in bash: what the editor leaves is entered at once
                on_enter(text)
                buffer.validate_and_handle()

        event.app.create_background_task(edit())

    @keys.add("c-z", filter=at_line)
    def _suspend(event: KeyPressEvent) -> None:
        on_suspend()

    return keys


class XmlValidator(Validator):
    """Refuses XML that could not be sent: the line stays, with the cursor and a mark where the fault is.

    place: the width of the prompt, and the columns of the terminal.
    """

    def __init__(self, limits: Limits, place: Callable[[], tuple[int, int]]) -> None:
        self._limits, self._place = limits, place

    def validate(self, document: Document) -> None:
        """Raises ValidationError."""
        fault = line_fault(document.text, self._limits)
        if fault is not None:
            width, columns = self._place()
            raise ValidationError(fault.position, marked(document.text, fault, width, columns))


def line_fault(text: str, limits: Limits) -> Fault | None:
    """What is wrong with the XML of a line, be it all of the line or the tail of a command."""
    match classify(text):
        case Xml():
            return xml_fault(text, limits)
        case Command(name, tail) if exists(name) and name != "!" and not keeps_text(name):
            at = xml_start(tail)
            if at is None or not (at == 0 or tail[at - 1].isspace()):
                return None
            fault = _element_fault(tail[at:], limits)
            return None if fault is None else fault._replace(position=fault.position + len(text) - len(tail) + at)
        case _:
            return None


def _element_fault(text: str, limits: Limits) -> Fault | None:
    reader = StanzaReader(limits, any_element=True)
    try:
        reader.feed(text.encode("utf-8", "surrogateescape"))
        reader.end()
    except XmlError as error:
        return explained(text, error)
    return None


def marked(text: str, fault: Fault, width: int, columns: int) -> str:
    """The sentence below the last row of the line, with a mark under the fault where that row has it.

    width: of the prompt before the first line.
    """
    line = text[: fault.position].count("\n") + 1
    in_line = get_cwidth(text[: fault.position].rpartition("\n")[2])
    column = in_line + (width if line == 1 else len(CONTINUATION))
    if "\n" in text[fault.position :] or (column + get_cwidth(text[fault.position :])) // columns != column // columns:
        place = f"line {line}, column" if "\n" in text else "column"
        return f"{place} {in_line + 1}: {fault.sentence}"
    column %= columns
    if column + 2 + get_cwidth(fault.sentence) > columns and column > get_cwidth(fault.sentence):
        return f"{fault.sentence} ^".rjust(column + 1)
    return f"{' ' * column}^ {fault.sentence}"
