"""What a client asks of the agent: bytes and descriptors, read within bounds (thin.py has the form)."""

from __future__ import annotations

import array
import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from xmppsh.agent.thin import MAX_REQUEST_BYTES, RUN, STREAMS
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

LENGTH_BYTES = 4
CHUNK_BYTES = 64 * 1024
NUMBER_BYTES = array.array("i").itemsize


class BadRequest(Exception):
    """It is too long, ends too early, or is no request at all: the client is left to itself."""


@dataclass(frozen=True)
class Request:
    """A command line and its surroundings.

    kind: RUN, STATUS or STOP; the rest is there for RUN alone. streams: descriptors of its stdin, stdout and stderr,
    which are ours to close.
    """

    kind: bytes
    version: str = ""
    cwd: Path = Path()
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None
    streams: tuple[int, ...] = ()


async def receive(sock: socket.socket) -> Request:
    """Read a request; raises BadRequest, and leaves no descriptor open then."""
    streams: list[int] = []
    try:
        length = int.from_bytes(await _read(sock, LENGTH_BYTES, streams), "big")
        if length > MAX_REQUEST_BYTES:
            raise BadRequest(f"{length} bytes")
        return _parsed(await _read(sock, length, streams), streams)
    except BaseException:  # whatever ends it: a descriptor of a client must not stay open here
        close(streams)
        raise


def close(descriptors: list[int] | tuple[int, ...]) -> None:
    """Close what a client has handed over."""
    for one in descriptors:
        with suppress(OSError):
            os.close(one)


async def _read(sock: socket.socket, length: int, streams: list[int]) -> bytes:
    data = bytearray()
    while len(data) < length:
        await readable(sock)
        try:
            room = socket.CMSG_SPACE(len(STREAMS) * NUMBER_BYTES)
            flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
            chunk, ancillary, _, _ = sock.recvmsg(min(CHUNK_BYTES, length - len(data)), room, flags)
        except BlockingIOError:
            continue
        except OSError as error:
            raise BadRequest(str(error)) from error
        for level, kind, numbers in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                streams += array.array("i", numbers[: len(numbers) // NUMBER_BYTES * NUMBER_BYTES])
        if not chunk:
            raise BadRequest("it ends too early")
        data += chunk
    return bytes(data)


async def readable(sock: socket.socket) -> None:
    """Wait until something can be read, or the end has come."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(sock, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sock)


def _parsed(text: bytes, streams: list[int]) -> Request:
    kind, *fields = text.split(b"\0")
    if kind != RUN:
        close(streams)
        return Request(kind)
    try:
        version, cwd, count, *words = map(os.fsdecode, fields)
        arguments, environment = words[: int(count)], words[int(count) :]
    except ValueError as error:
        raise BadRequest(str(error)) from error
    if len(streams) != len(STREAMS):
        raise BadRequest(f"{len(streams)} descriptors")
    env = dict(one.split("=", 1) for one in environment if "=" in one)
    return Request(kind, version, Path(cwd), tuple(arguments), env, tuple(streams))
