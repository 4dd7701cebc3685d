"""What somebody else raised, as an error of ours: what the machine lacks is no fault of the program."""

import errno

import pytest

from xmppsh.output.failure import bug


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (OSError(errno.EMFILE, "Too many open files", "/lib/a.py"), 74, "/lib/a.py: too many open files"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 74, "cannot allocate memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/x"), 74, "/tmp/x: no space left on device"),
        (OSError(errno.EBADF, "Bad file descriptor"), 70, "internal error: OSError: [Errno 9] Bad file descriptor"),
        (KeyError("x"), 70, "internal error: KeyError: 'x'"),
    ],
)
def test_what_the_machine_lacks_is_told_apart_from_a_bug(error: Exception, code: int, text: str) -> None:
    found = bug(error, 0, lambda _text: None)
    assert (found.exit_code, str(found)) == (code, text)
    assert found.hint
