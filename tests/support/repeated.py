"""The same message again and again, each by a run of its own: how the program gets to know its server."""

from support.contact import Contact
from support.program import Program
from support.servers import Server


async def sent(program: Program, server: Server, runs: int, *options: str) -> list[str]:
    """What `send` says on stderr in each of so many runs, all of whose messages arrive in order."""
    said = []
    texts = [f"number {number}" for number in range(runs)]
    async with Contact(server, server.account()) as contact:
        for text in texts:
            done = await program.run(*options, "send", contact.jid.partition("/")[0], text)
            assert done.code == 0, done.stderr
            said.append(done.stderr)
        await contact.wait_for_messages(runs)
        assert [message.body for message in contact.messages] == texts
    return said
