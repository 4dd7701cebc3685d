"""The same command line, the same server, two ways (ARCHITECTURE.md, "Without a loop"): one outcome.

The ordinary way is taken where no place is kept, the express way where one is. Both know the server from before, so
that both write the stanza with the bind.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hostile.misbehaviour import (
    BIND,
    CLOSE,
    CUT,
    RESET,
    SILENCE,
    SKIP,
    Spec,
    authentication,
    features,
    first_only,
    mechanisms,
    sasl_failure,
    see_other_host,
    stanza_error,
    stream_error,
)
from hostile.scenario import _environment, check_safety
from hostile.server import DOMAIN, SM, USER, Server
from hostile.test_ahead import known
from hostile.test_sasl2 import NONE, token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hostile.certificates import Certificates
    from hostile.misbehaviour import Reply
    from hostile.server import Connection

WAYS = ("ordinary", "express")
TO = f"romeo@{DOMAIN}"
SEND = ("send", TO, "art-thou-not-Romeo", "--id", "m1", "--format", "json")
FOOTER = "</stream:stream>"
# A server that takes a stanza with the bind gives the address that is asked for.
BOUND = f"<iq type='result' id='{{id}}'>{BIND.removesuffix('/>')}><jid>{USER}@{DOMAIN}/{{resource}}</jid></bind></iq>"
REQUEST = f"<iq type='get' from='{DOMAIN}' id='v1'><query xmlns='jabber:iq:version'/></iq>"
LOOP = "xmppsh.connection.driver"
# What the way was: the names of the modules that the program has loaded by its end, on a descriptor of their own.
PROGRAM = """
import atexit, os, sys
from xmppsh.cli.__main__ import main
from xmppsh.later import _Later
def tell():
    loaded = (name for name, module in sys.modules.items() if type(module) is not _Later)
    os.write(int(os.environ["LOADED"]), " ".join(loaded).encode())
atexit.register(tell)
main()
"""


@dataclass(frozen=True)
class Case:
    """A server's behaviour. code: the exit code by both ways; once: is the message written once, else never?

    falls_back: the express way leaves it to the ordinary one.
    """

    name: str
    steps: Mapping[str, Reply]
    code: int
    once: bool = True
    falls_back: bool = False
    command: tuple[str, ...] = SEND
    tls: str = "good"
    logins: int | None = None
    takes_bytes: int = 262144
    options: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)  # files of the state folder
    marks: tuple[pytest.MarkDecorator, ...] = field(default=(pytest.mark.long,))


@dataclass(frozen=True)
class Seen:
    """What one run did, and left. rows: of the outbox, as (fate, kind, recipient)."""

    code: int
    out: str
    err: str
    rows: list[tuple[str, str, str]]
    clear: bytes
    encrypted: bytes
    loaded: set[str]


def run(way: str, case: Case, certificates: Certificates, folder: Path, kill: int = 0, at: str = "") -> Seen:
    """Run the command by one way. kill: this signal is sent when the server comes to the step `at`, which is silent."""
    (folder := folder / way).mkdir()
    steps: dict[str, Reply] = {"bind": BOUND, **case.steps}
    running: list[subprocess.Popen[bytes]] = []
    if at:
        steps[at] = lambda _connection, _good: (_signal(running, kill), SILENCE)[1]
    with Server(Spec(steps, case.tls), certificates.contexts) as server:
        env = _environment(folder, {"XMPPSH_CA": str(certificates.ca), "XMPPSH_HOST": f"127.0.0.1:{server.port}"})
        (state := Path(env["XDG_STATE_HOME"]) / "xmppsh").mkdir(mode=0o700)
        kept = known(2) | ({} if way == "ordinary" else _place(server.port)) | case.kept
        for name, text in kept.items():
            (state / name).touch(0o600)
            (state / name).write_text(text.replace("262144", str(case.takes_bytes)))
        reader, writer = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *case.command, "--connect-timeout", "12", "--timeout", "3", *case.options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(writer,),
            env={**env, "LOADED": str(writer)}, cwd=env["HOME"],
        )  # fmt: skip
        running.append(process)
        os.close(writer)
        out, err = process.communicate(timeout=60)
        with os.fdopen(reader) as told:
            loaded = set(told.read().split())
    clear = b"".join(bytes(one.clear) for one in server.connections)
    encrypted = b"".join(bytes(one.encrypted) for one in server.connections)
    said = re.sub(r"\(waited [\d.]+ s\)", "(waited)", err.decode().replace(str(server.port), "PORT"))
    return Seen(process.returncode, out.decode(), said, _rows(state), clear, encrypted, loaded)


def _place(port: int) -> dict[str, str]:
    asked = f"{(('127.0.0.1', port),)} auto False False ()"
    entry = {"asked": asked, "address": "127.0.0.1", "port": port, "tls": "starttls", "seen": time.time(), "words": ""}
    return {"places.json": json.dumps({f"{USER}@{DOMAIN}": entry})}


def _signal(running: list[subprocess.Popen[bytes]], number: int) -> None:
    while not running:
        pass  # Popen is about to return
    running[0].send_signal(number)


def _rows(state: Path) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    for path in state.glob("outbox/*.sqlite"):
        with closing(sqlite3.connect(path)) as database:
            found += database.execute("SELECT fate, kind, recipient FROM stanza").fetchall()
    return found


def slow(_connection: Connection, good: str) -> str:
    """An answer that lets others wait, and comes in time."""
    time.sleep(1)
    return good


def bounced_after_the_fence(connection: Connection, good: str) -> Reply:
    """The bounce in a TLS record of its own, after that of the fence, and in the same segment."""
    bounce = f"<message type='error' from='{TO}' id='m1'>{stanza_error('service-unavailable')}</message>"
    connection.flush()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    connection.send(good.encode())
    connection.send(bounce.encode())
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
    return SKIP


def case(name: str, steps: Mapping[str, Reply], code: int, **facts: Any) -> Case:
    return Case(name, steps, code, **facts)


QUICK = ()  # runs in `make test`
CASES = [
    case("acknowledged", {}, 0, marks=QUICK),
    case("bounced", {"message": f"<message type='error' from='{{to}}' id='{{id}}'>{stanza_error('gone')}</message>"},
         67, marks=QUICK),
    case("bounced-after-the-fence", {"ping": bounced_after_the_fence}, 67, marks=QUICK),
    case("bounced-by-a-stranger", {"message": f"<message type='error' from='x@evil.example' id='{{id}}'>"
         f"{stanza_error('gone')}</message>"}, 0),
    case("not-acknowledged", {"r": SILENCE}, 79),
    case("cut-after-the-stanza", {"message": CUT}, 79, marks=QUICK),
    case("closed-after-the-stanza", {"message": CLOSE}, 79),
    case("reset-after-the-stanza", {"message": RESET}, 79),
    case("footer-after-the-stanza", {"message": FOOTER}, 79),
    case("stream-error-after-the-stanza", {"message": (stream_error("policy-violation"), FOOTER)}, 79, marks=QUICK),
    case("garbage-after-the-stanza", {"message": "<<<"}, 79),
    case("acknowledges-too-much", {"r": f"<a xmlns='{SM}' h='99'/>"}, 79),
    case("asks-us-something", {"message": REQUEST}, 0),
    case("no-fence", {"ping": SKIP}, 0),
    case("slow", {"r": slow, "auth": slow, "features": slow}, 0),
    case("sent-alone", {}, 0, command=(*SEND, "--wait", "sent")),
    case("sent-alone-and-cut", {"bind": SKIP, "enable": SKIP, "message": CUT}, 79,
         command=(*SEND, "--wait", "sent"), marks=QUICK),
    case("sent-alone-and-silent", {"bind": SILENCE}, 79, command=(*SEND, "--wait", "sent"), marks=QUICK),
    case("more-than-the-server-takes", {}, 65, command=("send", TO, "x" * 20_000, "--format", "json"), once=False,
         falls_back=True, takes_bytes=10_000),
    case("cut-before-the-stanza", {"response": CUT}, 69, once=False, falls_back=True),
    case("cut-before-the-stanza-once", {"response": first_only(CUT)}, 0, falls_back=True, marks=QUICK),
    case("stream-error-before-the-stanza", {"header-tls": ("{good}", stream_error("not-authorized"), FOOTER)}, 77,
         once=False, falls_back=True),
    case("garbage-before-the-stanza", {"header-tls": "<<<"}, 76, once=False, falls_back=True),
    case("another-certificate", {}, 76, once=False, falls_back=True, tls="wrong-name", marks=QUICK),
    case("another-mechanism", {"auth": lambda _connection, good: sasl_failure("invalid-mechanism")
         if "<challenge" in good else good}, 77, once=False),
    case("password-refused", {"response": sasl_failure("not-authorized")}, 77, once=False, marks=QUICK, logins=1),
    case("redirected-before-tls", {"header": ("{good}", *see_other_host("evil.example"))}, 76, once=False,
         falls_back=True),
    case("redirected-after-the-stanza", {"message": see_other_host("evil.example")}, 79),
    case("silent-before-tls", {"header": SILENCE}, 75, once=False, falls_back=True, marks=QUICK),
    case("ping", {}, 0, command=("ping",), once=False),
    case("ping-refused", {"ping": f"<iq type='error' id='{{id}}'>{stanza_error('forbidden')}</iq>"}, 77, once=False,
         command=("ping", DOMAIN)),
    case("ping-unanswered", {"ping": SILENCE}, 75, once=False, command=("ping",)),
    case("ping-cut", {"ping": CUT}, 69, once=False, command=("ping",)),
    case("iq", {}, 0, once=False, command=("iq", "get", DOMAIN, "<query xmlns='jabber:iq:version'/>")),
]  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param(one, id=one.name, marks=one.marks) for one in CASES])
def test_both_ways_come_to_the_same(case: Case, certificates: Certificates, tmp_path: Path) -> None:
    ordinary, express = (run(way, case, certificates, tmp_path) for way in WAYS)
    for seen in (ordinary, express):
        check_safety(seen)  # type: ignore[arg-type]
        assert seen.code == case.code, seen.err
        assert seen.encrypted.count(b"<message") == case.once
        assert case.logins in (None, seen.encrypted.count(b"<auth"))
    assert _without_times(express.out) == _without_times(ordinary.out)
    assert (express.err, express.rows) == (ordinary.err, ordinary.rows)
    assert LOOP in ordinary.loaded
    assert (LOOP in express.loaded) is case.falls_back


def test_a_message_by_a_token_needs_neither_a_loop_nor_a_path_of_elements(
    certificates: Certificates, tmp_path: Path
) -> None:
    offered = features(mechanisms("SCRAM-SHA-256") + authentication("SCRAM-SHA-256"))
    kept = known(2, tokens=[NONE]) | token()
    by_token = case("token", {"features-tls": offered}, 0, kept=kept, command=("send", TO, "hello"))
    seen = run("express", by_token, certificates, tmp_path)
    assert (seen.code, seen.encrypted.count(b"<message"), b"<response" in seen.encrypted) == (0, 1, False)
    assert {LOOP, "xml.etree.ElementPath"} & seen.loaded == set()


STEPS = ["header", "header-tls", "auth", "response", "r", "ping"]  # at the close a one-shot may have ended already
SIGNALS = [
    pytest.param(number, step, marks=() if (number, step) == (signal.SIGINT, "r") else pytest.mark.long)
    for number in (signal.SIGINT, signal.SIGTERM)
    for step in STEPS
]


@pytest.mark.parametrize(("number", "step"), SIGNALS)
def test_a_signal_ends_both_ways_in_the_same_manner(
    number: int, step: str, certificates: Certificates, tmp_path: Path
) -> None:
    asked = Case("signal", {}, 0)
    ordinary, express = (run(way, asked, certificates, tmp_path, number, step) for way in WAYS)
    assert (express.code, express.err, express.rows) == (ordinary.code, ordinary.err, ordinary.rows)
    assert express.encrypted.count(b"<message") == ordinary.encrypted.count(b"<message")
    assert express.encrypted.count(b"</stream:stream>") == ordinary.encrypted.count(b"</stream:stream>")


def test_what_is_begun_before_the_settings_are_read_is_the_one_connection(
    certificates: Certificates, tmp_path: Path
) -> None:
    with Server(Spec({"bind": BOUND}, "good"), certificates.contexts) as server:
        place = {"XMPPSH_CA": str(certificates.ca), "XMPPSH_HOST": f"127.0.0.1:{server.port}"}
        env = _environment(tmp_path, place)
        for number in range(1, 4):
            words = ("send", TO, f"number {number}", "-j", f"{USER}@{DOMAIN}")
            subprocess.run([sys.executable, "-m", "xmppsh", *words], env=env, cwd=env["HOME"], check=True)
            assert len(server.connections) == number
        kept = (Path(env["XDG_STATE_HOME"]) / "xmppsh" / "early.tsv").read_text()
        assert f"\t127.0.0.1\t{server.port}\t" in kept


def _without_times(out: str) -> str:
    return re.sub(r"[\d.]+ ms|\"ms\": ?[\d.]+|\"id\": ?\"x[0-9a-f]+\"", "", out)
