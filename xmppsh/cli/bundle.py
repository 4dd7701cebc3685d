"""Our own compiled modules in one file: to find and read a hundred takes a sixth of the time of a cold `send`.

The file stands beside the `.pyc` files of Python, is written where Python may write those, and is trusted as they are.
A module comes out of it as long as its source has the same time and size; else it is loaded as any other.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib import ModuleSpec  # what importlib.machinery wraps, which is loaded from files
from _frozen_importlib_external import SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import CodeType, ModuleType

    Kept = tuple[str, bool, int, int, bytes]  # path of the source, is it a package, its time in ns and size, the code

OWN = "xmppsh."
ROOT = os.path.dirname(os.path.dirname(__file__))
FILE = os.path.join(ROOT, "__pycache__", f"xmppsh.{sys.implementation.cache_tag}.bundle")
HEADER = f"{sys.version} {ROOT}\n".encode("utf-8", "surrogateescape")  # who made the code, of the sources where


class _Loader(SourceFileLoader):
    """Loads a module whose code is there."""

    def __init__(self, name: str, path: str, code: bytes) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, _fullname: str) -> CodeType:
        code: CodeType = marshal.loads(self._code)
        return code


class Bundle:
    """Finds modules, for `sys.meta_path`."""

    def __init__(self) -> None:
        self._kept = _read()
        self._before = frozenset(sys.modules)

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where the module is; None where it is not in the file, or the file has another version of it."""
        if (kept := self._kept.get(name)) is None:
            return None
        path, is_package, mtime_ns, size, code = kept
        try:
            source = os.stat(path)
        except OSError:
            return None
        if (source.st_mtime_ns, source.st_size) != (mtime_ns, size):
            return None
        spec = ModuleSpec(name, _Loader(name, path, code), origin=path, is_package=is_package)
        spec.has_location, spec.cached = True, FILE
        if is_package:
            spec.submodule_search_locations = [os.path.dirname(path)]
        return spec

    def keep(self) -> None:
        """Add what this run has loaded otherwise, for the next one."""
        new = [(name, module) for name, module in list(sys.modules.items()) if self._lacks(name, module)]
        if not new or sys.dont_write_bytecode:
            return
        kept = dict(self._kept)
        draft = f"{FILE}.{os.getpid()}"
        try:
            with open(draft, "xb") as file:
                os.fchmod(file.fileno(), os.stat(__file__).st_mode & 0o666)  # as readable as the source
                for name, module in new:
                    kept[name] = _compiled(name, module)
                file.write(HEADER + marshal.dumps(kept))
            os.replace(draft, FILE)
        except (OSError, ImportError, SyntaxError, ValueError):  # a source is edited, a disk is full: next time
            _remove(draft)

    def _lacks(self, name: str, module: ModuleType) -> bool:
        return name.startswith(OWN) and name not in self._before and type(module.__loader__) is SourceFileLoader


def use_bundle() -> None:
    """Have modules found in the file from now on, unless Python is told to keep its own elsewhere, or otherwise."""
    if sys.pycache_prefix is None and not sys.flags.optimize:
        sys.meta_path.insert(0, Bundle())


def keep_bundle() -> None:
    """Have the next run find there what this one has loaded."""
    for finder in sys.meta_path:
        if isinstance(finder, Bundle):
            finder.keep()


def _read() -> Mapping[str, Kept]:
    try:
        with open(FILE, "rb") as file:
            data = file.read()
        if not data.startswith(HEADER):
            return {}
        kept: Mapping[str, Kept] = marshal.loads(memoryview(data)[len(HEADER) :])
    except (OSError, EOFError, ValueError, TypeError):
        return {}
    return kept


def _compiled(name: str, module: ModuleType) -> Kept:
    loader = module.__loader__
    assert isinstance(loader, SourceFileLoader)
    source = os.stat(loader.path)  # before the code: if it changes meanwhile, this is not believed
    code = marshal.dumps(loader.get_code(name))
    return loader.path, loader.is_package(name), source.st_mtime_ns, source.st_size, code


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
