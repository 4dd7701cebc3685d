"""Modules that are loaded when one of their names is first used, and not when they are imported; patterns likewise.

The LazyLoader of importlib is not enough: in Python 3.11 the second `import` of such a module loads it.
"""

from __future__ import annotations

import sys
from _thread import RLock
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from re import Pattern
    from typing import AnyStr

_one_thread = RLock()  # loads at a time; another one that needs the same waits


class _Later(ModuleType):
    def __getattr__(self, name: str) -> object:
        """Load the module, because somebody asks for a name that it does not have yet."""
        if name == "__path__":
            raise AttributeError(name)  # `from … import` asks whether it is a package; those have it from the start
        with _one_thread:
            if type(self) is _Later and self.__spec__ is None:
                _find(self)
            if name in vars(self):
                return vars(self)[name]
            if type(self) is _Loading:
                raise AttributeError(name)  # the module itself asks
            _load(self)
        return getattr(self, name)


class _Loading(_Later):
    pass


def _find(module: _Later) -> None:
    """Give the module what it has before its code is run: a search by itself costs as much as a small module."""
    from _frozen_importlib import module_from_spec  # importlib.util has it, and costs as much as ten modules

    parent = module.__name__.rpartition(".")[0]
    path = sys.modules[parent].__path__ if parent else None
    specs = (finder.find_spec(module.__name__, path) for finder in sys.meta_path)
    if (spec := next(filter(None, specs), None)) is None:
        raise ModuleNotFoundError(f"No module named {module.__name__!r}", name=module.__name__)
    vars(module).update(vars(module_from_spec(spec)))


def _load(module: _Later) -> None:
    if type(module) is _Later:
        module.__class__ = _Loading
        assert module.__spec__ is not None
        assert module.__spec__.loader is not None
        try:
            module.__spec__.loader.exec_module(module)
        finally:
            module.__class__ = ModuleType  # type: ignore[assignment]  # like any other from now on


def later(*names: str, packages: tuple[str, ...] = (), **known: object) -> None:
    """Have these modules and packages loaded at their first use; one that is loaded already stays as it is.

    known: attributes that the modules have before they are loaded.
    """
    for name in (*names, *packages):
        if name in sys.modules:
            continue
        parent, _, child = name.rpartition(".")
        if parent:
            __import__(parent)
        sys.modules[name] = module = _Later(name)
        if name in packages:
            _find(module)
        vars(module).update(known)
        if parent:
            setattr(sys.modules[parent], child, module)


def pattern(text: AnyStr, flags: int = 0) -> Callable[[], Pattern[AnyStr]]:
    """A regular expression, compiled when it is first called for."""
    import re
    from functools import cache

    return cache(lambda: re.compile(text, flags))


class _LatePattern:
    """A pattern that is hardly ever used: it is compiled for each use."""

    def __init__(self, text: str, flags: int = 0) -> None:
        self._given = text, flags

    def __getattr__(self, name: str) -> object:
        import re

        return getattr(re.compile(*self._given), name)


def load_without_patterns(name: str) -> None:
    """Load a module that compiles patterns while it is loaded, and hardly ever uses one; `re` is loaded with the first
    use of one, or by whatever else needs it."""
    later("re", compile=_LatePattern)
    __import__(name)
    if type(sys.modules["re"]) is _Later:
        del vars(sys.modules["re"])["compile"]


def load_rest() -> None:
    """Load the modules that have not been used yet, so that a child forked after this shares them and reads no file."""
    for module in list(sys.modules.values()):
        if type(module) is _Later:
            _find(module)
            _load(module)
