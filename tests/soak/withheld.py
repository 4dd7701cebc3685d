"""A server that never acknowledges: what the client holds and what is on the wire stay bounded, and it never says 0."""

import asyncio
import os
import re
import sys
from collections import Counter
from itertools import chain
from pathlib import Path

from hostile.certificates import Certificates
from hostile.misbehaviour import SKIP
from hostile.scenario import MEASURE
from hostile.server import DOMAIN, PASSWORD, USER, Server, Spec
from support.program import COMMAND, Program

from soak.endings import PATIENCE, WITHIN_S
from soak.result import GAVE_UP, Count, Result
from soak.stage import Ending, Running, message

FEW, MANY = 1_000, 100_000
PADDING = 100
GROWTH_KIB = 8 * 1024  # what a hundred times the input may add to the peak of memory
NEVER_ACKS = Spec({"r": SKIP})


async def withheld_acks(folder: Path, *, seed: int, window: int = 100, messages: int = MANY) -> Result:
    """Two runs, with little and much input: only so is it known what the input adds to the memory."""
    certificates = await asyncio.to_thread(_certificates, folder)
    _, few_kib, _ = await _run(folder / "few", certificates, FEW, window)
    ending, many_kib, server = await _run(folder / "many", certificates, messages, window)
    wire = [_numbers(connection.encrypted) for connection in server.connections]
    again = [number for number, times in Counter(chain.from_iterable(wire)).items() if times > 1]
    most = max(map(len, wire), default=0)
    note = f"window {window}: at most {most} on the wire; memory {few_kib // 1024} and {many_kib // 1024} MiB"
    count, links = Count([], again, []), len(server.connections)
    result = Result("hostile", "acks withheld", seed, messages, count, ending.seconds, links, ending.code, note)
    result.report = ending.stderr
    result.judge(GAVE_UP)
    result.demand(0 < most <= window, f"{most} unacknowledged on the wire")
    result.demand(many_kib - few_kib <= GROWTH_KIB, f"memory grows with the input: {few_kib} and {many_kib} KiB")
    return result


def _certificates(folder: Path) -> Certificates:
    folder.mkdir(parents=True, exist_ok=True)
    return Certificates(folder)


async def _run(folder: Path, certificates: Certificates, messages: int, window: int) -> tuple[Ending, int, Server]:
    """One run; the ending, the peak of the program's memory in KiB, and the server with what it saw."""
    folder.mkdir()
    stanzas = folder / "stanzas.xml"
    stanzas.write_text("".join(message(f"romeo@{DOMAIN}", number, PADDING) for number in range(messages)))
    program = Program(folder)
    program.env |= {"XMPPSH_JID": f"{USER}@{DOMAIN}", "XMPPSH_PASSWORD": PASSWORD, "XMPPSH_CA": str(certificates.ca)}
    command = [*COMMAND, "-v", "--format", "json", "pipe", "--window", str(window), *PATIENCE]
    reader, writer = os.pipe()
    with Server(NEVER_ACKS, certificates.contexts) as server:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{server.port}"
        with (
            stanzas.open("rb") as stdin,
            (folder / "stdout").open("wb") as stdout,
            (folder / "stderr").open("wb") as stderr,
        ):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", MEASURE, str(writer), *command),
                env=program.env, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=[writer], start_new_session=True,
            )  # fmt: skip
        os.close(writer)
        ending = await Running(process, folder).end(WITHIN_S)
        peak_kib = int(os.read(reader, 100)) if ending.code is not None else 0
        os.close(reader)
    return ending, peak_kib, server


def _numbers(stream: bytearray) -> list[int]:
    return [int(number) for number in re.findall(rb"<body>(\d+) ", stream)]
