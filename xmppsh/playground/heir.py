"""Clears away after a playground that was killed: its folder, and the program that ran on it."""

from __future__ import annotations

import os
import subprocess

# What it is told comes from a pipe, whose end is the death of the playground: the process group of the program.
# That one is asked to end, and gets two seconds.
SCRIPT = """
trap '' HUP INT TERM
while read -r told; do group=$told; done
if [ -n "$group" ] && kill -s TERM -- "-$group"; then
    for _ in 1 2; do ! kill -s 0 -- "-$group" || sleep 1; done
    kill -s KILL -- "-$group"
fi
rm -rf -- "$1"
"""


class Heir:
    """A shell that waits for the end of this process, in a session of its own, which no signal to us reaches."""

    def __init__(self, folder: str) -> None:
        reading, self._pipe = os.pipe()
        try:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", SCRIPT, "sh", folder],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(reading)

    def adopts(self) -> None:
        """The process group of whoever calls this is to end with the playground.

        It calls it between fork and exec: told of later, it could outlive a playground that is killed meanwhile.
        """
        os.write(self._pipe, b"%d\n" % os.getpgrp())

    def dismiss(self) -> None:
        """There is nothing left to clear away."""
        self._shell.kill()
        self._shell.wait()
        os.close(self._pipe)
