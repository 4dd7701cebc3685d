"""The program behind --password-command: what needs a shell is refused, and no child outlives us."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xmppsh.config.program import output_of, shell_syntax
from xmppsh.errors import ConfigError

NEEDS_A_SHELL = {
    "pass show xmpp | head -1": "|", "pass show xmpp > /dev/null": ">", "true; echo x": ";", "echo $(cat f)": "$(",
    "cat < secret": "<", "true && echo x": "&", "sleep 1 &": "&", "echo `cat f`": "`", 'echo "$(cat f)"': "$(",
    "cat $HOME/secret": "$H", "echo ${X}": "${", "cat ~/secret": "~", "(echo x)": "(", "echo x\necho y": "'\\n'",
}  # fmt: skip
NEEDS_NONE = [
    "pass show xmpp", "sh -c 'pass show xmpp | head -1'", "echo 'a;b' \"c>d\"", r"echo a\|b", "echo 'it''s'", "echo 5$",
    "echo a~b", "echo '$(x)'", r'echo "a\$b"', "cat 'open",
]  # fmt: skip


@pytest.mark.parametrize(("command", "what"), NEEDS_A_SHELL.items())
def test_a_command_that_needs_a_shell_is_refused_and_not_half_run(command: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        output_of(command, "--password-command", 30)
    assert str(caught.value) == f"--password-command {command!r} needs a shell for {what}, and none is used"
    assert caught.value.hint == "--password-command \"sh -c '…'\""


@pytest.mark.parametrize("command", NEEDS_NONE)
def test_what_is_quoted_needs_no_shell(command: str) -> None:
    assert shell_syntax(command) is None


@pytest.mark.parametrize("command", ["", "  "])
def test_a_command_of_no_words_is_told_as_that(command: str) -> None:
    with pytest.raises(ConfigError, match=r"^--password-command names no program$"):
        output_of(command, "--password-command", 1)


def test_a_shell_that_is_asked_for_does_what_shells_do() -> None:
    assert output_of("sh -c 'printf \"one\\ntwo\\n\" | head -1'", "--password-command", 30) == b"one\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize(
    "command", ["sh -c 'echo $$ > {pids}; exec sleep 300'", "sh -c 'sleep 300 & echo $! > {pids}; wait'"]
)
def test_the_command_ends_with_us(tmp_path: Path, number: signal.Signals, command: str) -> None:
    pids = tmp_path / "pids"
    env = {**os.environ, "XMPPSH_PASSWORD_COMMAND": command.format(pids=pids), "XDG_CONFIG_HOME": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "xmppsh", "ping", "-j", "juliet@example.org"],
        env=env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        preexec_fn=lambda: [signal.signal(one, signal.SIG_DFL) for one in (signal.SIGHUP, signal.SIGINT)] and None,
    )  # fmt: skip
    child = int(_eventually(lambda: pids.exists() and pids.read_text().strip()))
    process.send_signal(number)
    assert process.wait(60) in (-number, 128 + number)
    _eventually(lambda: not _lives(child))


INTERRUPTED = """
import os, signal, sys
from xmppsh.config.program import output_of

def interrupt(frame, event, _argument):
    if event == "return" and frame.f_code.co_name == "_execute_child":  # the child runs; Popen has not returned
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGINT)

sys.setprofile(interrupt)
try:
    output_of({command!r}, "--password-command", 30)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_while_the_command_is_being_started_leaves_no_command_behind(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.touch()
    program = INTERRUPTED.format(command=f"sh -c 'echo $$ > {pids}; exec sleep 300'")
    outcome = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, timeout=60, check=False)
    assert outcome.stdout == b"interrupted\n"
    assert not (pid := pids.read_text().strip()) or not _lives(int(pid))


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _eventually(seen: "object") -> str:
    until = time.monotonic() + 60
    while not (found := seen()):  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.01)
    return str(found)
