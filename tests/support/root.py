"""Where the servers under test live: here, or in another system in a folder (XMPPSH_TEST_ROOT, `make interop-next`).

A program of another root sees our temporary folder under its own name, in a mount namespace that ends with it, so
configurations and sockets have the same paths on both sides. Only root may do that.
"""

import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "XMPPSH_TEST_ROOT"
# A private namespace: nothing is left mounted, whatever ends. `exec` keeps the process id that a test kills.
ENTER = """
set -e
root=$0 shared=$1
shift
mkdir -p "$root$shared"
for folder in "$shared" /proc /dev; do mount --rbind "$folder" "$root$folder"; done
exec chroot "$root" "$@"
"""


def root() -> Path | None:
    """The folder with the servers' system; None: ours."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else None


def seen(path: str | Path) -> Path:
    """Where we find a file of that system."""
    there = root()
    return Path(path) if there is None else there / str(path).lstrip("/")


def program(name: str) -> str | None:
    """The path of a program in that system, as it is called there; None when it has none."""
    there = root()
    folders = ["/usr/sbin", "/usr/bin"]
    if there is None:
        return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *folders]))
    return next((f"{folder}/{name}" for folder in folders if seen(f"{folder}/{name}").exists()), None)


def inside(command: list[str]) -> list[str]:
    """The command line that runs it in that system."""
    there = root()
    if there is None:
        return command
    return ["unshare", "-m", "sh", "-c", ENTER, str(there), tempfile.gettempdir(), *command]
