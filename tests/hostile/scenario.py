"""A scenario: one server that misbehaves, the real program against it, and what must come of it."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hostile.misbehaviour import CANARY, Spec
from hostile.server import DOMAIN, PASSWORD, TOKEN, USER, Server

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from hostile.certificates import Certificates
    from hostile.misbehaviour import Reply

    Steps = Mapping[str, Reply]

BODY = "art-thou-not-Romeo"
SEND = ("send", f"romeo@{DOMAIN}", BODY)
PING = ("ping",)
LISTEN = ("listen", "-W", "3")
CONNECT_S, ANSWER_S = 10.0, 10.0  # what ends by itself waits for neither; a silence has a deadline of its own
START_S = 15.0  # for Python to start and end, however busy the machine is: what hangs takes longer
SECRETS = tuple(
    secret.encode()
    for secret in (
        PASSWORD,
        base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()[:-4],
        base64.b64encode(PASSWORD.encode()).decode()[:-4],
        TOKEN.decode(),
        "<auth",
        "<response",
        BODY,
    )
)
# A wrapper of its own measures the memory: what wait4 says of a direct child includes our own peak (vfork).
MEASURE = (
    "import os, resource, sys\n"
    "pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)\n"
    "_, status, usage = os.wait4(pid, 0)\n"
    "os.write(int(sys.argv[1]), str(usage.ru_maxrss).encode())\n"
    "code = os.waitstatus_to_exitcode(status)\n"
    "os._exit(code if code >= 0 else 128 - code)\n"  # as a shell sees it
)


@dataclass(frozen=True)
class Scenario:
    """One line of a table.

    code, layer, condition: what the error must be, several where each is defensible; says: a pattern for its sentence.
    text: run it a second time, in text form; text_command: with this command.
    kept: files of the state folder.
    within_s: beyond the start of Python; footer: must the client have ended its stream?
    """

    name: str
    steps: Steps = field(default_factory=dict)
    code: int | Collection[int] = 76
    layer: str | Collection[str] = "stream"
    says: str = ""
    condition: str | None = None
    command: tuple[str, ...] = SEND
    text: bool = False
    text_command: tuple[str, ...] = ()
    stdin: bytes = b""
    options: tuple[str, ...] = ()
    connect_s: float = CONNECT_S
    answer_s: float = ANSWER_S
    within_s: float = 6.0
    footer: bool = True
    tls: str = ""  # the certificate's kind; "good" when not given
    later_tls: str = ""  # the same from the second connection on
    direct: bool = False
    chunk: int = 0
    listens: bool = True
    fills_backlog: bool = False
    second: Spec | None = None
    hosts: tuple[str, ...] = ("127.0.0.1:{port}",)
    env: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> Spec:
        """The first server."""
        return Spec(
            self.steps, self.tls or "good", self.later_tls, self.direct, self.chunk, self.listens, self.fills_backlog
        )


@dataclass(frozen=True)
class Run:
    """What one run of the program left behind, and what its servers saw."""

    code: int
    out: str
    err: str
    elapsed_s: float
    peak_kib: int
    first: Server
    second: Server

    @property
    def clear(self) -> bytes:
        """Everything the client sent before TLS, to anybody."""
        return b"".join(bytes(connection.clear) for connection in self.first.connections + self.second.connections)

    @property
    def encrypted(self) -> bytes:
        """Everything the client sent under TLS, to anybody."""
        return b"".join(bytes(connection.encrypted) for connection in self.first.connections + self.second.connections)

    @property
    def error(self) -> dict[str, Any]:
        """The JSON error: the last one, which is the run's own, behind those of single messages."""
        errors = [json.loads(line)["error"] for line in self.err.splitlines() if line.startswith("{")]
        assert errors, f"no JSON error on stderr: {self.err!r}"
        own: dict[str, Any] = errors[-1]
        assert len(errors) == 1 or own["code"] == 80, f"not one JSON error on stderr: {self.err!r}"
        return own


@dataclass(frozen=True)
class Outcome:
    """The runs of a scenario: errors as JSON, and as text where the scenario wants that too."""

    scenario: Scenario
    json: Run
    text: Run | None

    @property
    def runs(self) -> tuple[Run, ...]:
        """Each of them."""
        return (self.json,) if self.text is None else (self.json, self.text)


def play(scenario: Scenario, certificates: Certificates, folder: Path) -> Outcome:
    """Run a scenario, in both forms where it says so, each with servers of its own."""
    as_json = _run(scenario, certificates, folder / "json", (*scenario.command, "--format", "json"))
    if not (scenario.text or scenario.text_command):
        return Outcome(scenario, as_json, None)
    as_text = _run(scenario, certificates, folder / "text", scenario.text_command or scenario.command)
    return Outcome(scenario, as_json, as_text)


def _run(scenario: Scenario, certificates: Certificates, folder: Path, command: tuple[str, ...]) -> Run:
    folder.mkdir()
    with (
        Server(scenario.second or Spec(), certificates.contexts) as second,
        Server(scenario.spec, certificates.contexts, second.port) as first,
    ):
        second.other_port = first.port
        ports = {"{port}": str(first.port), "{other}": str(second.port)}
        hosts = [option for host in scenario.hosts for option in ("--host", _filled(host, ports))]
        pins = {"{pin-" + kind + "}": sha256 for kind, sha256 in certificates.sha256.items()}
        options = [_filled(option, ports | pins) for option in scenario.options]
        timeouts = ["--connect-timeout", str(scenario.connect_s), "--timeout", str(scenario.answer_s)]
        env = {"XMPPSH_CA": str(certificates.ca), **scenario.env}
        environment = _environment(folder, env)
        if scenario.kept:
            (state := Path(environment["XDG_STATE_HOME"]) / "xmppsh").mkdir(mode=0o700)
            for name, text in scenario.kept.items():
                (state / name).touch(0o600)
                (state / name).write_text(text)
        arguments = [*command, *hosts, *timeouts, *options]
        code, out, err, elapsed_s, peak_kib = _execute(arguments, environment, scenario.stdin, scenario.within_s + 20)
    return Run(code, out, err, elapsed_s, peak_kib, first, second)


def _filled(text: str, values: Mapping[str, str]) -> str:
    for key, value in values.items():
        text = text.replace(key, value)
    return text


def _environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL")}
    homes = ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")
    places = {name: str(folder / name.lower()) for name in homes}
    for place in places.values():
        os.mkdir(place, 0o700)
    account = {"XMPPSH_JID": f"{USER}@{DOMAIN}", "XMPPSH_PASSWORD": PASSWORD}
    return {name: value for name, value in {**kept, **places, **account, **more}.items() if value}


def _execute(
    arguments: list[str], env: dict[str, str], stdin: bytes, limit_s: float
) -> tuple[int, str, str, float, int]:
    reader, writer = os.pipe()
    program = [sys.executable, "-m", "xmppsh", *arguments]
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", MEASURE, str(writer), *program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(writer,),
        env=env,
        cwd=env["HOME"],
        start_new_session=True,
    )
    os.close(writer)
    try:
        out, err = process.communicate(stdin, limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        err += f"\n(killed after {limit_s} s)".encode()
    elapsed_s = time.monotonic() - start
    with os.fdopen(reader) as measured:
        peak_kib = int(measured.read() or 0)
    return process.returncode, out.decode(), err.decode(), elapsed_s, peak_kib


# ── What must hold ──────────────────────────────────────────────────────────────────────────────────────────────


def check(outcome: Outcome) -> None:
    """Everything that a scenario's line says, and what holds for all of them."""
    scenario = outcome.scenario
    for run in outcome.runs:
        check_safety(run)
        assert run.code in _several(scenario.code), f"exit {run.code}: {run.err}"
        limit_s = scenario.within_s + START_S
        assert run.elapsed_s < limit_s, f"took {run.elapsed_s:.1f} s of {limit_s:.1f}: {run.err}"
        if scenario.footer and run.first.connections:
            assert any(connection.footer for connection in run.first.connections), "no </stream:stream> was sent"
    if outcome.json.code != 0:
        check_json(outcome)
    if outcome.text is not None:
        check_text(outcome.text, scenario)


def check_safety(run: Run) -> None:
    """No secret in the clear, no traceback, nothing of an attacker on stdout."""
    for secret in SECRETS:
        assert secret not in run.clear, f"{secret!r} crossed the network in the clear: {run.clear!r}"
    assert "Traceback" not in run.err, run.err
    assert "internal error" not in run.err, run.err
    assert PASSWORD not in run.out + run.err
    assert TOKEN.decode() not in run.out + run.err
    assert CANARY not in run.out, f"reached the application: {run.out}"


def check_json(outcome: Outcome) -> None:
    """The JSON error: its keys, code, layer, condition, sentence."""
    scenario, error = outcome.scenario, outcome.json.error
    assert set(error) == {"code", "name", "layer", "condition", "text", "hint"}
    assert error["code"] == outcome.json.code
    assert error["layer"] in _several(scenario.layer), error
    if scenario.condition is not None:
        assert error["condition"] == scenario.condition, error
    assert re.search(scenario.says, error["text"]), error


def check_text(run: Run, scenario: Scenario) -> None:
    """One line `xmppsh: …`, and at most one `  try: …`."""
    lines = run.err.splitlines()
    if run.code == 0:
        assert "--insecure" in scenario.options or not lines, run.err
        return
    assert 1 <= len(lines) <= 2, run.err
    assert re.fullmatch(r"xmppsh: \S.*", lines[0]), run.err
    assert re.search(scenario.says, lines[0]) or scenario.text_command, run.err
    if len(lines) == 2:
        assert re.fullmatch(r"  try: \S.*", lines[1]), run.err
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", run.err), f"raw control characters: {run.err!r}"


def _several(value: Any) -> Collection[Any]:
    return (value,) if isinstance(value, (int, str)) else value
