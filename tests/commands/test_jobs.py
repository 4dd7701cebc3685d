"""What a program of `listen --exec` finds in its environment: no secret, and nothing that keeps it from being run."""

import asyncio
import subprocess
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from xmppsh.commands.listen.jobs import MAX_REPLY_BYTES, Jobs, environment
from xmppsh.errors import DataError
from xmppsh.output.records import record
from xmppsh.xmlio.reader import read_element

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)


@pytest.mark.parametrize("sign", ["x", "ä", "\U0001f4a9"], ids=ascii)
def test_a_text_of_any_length_lets_the_program_run(sign: str) -> None:
    # Linux takes no variable of 128 KiB: such a message would end every `listen --exec` that gets it, again and again.
    body = f"<message xmlns='jabber:client' from='a@b'><body>{sign * (200_000 // len(sign.encode()))}</body></message>"
    env = environment({"PATH": "/usr/bin:/bin", "XMPPSH_PASSWORD": "s"}, record(read_element(body), lambda: NOW))
    assert "XMPPSH_PASSWORD" not in env
    done = subprocess.run(["sh", "-c", 'printf %s "$XMPPSH_BODY"'], env=env, capture_output=True, check=False)
    assert done.returncode == 0
    text = done.stdout.decode()
    assert 60_000 < len(done.stdout) <= 64 * 1024
    assert set(text) == {sign}


async def test_a_reply_that_cannot_be_sent_is_told_and_its_record_is_taken() -> None:
    async def refuse(*_: Any) -> None:
        raise DataError("the stanza has 300000 bytes, and 262144 are allowed")

    told: list[str] = []
    taken: list[bool] = []
    console = SimpleNamespace(env={"PATH": "/usr/bin:/bin"}, warn=told.append, umask=-1)
    jobs = Jobs(cast("Any", console), ["echo", "hello"], 1)
    jobs.reply = refuse
    message = record(read_element("<message xmlns='jabber:client' from='a@b'><body>x</body></message>"), lambda: NOW)
    await (await jobs.start(message, lambda: taken.append(True)))
    assert taken == [True]
    assert told == ["echo: its reply is not sent: the stanza has 300000 bytes, and 262144 are allowed"]


async def test_of_a_program_that_prints_too_much_the_beginning_is_sent_and_told_so() -> None:
    told: list[str] = []
    sent: list[str] = []

    async def send(_record: Any, text: str) -> None:
        sent.append(text)

    console = SimpleNamespace(env={"PATH": "/usr/bin:/bin"}, warn=told.append, umask=-1)
    jobs = Jobs(cast("Any", console), ["sh", "-c", "yes | head -c 1000000"], 1)
    jobs.reply = send
    message = record(read_element("<message xmlns='jabber:client' from='a@b'><body>x</body></message>"), lambda: NOW)
    await (await jobs.start(message, lambda: None))
    assert [len(text) for text in sent] == [MAX_REPLY_BYTES - 1]  # without its last line end
    assert told == [f"sh: its reply is cut after {MAX_REPLY_BYTES} bytes"]


@pytest.mark.parametrize("turns", [1, 3, 10, 300])
async def test_whenever_the_end_comes_a_program_that_was_begun_is_told_to_have_left_its_record(turns: int) -> None:
    told: list[str] = []
    taken: list[bool] = []
    console = SimpleNamespace(env={"PATH": "/usr/bin:/bin"}, warn=told.append, umask=-1)
    jobs = Jobs(cast("Any", console), ["sleep", "1000"], 1)
    message = record(read_element("<message xmlns='jabber:client' from='a@b'><body>x</body></message>"), lambda: NOW)
    task = await jobs.start(message, lambda: taken.append(True))
    for _ in range(turns):  # of the loop: the program is being started, or runs
        await asyncio.sleep(0)
    await jobs.end()
    assert task.done()
    assert taken == []
    assert told == ["sleep was stopped, and has not taken its record: the next run has it"]
