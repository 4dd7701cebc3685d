"""`agent start|status|stop`: the process that keeps sessions open for the commands of its user."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

import click

from xmppsh import __version__, oneself
from xmppsh.agent.thin import NOT_MINE, STATUS, STOP, connected, request, runtime_folder, send, socket_path
from xmppsh.errors import ExitCode, IoError, XmppshError
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.registry.base import command
from xmppsh.registry.params import SECONDS
from xmppsh.tasks import apart
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from xmppsh.app.app import App
    from xmppsh.app.console import Console

IDLE_S = 600.0
ANSWER_S = 10.0
RUNS_ALREADY = int(ExitCode.TEMPFAIL)  # the code of the second of two
STOP_S = 60.0  # it ends its commands and closes all its sessions meanwhile


class NoAgent(XmppshError):
    """No agent of this user runs."""

    exit_code = ExitCode.UNAVAILABLE
    layer = "io"
    default_hint = "xmppsh agent start"


@dataclass(frozen=True, slots=True)
class AgentFacts(Record):
    """The agent of this user."""

    kind: Literal["agent"] = field(default="agent", init=False)
    """What it is."""
    pid: int
    """Its process id."""
    version: str
    """Its version; a client of another version does not use it."""
    socket: str
    """Where it listens."""
    commands: int
    """How many commands it has carried out."""
    sessions: int
    """How many sessions it holds."""

    def text(self) -> str:
        """One line."""
        held, done = _counted(self.sessions, "session"), _counted(self.commands, "command")
        return f"agent {self.pid}, version {safe.line(self.version)}: {held}, {done} so far"


@dataclass(frozen=True, slots=True)
class AgentSession(Record):
    """A session that the agent holds."""

    kind: Literal["agent-session"] = field(default="agent-session", init=False)
    """What it is."""
    jid: str
    """Its full JID; the bare one while it is being opened."""
    since: str
    """When a command first asked for it; RFC 3339, UTC."""
    commands: int
    """How many commands had it so far."""
    running: int
    """How many have it now."""
    idle_s: float
    """How long nobody has used it, in seconds."""

    def text(self) -> str:
        """One line."""
        use = f"{self.running} running" if self.running else f"idle for {self.idle_s:.0f} s"
        return f"  {safe.line(self.jid)}: {_counted(self.commands, 'command')}, {use}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s'[: number != 1]}"


@command("agent", "start")
@click.option(
    "--idle", "idle_s", type=SECONDS, metavar="S", help="Close sessions that were not used for S seconds [600]."
)
@click.option("--foreground", is_flag=True, help="Stay in the foreground, until a signal or `agent stop`.")
async def agent_start(app: App, idle_s: float | None, foreground: bool) -> AsyncIterator[AgentFacts]:
    """Start this user's agent: from then on, commands such as send, ping and iq run in it, on a session that stays
    open, and need no login of their own. Their output and exit codes stay the same.

    If one is already running, nothing changes. It ends by itself once it has been idle for --idle seconds.

    Example:  xmppsh agent start
    """
    app.refuse_dry_run("agent start starts a process")
    idle_s = idle_s or IDLE_S
    if not foreground:
        if (running := await apart(lambda: _asked(app.console, STATUS))) is None:
            running = await apart(lambda: _start_apart(app.console.env, idle_s))
        yield _facts(app.console, running or await apart(lambda: _asked(app.console, STATUS)))
        return
    from xmppsh.agent.allowed import load_all
    from xmppsh.agent.server import Agent, Place

    load_all()  # before anybody can connect: a client that had to wait for it would rather go the ordinary way
    place = Place(runtime_folder(dict(app.console.env)))
    try:
        listener = place.listening()
        yield AgentFacts(os.getpid(), __version__, socket_path(dict(app.console.env)), 0, 0)
        agent = Agent(idle_s, app.console.log)
        await agent.serve(listener)
    finally:
        place.leave()
    agent.leave()


@command("agent", "status")
async def agent_status(app: App) -> AsyncIterator[AgentFacts | AgentSession]:
    """Show this user's agent and the sessions that it holds; without one the exit code is 69.

    Example:  xmppsh agent status
    """
    facts = await apart(lambda: _asked(app.console, STATUS))
    yield _facts(app.console, facts)
    for one in (facts or {}).get("sessions", ()):
        yield AgentSession(**one)


@command("agent", "stop")
async def agent_stop(app: App) -> None:
    """Stop this user's agent: end its commands as SIGTERM would, close its sessions, and wait for that.

    Example:  xmppsh agent stop
    """
    app.refuse_dry_run("agent stop ends a process")
    if await apart(lambda: _asked(app.console, STOP)) is None:
        app.console.warn("no agent is running")


def _facts(console: Console, facts: dict[str, Any] | None) -> AgentFacts:
    if facts is None:
        raise NoAgent("no agent is running")
    where = socket_path(dict(console.env))
    return AgentFacts(facts["pid"], facts["version"], where, facts["commands"], len(facts["sessions"]))


def _asked(console: Console, kind: bytes) -> dict[str, Any] | None:
    """What the agent says; None where none runs. Of one that is stopped the end is waited for. Raises IoError."""
    sock = connected(dict(console.env))
    if sock is None:
        return None
    try:
        sock.settimeout(ANSWER_S)
        if sock.recv(1) == NOT_MINE:
            raise IoError("the agent serves as many commands as it can, and takes no more", hint="try again")
        sock.settimeout(STOP_S if kind == STOP else ANSWER_S)
        send(sock, request(kind))
        said = b""
        while chunk := sock.recv(65536):
            said += chunk
        facts: dict[str, Any] | None = json.loads(said) if said else None
        return facts
    except (ConnectionResetError, BrokenPipeError):
        return None  # it has just ended
    except TimeoutError as error:
        raise IoError("the agent does not answer", hint="it may be stopped: look for `xmppsh agent` in `ps`") from error
    except (OSError, ValueError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else "its answer cannot be read"
        raise IoError(f"the agent: {reason}") from error
    finally:
        sock.close()


def _start_apart(env: Mapping[str, str], idle_s: float) -> dict[str, Any] | None:
    """Start the agent as a process of its own, and wait until it listens; None where another one was faster.

    Raises IoError with what it said.

    Its environment has none of our variables: whose account is meant, and the password, comes with each command.
    """
    child = subprocess.Popen(
        [*oneself.command(), "--agent", "no", "agent", "start", "--foreground", "--idle", f"{idle_s:g}"],
        env={name: value for name, value in env.items() if not name.startswith("XMPPSH_")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    with child.stdout, child.stderr:
        if child.stdout.readline():
            return {"pid": child.pid, "version": __version__, "commands": 0, "sessions": []}
        if child.wait() != RUNS_ALREADY:
            said, _, hint = child.stderr.read().decode("utf-8", "replace").strip().partition("\n  try: ")
            raise IoError(f"the agent does not start: {said.removeprefix('xmppsh: ')}", hint=hint or None)
    return None
