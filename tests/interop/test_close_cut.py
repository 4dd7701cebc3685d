"""Ends and failures while the link is cut: the server does not hear of the close, so it is not done with it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.chaos import ChaosProxy
from support.contact import Contact
from support.faults import Fault, reset_client_only, silent_hole
from support.program import Program, finish
from support.servers import Account, Server
from support.until import until

pytestmark = pytest.mark.either_server

REFUSED_S = 60.0  # longer than any wait of the program's end
CUTS = {
    "reset and refused": reset_client_only(refuse_s=REFUSED_S),
    "silent": silent_hole(every=True),
}


@pytest.mark.parametrize("guard", [["--no-guard"], []], ids=["next start", "guard"])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
async def test_a_session_that_ends_while_its_link_is_cut_is_closed_when_there_is_a_way_again(
    server: Server, alice: Account, program: Program, tmp_path: Path, cut: Fault, guard: list[str]
) -> None:
    async with ChaosProxy(server.host, server.port) as proxy:
        program.env["XMPPSH_HOST"] = f"{server.host}:{proxy.port}"
        async with program.listening(*guard, ready=tmp_path / "ready") as process:
            (ghost,) = server.sessions(alice.jid)
            injection = await proxy.inject(cut)
            process.send_signal(signal.SIGTERM)
            outcome = await finish(process)
        assert outcome.code == 128 + signal.SIGTERM
        who = "the next command or xmppsh sessions reap" if guard else "the guard"
        assert outcome.stderr.endswith(
            f"xmppsh: the server has not confirmed the end of the session; {who} will see to it\n"
        )
        assert server.sessions(alice.jid) == [ghost], "the server cannot know"
        injection.release()
        if guard:  # --no-guard
            program.env["XMPPSH_HOST"] = f"{server.host}:{server.port}"
            assert (await program.run("sessions", "reap")).code == 0
        await until(lambda: server.sessions(alice.jid) == [], "the end of the session")
    await until(lambda: not list((tmp_path / "xmppsh" / "locks").iterdir()), "the end of its lock")


@dataclass
class Gateway:
    """In front of the server; while it is closed it answers for it, as a captive portal does."""

    port: int = 0
    is_closed: bool = False
    turned_away: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def close(self) -> None:
        """Cut who is in."""
        self.is_closed = True
        for writer in self.writers:
            writer.transport.abort()


@asynccontextmanager
async def gateway(server: Server) -> AsyncIterator[Gateway]:
    gate = Gateway()

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
        except ConnectionError:
            pass  # cut, which is what it is for
        finally:
            target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if gate.is_closed:
            gate.turned_away += 1
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n<html>Accept our terms</html>")
            await writer.drain()
            writer.close()
            return
        there, back = await asyncio.open_connection(server.host, server.port)
        gate.writers.append(writer)
        await asyncio.gather(copy(reader, back), copy(there, writer))

    listener = await asyncio.start_server(serve, server.host, 0)
    gate.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield gate


async def test_a_gateway_that_answers_for_the_server_does_not_end_the_healing(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    async with gateway(server) as gate:
        program.env["XMPPSH_HOST"] = f"{server.host}:{gate.port}"
        async with program.listening("-v", "-C", "1", "-F", "%b", ready=tmp_path / "ready") as process:
            gate.close()
            await until(lambda: gate.turned_away >= 2, "another try")
            gate.is_closed = False
            await friend.send(alice.jid, "But soft!")
            outcome = await finish(process)
    assert (outcome.code, outcome.stdout) == (0, "But soft!\n")
    assert "does not speak XMPP" in outcome.stderr
