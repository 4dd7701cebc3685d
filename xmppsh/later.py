"""Modules that are loaded when one of their names is first used, and not when they are imported; patterns likewise.

The LazyLoader of importlib is not enough: in Python 3.11 the second `import` of such a module loads it.
"""

from __future__ import annotations

import sys
from _thread import RLock
from importlib import import_module
from importlib.util import find_spec, module_from_spec
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
            if type(self) is _Later:
                self.__class__ = _Loading
                assert self.__spec__ is not None
                assert self.__spec__.loader is not None
                try:
                    self.__spec__.loader.exec_module(self)
                finally:
                    self.__class__ = ModuleType  # type: ignore[assignment]  # like any other from now on
            elif type(self) is _Loading:
                raise AttributeError(name)  # the module itself asks
        return getattr(self, name)


class _Loading(_Later):
    pass


def later(*names: str, **known: object) -> None:
    """Have these modules loaded at their first use; one that is loaded already stays as it is.

    known: attributes that the modules have before they are loaded.
    """
    for name in names:
        spec = None if name in sys.modules else find_spec(name)
        if spec is not None and spec.loader is not None:
            sys.modules[name] = module = module_from_spec(spec)
            vars(module).update(known)
            module.__class__ = _Later
            parent, _, child = name.rpartition(".")
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
    import_module(name)
    if type(sys.modules["re"]) is _Later:
        del vars(sys.modules["re"])["compile"]


def load_rest() -> None:
    """Load the modules that have not been used yet, so that a child forked after this shares them and reads no file."""
    for module in list(sys.modules.values()):
        if type(module) is _Later:
            module.__getattr__("__name__")
