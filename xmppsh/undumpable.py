"""A process that holds a password leaves none in a core dump, and no other program of the user may look into it."""

from __future__ import annotations

import resource
import sys

PR_SET_DUMPABLE = 4  # linux/prctl.h


def keep_memory_private() -> None:
    """No core dump of this process and of what it starts; on Linux no debugger either, but root's.

    A limit alone would not do: where core dumps are piped to a program the kernel does not ask for it (core(5)). A
    program that we start decides for itself again who may look into it.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if sys.platform == "linux":
        import _ctypes  # what `ctypes` wraps, which takes milliseconds to load

        prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type] # this very program
        _ctypes.call_function(prctl, (PR_SET_DUMPABLE, 0, 0, 0, 0))
