"""Two nodes, both given as `--host`: what becomes of `pipe` when the one it is on goes away (docs/sessions.md)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.chaos import ChaosProxy
from support.cluster import Cluster
from support.contact import Contact
from support.ejabberd import EjabberdServer
from support.faults import silent_hole
from support.program import Program, finish

pytestmark = pytest.mark.long

MANY, LOST_AT = 5_000, 2_000
FROZEN_S = 20.0
DEADLINE_S = 240.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if (missing := EjabberdServer.missing()) is not None:
        pytest.fail(f"{missing} is not installed", pytrace=False)
    both = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        both.start()
        yield both
    finally:
        both.close()


@pytest.fixture
async def recipient(cluster: Cluster) -> AsyncIterator[Contact]:
    """Somebody on the node that stays."""
    async with Contact(cluster.two, cluster.two.account()) as contact:
        yield contact


@pytest.mark.parametrize("loss", ["frozen", "cut off", "killed"])
async def test_a_node_that_goes_away_loses_doubles_and_reorders_nothing(
    cluster: Cluster, recipient: Contact, tmp_path: Path, loss: str
) -> None:
    program = Program(tmp_path, cluster.two, cluster.two.account())
    program.env["XMPPSH_CA"] = str(cluster.ca)
    messages = "".join(
        f'<message to="{recipient.jid}" type="chat"><body>{number}</body></message>' for number in range(MANY)
    )
    async with ChaosProxy(cluster.one.host, cluster.one.port) as way:
        hosts = ("--host", f"127.0.0.1:{way.port}", "--host", f"{cluster.two.host}:{cluster.two.port}")
        process = await program.start(*hosts, "pipe")
        ending = asyncio.ensure_future(finish(process, messages.encode(), DEADLINE_S))
        await recipient.wait_for_messages(LOST_AT, DEADLINE_S)
        if loss == "killed":
            cluster.one.kill()
        elif loss == "cut off":
            way.arm(silent_hole())
        else:
            cluster.one.suspend()
            await asyncio.wait({ending}, timeout=FROZEN_S)
            cluster.one.resume()
        outcome = await ending
    assert outcome.code == 0, outcome.stderr
    await recipient.wait_for_messages(MANY, DEADLINE_S)
    await recipient.settle()
    assert [message.body for message in recipient.messages] == [str(number) for number in range(MANY)]
