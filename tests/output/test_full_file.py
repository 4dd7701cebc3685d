"""A file that takes no more keeps whole records alone: what the next run appends stands on lines of its own."""

import asyncio
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from xmppsh.cli.express import WaitedOutput
from xmppsh.errors import IoError
from xmppsh.express.waits import Waits
from xmppsh.output.streams import OutputStream

LIMIT = 10_000
RECORDS = ["a" * 5_999 + "\n", "b" * 5_999 + "\n"]  # the second one is more than a piece, and crosses the limit


@contextmanager
def files_that_may_not_grow() -> Iterator[None]:
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))  # Python ignores SIGXFSZ
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))


def at_once(fd: int) -> None:
    OutputStream(fd).write_some(RECORDS)


def each(fd: int) -> None:
    stream = OutputStream(fd)
    for record in RECORDS:
        asyncio.run(stream.write(record))


def without_a_loop(fd: int) -> None:
    stream = WaitedOutput(fd, Waits())
    for record in RECORDS:
        list(stream.write(record).__await__())


@pytest.mark.parametrize(("write", "kept"), [(each, RECORDS[0]), (at_once, ""), (without_a_loop, RECORDS[0])])
@pytest.mark.parametrize("flag", [os.O_APPEND, os.O_TRUNC], ids=[">>", ">"])
def test_half_a_record_does_not_stay(tmp_path: Path, write: Callable[[int], None], kept: str, flag: int) -> None:
    (out := tmp_path / "out").write_text("before\n")
    fd = os.open(out, os.O_WRONLY | flag)
    with files_that_may_not_grow(), pytest.raises(IoError, match="stdout: file too large"):
        write(fd)
    os.write(fd, b"next\n")
    os.close(fd)
    before = "before\n" if flag == os.O_APPEND else ""
    assert out.read_text() == f"{before}{kept}next\n"
