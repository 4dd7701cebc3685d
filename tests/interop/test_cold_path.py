"""What a cold command does not load: each module costs its user milliseconds."""

import sys
from pathlib import Path

import pytest
from support.program import Program, finish
from support.servers import Server

ALWAYS = (
    "lxml slixmpp prompt_toolkit cryptography asn1crypto scramp dns idna stringprep encodings.idna tomllib email"
    " click gettext zipfile importlib.metadata difflib tempfile shutil secrets http"
    " inspect ast dis tokenize linecache textwrap ntpath locale"
    " xmppsh.witness.announcer"
)
# From Python 3.14 on asyncio loads them by itself, which the first two contacts with a server need.
BY_ASYNCIO = "inspect ast dis tokenize linecache" if sys.version_info >= (3, 14) else ""
WITHOUT_LOOP = (
    "asyncio ssl socket selectors logging concurrent.futures xmppsh.session.session xmppsh.connection.connect"
    " ctypes ipaddress urllib.parse xml.etree.ElementTree typing signal threading datetime xmppsh.output.records"
    " copy weakref xml.etree.ElementPath re json base64 struct math"
)
MAIN = """
import atexit, sys
from xmppsh.cli.__main__ import main
from xmppsh.later import _Later
atexit.register(lambda: sys.stderr.write(" ".join(n for n, m in sys.modules.items() if type(m) is not _Later) + "\\n"))
main()
"""
COMMANDS = {"send": ("{own}", "hello"), "ping": (), "iq": ("get", "{domain}", "<ping xmlns='urn:xmpp:ping'/>")}


@pytest.mark.either_server
@pytest.mark.parametrize("name", COMMANDS)
async def test_a_cold_command_loads_what_it_needs(server: Server, name: str, tmp_path: Path) -> None:
    account = server.account()
    program = Program(tmp_path, server, account)
    words = [word.format(domain=server.domain, own=account.jid) for word in COMMANDS[name]]
    process = await program.start_as((sys.executable, "-c", MAIN), name, *words)
    done = await finish(process)
    unwanted = set(ALWAYS.split()) - set(BY_ASYNCIO.split()) | (set() if name == "send" else {"sqlite3"})
    assert (done.code, unwanted & set(done.stderr.split())) == (0, set())


@pytest.mark.either_server
async def test_from_the_third_contact_on_a_message_needs_no_event_loop(server: Server, tmp_path: Path) -> None:
    account = server.account()
    program = Program(tmp_path, server, account)
    loaded: list[set[str]] = []
    for number in range(4):
        process = await program.start_as((sys.executable, "-c", MAIN), "send", account.jid, f"hello {number}")
        done = await finish(process)
        assert done.code == 0
        loaded.append(set(done.stderr.split()))
    unwanted = set(WITHOUT_LOOP.split())
    assert ["asyncio" in one for one in loaded[:2]] == [True, True]
    assert [unwanted & one for one in loaded[2:]] == [set(), set()]
