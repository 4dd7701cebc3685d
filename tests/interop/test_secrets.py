"""A password is nowhere but where it is given: not in logs, traces, errors, files, nor in programs that we start."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Outcome, Program, finish
from support.servers import Account, Server
from support.until import until

pytestmark = pytest.mark.either_server

# What it says of itself: a debugger of the same user may not look into it, and no core dump is written.
LOOK = (
    "import ctypes, resource; from xmppsh.undumpable import keep_memory_private; keep_memory_private();"
    "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE)[0])"
)


def forms(account: Account) -> list[bytes]:
    """The password as it is, and as a login sends it (RFC 4616)."""
    user = account.jid.partition("@")[0]
    plain = base64.b64encode(f"\0{user}\0{account.password}".encode())
    return [account.password.encode(), base64.b64encode(account.password.encode()).rstrip(b"="), plain.rstrip(b"=")]


def is_nowhere(account: Account, outcome: Outcome, folder: Path) -> None:
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    written = {"stdout": outcome.stdout.encode(), "stderr": outcome.stderr.encode(), **files}
    found = [str(place) for place, data in written.items() if any(secret in data for secret in forms(account))]
    assert found == []


async def test_a_password_is_in_no_log_trace_file_or_program(
    program: Program, server: Server, alice: Account, tmp_path: Path
) -> None:
    script = tmp_path / "a program"
    script.touch(mode=0o700)
    script.write_text("#!/bin/sh\nenv\nulimit -c\n")
    async with Contact(server, server.account()) as bob:
        await bob.send(alice.jid, "hello")
        await bob.settle()
    outcome = await program.run("listen", "--drain", "-vvv", "--trace", str(tmp_path / "t"), "--exec", f"'{script}'")
    assert outcome.code == 0, outcome.stderr
    assert "XMPPSH_BODY=hello" in outcome.stdout
    assert outcome.stdout.endswith("\n0\n")
    assert (tmp_path / "t").stat().st_size > 1000
    is_nowhere(alice, outcome, tmp_path)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "PLAIN"])
async def test_a_password_that_is_refused_is_not_told(
    program: Program, alice: Account, tmp_path: Path, mechanism: str
) -> None:
    wrong = Account(alice.jid, "canary-0d9e-Päss")
    program.env["XMPPSH_PASSWORD"] = wrong.password
    trace = str(tmp_path / "t")
    outcome = await program.run("ping", "-vvv", "--trace", trace, "--format", "json", "--mechanism", mechanism)
    assert outcome.code == 77, outcome.stderr
    is_nowhere(wrong, outcome, tmp_path)


async def test_what_the_shell_starts_and_keeps_holds_no_password(
    program: Program, alice: Account, tmp_path: Path
) -> None:
    process = await program.start("connect", "-vvv", "--trace", str(tmp_path / "t"))
    outcome = await finish(process, b"/! env | sort\n/send --wait sent x@y.invalid hello\n/raw <password/>\n")
    assert "XDG_STATE_HOME=" in outcome.stdout
    is_nowhere(alice, outcome, tmp_path)


async def test_a_program_that_knows_a_password_leaves_no_core_dump(program: Program, tmp_path: Path) -> None:
    async with program.listening(ready=tmp_path / "ready") as process:
        limits = Path(f"/proc/{process.pid}/limits")
        await until(lambda: "Max core file size        0 " in limits.read_text(), "no core dump")


def test_no_debugger_of_the_same_user_looks_into_it() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=False)
    assert done.stdout == "0 0\n", done.stderr
