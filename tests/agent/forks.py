"""Runs command lines in forks of a process that has loaded the program already: a tenth of a start for each.

`python -m` is not meant for it: tests/agent/test_same.py feeds it one JSON object a line, and reads one for each.
"""

import atexit
import ctypes
import gc
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import xmppsh.app.dry_run
import xmppsh.cli.run
import xmppsh.cli.supervise
import xmppsh.config.load
import xmppsh.resolve.plan
import xmppsh.xep.muc  # noqa: F401 - loaded before the forks
from xmppsh.agent.allowed import load_all
from xmppsh.cli.__main__ import main

LOADED = (ctypes, ElementTree)  # what a run imports besides


def run(job: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """One command line as a process of its own: its exit code and both outputs."""
    outputs = [folder / name for name in ("stdout", "stderr")]
    pid = os.fork()
    if pid == 0:
        (folder / "stdin").write_bytes(job["stdin"].encode("utf-8", "surrogateescape"))
        ways = [(folder / "stdin", os.O_RDONLY)]
        ways += [(Path(job.get("stdout", outputs[0])), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)]
        ways += [(outputs[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)]
        for number, (path, flags) in enumerate(ways):
            os.dup2(os.open(path, flags, 0o600), number)
        sys.stdout = sys.stderr = os.fdopen(2, "w", closefd=False)
        os.chdir(job["cwd"])
        os.environ.clear()
        os.environ.update(job["env"])
        sys.argv = ["xmppsh", *job["arguments"]]
        atexit._clear()  # what is still to be done at our own end, as clearing the folder away
        try:
            main()
            os._exit(0)
        except SystemExit as end:
            os._exit(int(end.code or 0))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    stdout, stderr = (path.read_text() if path.exists() else "" for path in outputs)
    return {"code": code, "stdout": stdout, "stderr": stderr}


if __name__ == "__main__":
    load_all()
    gc.freeze()
    for line in sys.stdin:
        with tempfile.TemporaryDirectory() as name:
            print(json.dumps(run(json.loads(line), Path(name))), flush=True)
