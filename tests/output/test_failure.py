"""What somebody else raised, as an error of ours: what the machine lacks is no fault of the program."""

import errno

import pytest

from xmppsh.output.failure import bug

SHORT_OF_MEMORY = "Python failed and gave no reason, as it does where there is too little memory"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (OSError(errno.EMFILE, "Too many open files", "/lib/a.py"), 74, "/lib/a.py: too many open files"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 74, "cannot allocate memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/x"), 74, "/tmp/x: no space left on device"),
        (OSError(errno.EBADF, "Bad file descriptor"), 70, "internal error: OSError: [Errno 9] Bad file descriptor"),
        (MemoryError(), 74, "there is too little memory"),
        (ImportError("libssl.so.3: failed to map segment from shared object"), 74, "there is too little memory"),
        (ImportError("x.so: cannot allocate memory in static TLS block"), 74, "there is too little memory"),
        (ImportError("No module named 'x'", name="x.y"), 70, "xmppsh is not whole: No module named 'x'"),
        (RuntimeError("can't start new thread"), 74, "the system starts no more threads for this program"),
        (RuntimeError("another one"), 70, "internal error: RuntimeError: another one"),
        (SystemError("error return without exception set"), 74, SHORT_OF_MEMORY),
        (SystemError("<method x> returned NULL without setting an exception"), 74, SHORT_OF_MEMORY),
        (KeyError("x"), 70, "internal error: KeyError: 'x'"),
    ],
)
def test_what_the_machine_lacks_is_told_apart_from_a_bug(error: Exception, code: int, text: str) -> None:
    found = bug(error, 0, lambda _text: None)
    assert (found.exit_code, str(found)) == (code, text)
    assert found.hint
