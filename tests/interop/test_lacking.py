"""A server that has login, messages and rosters alone: each command says by name what is not offered there."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from support.program import Program
from support.servers import Server

# What is asked of whom, and the sentence's end. The others speak with other clients, which a server cannot lack.
LACKING = {
    "block list": "blocking (XEP-0191)",
    "block add x@example.org": "blocking (XEP-0191)",
    "block remove x@example.org": "blocking (XEP-0191)",
    "bookmarks list": "private bookmarks (XEP-0402)",
    "bookmarks add r@example.org": "private bookmarks (XEP-0402)",
    "bookmarks remove r@example.org": "private bookmarks (XEP-0402)",
    "vcard get": "cards (XEP-0054)",
    "vcard set FN=x": "cards (XEP-0054)",
    "avatar set PICTURE": "nodes (XEP-0060)",
    "avatar remove": "nodes (XEP-0060)",
    "history list": "an archive (XEP-0313)",
    "history export": "an archive (XEP-0313)",
    "account passwd --new-password-file new": "the change of a password (XEP-0077)",
    "account delete --yes": "the end of an account (XEP-0077)",
    "version DOMAIN": "its version (XEP-0092)",
    "time DOMAIN": "its time (XEP-0202)",
    "last DOMAIN": "its last activity (XEP-0012)",
    "pubsub nodes OWN": "nodes (XEP-0060)",
    "pubsub get OWN n": "nodes (XEP-0060)",
    "pubsub publish OWN n <a/>": "nodes (XEP-0060)",
    "pubsub retract OWN n 1": "nodes (XEP-0060)",
    "pubsub create OWN n": "nodes (XEP-0060)",
    "pubsub config OWN n": "nodes (XEP-0060)",
    "pubsub delete OWN n --yes": "nodes (XEP-0060)",
    "pubsub subscribe OWN n": "nodes (XEP-0060)",
    "pubsub unsubscribe OWN n": "nodes (XEP-0060)",
    "pubsub watch OWN n": "nodes (XEP-0060)",
    "adhoc list DOMAIN": "commands (XEP-0050)",
    "adhoc run DOMAIN n": "commands (XEP-0050)",
    "room list DOMAIN": "rooms (XEP-0045)",
    "room who ROOM": "rooms (XEP-0045)",
    "room subject ROOM x": "rooms (XEP-0045)",
    "room invite ROOM x@example.org": "rooms (XEP-0045)",
    "room affiliation ROOM": "rooms (XEP-0045)",
    "room role ROOM nick visitor": "rooms (XEP-0045)",
    "room config ROOM": "rooms (XEP-0045)",
    "room destroy ROOM --yes": "rooms (XEP-0045)",
    "history list --room ROOM": "rooms (XEP-0045)",
    "upload new": "upload of files (XEP-0363)",
}
AT_ONCE = 4


@pytest.mark.long
@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
async def test_what_a_server_lacks_is_told_by_name(
    name: str, start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server(name, bare=True)
    account, turn = server.account(), asyncio.Semaphore(AT_ONCE)
    (tmp_path / "new").write_text("secret\n")
    (tmp_path / "new").chmod(0o600)
    (tmp_path / "picture").write_bytes(b"GIF89a")
    words = {"DOMAIN": server.domain, "OWN": account.jid, "ROOM": f"r@{server.domain}"}
    words |= {"new": str(tmp_path / "new"), "PICTURE": str(tmp_path / "picture")}

    async def said(command: str, number: int) -> tuple[int, str]:
        (home := tmp_path / str(number)).mkdir()
        async with turn:
            outcome = await Program(home, server, account).run(*(words.get(word, word) for word in command.split()))
        return outcome.code, outcome.stderr.partition("\n")[0]

    told = await asyncio.gather(*(said(command, number) for number, command in enumerate(LACKING)))
    wrong = {
        command: one
        for (command, lacking), one in zip(LACKING.items(), told, strict=True)
        if one[0] != 76 or not one[1].endswith((f"does not offer {lacking}", f"offers no {lacking}"))
    }
    assert wrong == {}
