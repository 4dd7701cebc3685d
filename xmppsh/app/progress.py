"""How far something is, for a terminal on stderr: uploads, imports, exports, and listings of several pages."""

from __future__ import annotations

from contextlib import aclosing, closing
from typing import TYPE_CHECKING, TextIO, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from xmppsh.app.app import App
    from xmppsh.xep.paging import Page

T = TypeVar("T")


class Progress:
    """Counts what is done, and shows it on a terminal, unless --quiet."""

    def __init__(self, app: App, label: str, total: int) -> None:
        import click

        self._shown = app.console.shows_progress and not app.settings.quiet
        self._bar = click.progressbar(
            length=max(total, 1), label=label, file=cast("TextIO", _Stderr(app, shown=self._shown))
        )

    def __enter__(self) -> Progress:
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__(None, None, None)

    def __call__(self, count: int) -> None:
        """So much more is done."""
        self._bar.update(count)


class _Stderr:
    """What click's bar writes to."""

    def __init__(self, app: App, *, shown: bool) -> None:
        self._app, self._shown = app, shown

    def write(self, text: str) -> int:
        """A piece of the bar."""
        if self._shown:
            self._app.console.piece(text)
        return len(text)

    def flush(self) -> None:
        """It is there already."""

    def isatty(self) -> bool:
        """Without a terminal click writes the label alone, which goes nowhere here."""
        return self._shown


class Counter:
    """How far a listing is whose records go elsewhere: on a terminal they show it themselves."""

    def __init__(self, app: App, label: str) -> None:
        self._app, self._label = app, label
        self._is_wanted = app.console.shows_progress and not app.settings.quiet and not app.console.stdout.is_terminal
        self._bar: Progress | None = None
        self._shown = 0

    def show(self, count: int, total: int | None) -> None:
        """So many are there, of `total`; where nobody knows how many there are in all, they are only counted."""
        if not self._is_wanted:
            return
        if self._bar is None and total is not None:
            self._bar = Progress(self._app, self._label, total)
            self._bar.__enter__()
        if self._bar is None:
            self._app.console.piece(f"\r{self._label}  {count}")
        else:
            self._bar(count - self._shown)
        self._shown = count

    def close(self) -> None:
        """The line ends."""
        if self._bar is not None:
            self._bar.__exit__()
        elif self._shown:
            self._app.console.piece("\n")


async def listed(app: App, label: str, pages: AsyncGenerator[Page[T]]) -> AsyncGenerator[T]:
    """What is on the pages, each as it comes; a terminal sees how far it is when there is more than one."""
    count = 0
    async with aclosing(pages):
        with closing(Counter(app, label)) as counter:
            async for page in pages:
                for one in page.items:
                    yield one
                count += len(page.items)
                if count and (count > len(page.items) or not page.is_last):
                    counter.show(count, page.total)
