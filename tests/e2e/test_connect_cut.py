"""A cut while somebody types: told at once, and nothing is lost, whether it heals or not."""

from collections.abc import Callable
from pathlib import Path

from support.contact import Contact
from support.program import Program
from support.servers import Account, Server
from support.terminal import CTRL_C, CTRL_D, Terminal


async def in_conversation(shell: Terminal, friend: Account) -> None:
    await shell.prompt()
    await shell.enter(f"/to {friend.jid}")
    await shell.prompt(friend.jid)
    await shell.shows("all sent")


async def test_a_cut_shows_at_once_and_what_is_typed_in_it_arrives(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server("prosody")
    account, friend = server.account(), server.account()
    async with Terminal(Program(tmp_path, server, account), "connect") as shell:
        await shell.prompt()
        await shell.shows("all sent")
        await shell.enter(f"/to {friend.jid}")
        await shell.prompt(friend.jid)
        server.kill()
        toolbar = await shell.shows("OFFLINE ")
        assert "next try in" in toolbar or "connecting" in toolbar
        await shell.enter("in the hole")
        await shell.shows("1 stanza waits, kept on disk")
        assert (await shell.shows("in the hole")).split()[1:3] == ["you", "…"]
        server.start()
        await shell.until(lambda: any("you ✓" in line and "in the hole" in line for line in shell.lines), "✓", 60)
        await shell.until(lambda: not any("OFFLINE" in line for line in shell.lines), "the end of the cut")
    async with Contact(server, friend) as contact:
        await contact.wait_for_message(lambda message: message.body == "in the hole")


async def test_what_was_typed_in_a_cut_is_acknowledged_in_the_order_in_which_it_was_typed(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server("prosody")
    account, friend = server.account(), server.account()
    bodies = [f"in the hole {number}" for number in range(6)]
    async with Terminal(Program(tmp_path, server, account), "connect", "--timeout", "1.7") as shell:
        await in_conversation(shell, friend)
        server.kill()
        await shell.shows("OFFLINE ")
        for body in bodies:  # each is told of at a time of its own: those before it are given up by then
            await shell.enter(body)
            await shell.until(lambda body=body: _marked(shell, body, "…"), "that it waits")
        await shell.until(lambda: _marked(shell, bodies[-1], "✗"), "that the last one has no answer")
        server.start()
        await shell.until(lambda: all(_marked(shell, body, "✓") for body in bodies), "✓ for all", 60)
        acked = [line.split("hole ")[1].strip() for line in shell.lines if "you ✓" in line and "in the hole" in line]
        assert acked == sorted(acked)


def _marked(shell: Terminal, body: str, mark: str) -> bool:
    return any(f"you {mark}" in line and body in line for line in shell.lines)


async def test_a_command_that_waits_for_the_end_of_a_cut_says_so(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server("prosody")
    async with Terminal(Program(tmp_path, server, server.account()), "connect", "--timeout", "4") as shell:
        await shell.prompt()
        await shell.shows("all sent")
        server.kill()
        await shell.shows("OFFLINE ")
        await shell.enter("/ping")
        await shell.shows("xmppsh: the connection is cut, and this waits for it: ")
        await shell.shows("did not answer within 4 s, since the connection is cut: ")
        await shell.enter("<iq type='get' id='v1'><ping xmlns='urn:xmpp:ping'/></iq>")
        await shell.until(lambda: sum("waits for it" in line for line in shell.lines) == 2, "that it waits, too")
        shell.type(CTRL_C)
        await shell.prompt()


async def test_what_a_cut_that_does_not_heal_leaves_is_told_to_be_in_the_outbox(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server("prosody")
    account, friend = server.account(), server.account()
    program = Program(tmp_path, server, account)
    async with Terminal(program, "connect", "--no-guard") as shell:
        await in_conversation(shell, friend)
        server.kill()
        await shell.shows("OFFLINE ")
        await shell.enter("kept for later")
        await shell.shows("kept on disk")
        shell.type(CTRL_D)
        await shell.shows("xmppsh: the connection is cut; 5 s are left for it to come back")
        assert await shell.exit_code() != 0
        await shell.shows("1 message is not confirmed, and kept in the outbox")
        await shell.shows("try: xmppsh outbox retry")
    server.start()
    outcome = await program.run("outbox", "retry")
    assert outcome.code == 0, outcome.stderr
    async with Contact(server, friend) as contact:
        await contact.wait_for_message(lambda message: message.body == "kept for later")


async def test_a_message_that_is_acknowledged_late_is_shown_once_more(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server("prosody")
    account, friend = server.account(), server.account()
    async with Terminal(Program(tmp_path, server, account), "connect", "--timeout", "2") as shell:
        await in_conversation(shell, friend)
        server.suspend()
        await shell.enter("into the silence")

        def marks() -> list[str]:
            return [line.split()[2] for line in shell.lines if line.endswith("into the silence") and "you" in line]

        await shell.until(lambda: marks() == ["…", "✗"], "the message without an acknowledgement")
        server.resume()
        await shell.until(lambda: marks() == ["…", "✗", "✓"], "the late acknowledgement", 60)
        await shell.enter("/last")
        await shell.until(lambda: marks()[3:] == ["✓"], "what /last tells")
    async with Contact(server, friend) as contact:
        await contact.wait_for_message(lambda message: message.body == "into the silence")
