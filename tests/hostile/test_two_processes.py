"""What xmppsh makes of a server with two processes for one session: each message once and in order, or 79."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from support.program import Outcome, Program

from hostile.server import DOMAIN, PASSWORD, USER
from hostile.two_processes import Race, TwoProcesses

if TYPE_CHECKING:
    from pathlib import Path

    from hostile.certificates import Certificates

MESSAGES, HANDLED = 20, 8
MESSAGE = b"<message to='romeo@%s'><body>%d</body></message>\n"


class Run:
    """`pipe` of twenty messages to such a server, and its outbox afterwards."""

    def __init__(self, server: TwoProcesses, certificates: Certificates, folder: Path) -> None:
        self.server, self.program = server, Program(folder)
        self.program.env |= {
            "XMPPSH_JID": f"{USER}@{DOMAIN}",
            "XMPPSH_PASSWORD": PASSWORD,
            "XMPPSH_CA": str(certificates.ca),
            "XMPPSH_HOST": f"127.0.0.1:{server.port}",
        }

    async def pipe(self) -> Outcome:
        stdin = b"".join(MESSAGE % (DOMAIN.encode(), number) for number in range(MESSAGES))
        return await self.program.run("--format", "json", "pipe", stdin=stdin)

    async def killed(self) -> None:
        """`pipe` of the same, which it writes together, killed with SIGKILL when the server has read what is behind."""
        process = await self.program.start("pipe")
        assert process.stdin is not None
        process.stdin.write(b"".join(MESSAGE % (DOMAIN.encode(), number) for number in range(MESSAGES)))
        assert await asyncio.to_thread(self.server.reached.wait, 30)
        process.kill()
        await process.wait()

    async def settled(self) -> None:
        """Wait until whoever looks after the dead process has settled everything."""
        async with asyncio.timeout(60):
            while await self.outbox():
                pass

    async def outbox(self) -> dict[str, str]:
        """The state of each body."""
        listed = await self.program.run("--format", "json", "outbox", "list")
        return {record["xml"].split("<body>")[1].split("<")[0]: record["state"] for record in listed.records}


def numbers(start: int, end: int = MESSAGES) -> list[str]:
    return [str(number) for number in range(start, end)]


@pytest.mark.parametrize(
    "race",
    [
        pytest.param(Race(HANDLED), id="nothing-behind"),
        pytest.param(Race(HANDLED, behind=1), id="one-behind"),
        pytest.param(Race(HANDLED, behind=4), id="four-behind"),
        pytest.param(Race(0, behind=4), id="none-handled"),
        pytest.param(Race(HANDLED, behind=4, late_s=3.0), id="three-seconds-late"),
        pytest.param(Race(HANDLED, behind=4, exact=True), id="exact"),
        pytest.param(Race(HANDLED, behind=4, exact=True, archive="none"), id="exact-without-archive"),
        pytest.param(Race(HANDLED, replaced=True), id="replaced"),
    ],
)
async def test_each_message_arrives_once_and_in_order(race: Race, certificates: Certificates, tmp_path: Path) -> None:
    with TwoProcesses(race, certificates.contexts) as server:
        run = Run(server, certificates, tmp_path)
        outcome = await run.pipe()
        assert (outcome.code, server.settle()) == (0, numbers(0)), outcome.stderr
        assert await run.outbox() == {}


@pytest.mark.parametrize("archive", ["none", "stores nothing"])
@pytest.mark.parametrize("behind", [0, 4])
async def test_without_a_proof_it_is_79_and_nothing_is_sent_twice(
    archive: str, behind: int, certificates: Certificates, tmp_path: Path
) -> None:
    with TwoProcesses(Race(HANDLED, behind, archive=archive), certificates.contexts) as server:  # type: ignore[arg-type]
        run = Run(server, certificates, tmp_path)
        outcome = await run.pipe()
        server.settle()
        assert outcome.code == 79, outcome.stderr
        assert len(set(server.arrived)) == len(server.arrived)
        left = await run.outbox()
        uncertain = [number for number, state in left.items() if state == "uncertain"]
        assert uncertain[:1] == [str(HANDLED)]
        assert set(numbers(0)) - left.keys() <= set(server.arrived)  # the rest is told of


@pytest.mark.parametrize("behind", [0, 4])
async def test_the_guard_of_a_killed_program_settles_it_in_the_same_way(
    behind: int, certificates: Certificates, tmp_path: Path
) -> None:
    with TwoProcesses(Race(HANDLED, behind, stands=True), certificates.contexts) as server:
        run = Run(server, certificates, tmp_path)
        await run.killed()
        await run.settled()
        assert server.settle() == numbers(0)
        assert [answer.split()[0] for answer in server.resumes] == ["resumed", "failed"]


@pytest.mark.parametrize("archive", ["none", "stores nothing"])
async def test_without_a_proof_the_guard_sends_nothing_again(
    archive: str, certificates: Certificates, tmp_path: Path
) -> None:
    with TwoProcesses(Race(HANDLED, 4, archive=archive, stands=True), certificates.contexts) as server:
        run = Run(server, certificates, tmp_path)
        await run.killed()
        async with asyncio.timeout(60):
            while set((await run.outbox()).values()) != {"uncertain"} or "failed" not in server.resumes:
                pass
        assert server.settle() == numbers(0, HANDLED + 4)
        assert list(await run.outbox()) == numbers(HANDLED)
