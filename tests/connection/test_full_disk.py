"""What cannot be stored is not sent: a disk that is full ends the session with 74."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from connection.paper import Cut, inbound
from protocol.playbook import JULIET, NS

from xmppsh.errors import IoError


class FullDisk:
    """A journal whose disk is full from a certain call on."""

    def __init__(self, fails: str) -> None:
        self.fails, self.is_full = fails, False

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*_: Any, **__: Any) -> None:
            if self.is_full and name == self.fails:
                raise IoError("database or disk is full")

        return call


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        ("write", ""),
        pytest.param("finish", f"<a xmlns='{NS['sm']}' h='1'/>"),
        pytest.param("note_handled", inbound(1) + f"<r xmlns='{NS['sm']}'/>"),
    ],
)
async def test_a_disk_that_is_full_ends_the_session_with_74_and_nothing_leaves(fails: str, said: str) -> None:
    disk = FullDisk(fails)
    session = Cut(disk)
    driver = session.bound()
    disk.is_full = fails == "write"
    session.message("m1")
    await asyncio.sleep(0)
    disk.is_full = True
    if said:
        driver.hear(said)
    assert session.is_over
    assert isinstance(session.error, IoError)
    assert (b"<message" in driver.written) == (fails != "write")
    assert b"<a " not in driver.written
    disk.is_full = False
    await session.close(wait_s=0)


async def test_a_disk_that_is_full_during_a_cut_ends_the_session_with_74_and_its_healing() -> None:
    disk = FullDisk("write")
    session = Cut(disk)
    session.bound()
    session.cut()
    disk.is_full = True
    session.message("m1")
    await asyncio.sleep(0)
    assert isinstance(session.error, IoError)
    disk.is_full = False
    await session.close(wait_s=0)
    assert session.connection._healing is not None
    assert session.connection._healing.cancelled()


@pytest.mark.parametrize("fails", ["write", "opened"])
async def test_a_disk_that_is_full_when_a_stream_comes_to_life_fails_its_opening(fails: str) -> None:
    disk = FullDisk(fails)
    session = Cut(disk)
    session.bound()
    session.message("m1")
    await asyncio.sleep(0)
    session.cut()
    disk.is_full = True
    with pytest.raises(IoError):
        session.resumed(0) if fails == "write" else session.bound()
    disk.is_full = False
    await session.close(wait_s=0)


@pytest.mark.parametrize("fails", ["finish", "change"])
async def test_a_disk_that_is_full_while_a_count_settles_stanzas_fails_the_opening(fails: str) -> None:
    disk = FullDisk(fails)
    session = Cut(disk)
    session.bound()
    session.message("m1")
    await asyncio.sleep(0)
    session.cut()
    disk.is_full = True
    with pytest.raises(IoError):
        session.bound(failed_h=0)
    disk.is_full = False
    await session.close(wait_s=0)


@pytest.mark.parametrize("fails", ["finish", "change"])
async def test_a_disk_that_is_full_after_the_archive_was_asked_ends_the_session_with_74(fails: str) -> None:
    disk = FullDisk(fails)
    session = Cut(disk)
    session.bound()
    session.message("m1")
    await asyncio.sleep(0)
    session.cut()
    driver = session.bound()
    disk.is_full = True
    async with asyncio.timeout(5):
        while not session.is_over:
            for tag in re.findall(r"<iq[^>]*>", driver.written.decode()):
                stanza_id, to = (tag.partition(f' {name}="')[2].partition('"')[0] for name in ("id", "to"))
                driver.hear(f"<iq type='error' id='{stanza_id}' from='{to or JULIET.bare}'/>")
            await asyncio.sleep(0)
    assert isinstance(session.error, IoError)
    assert b"id='m1'" not in driver.written
    disk.is_full = False
    await session.close(wait_s=0)
