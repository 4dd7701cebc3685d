"""`python -m xmppsh.cli` and the console script: the version without loading anything, else the real thing."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Start xmppsh."""
    if sys.argv[1:] == ["--version"]:
        from xmppsh import __version__

        sys.stdout.write(f"xmppsh {__version__}\n")
        return
    gc.disable()  # imports make much and drop nothing; supervise.py switches it on again
    from xmppsh.cli.run import main as run_main

    run_main()


if __name__ == "__main__":
    main()
