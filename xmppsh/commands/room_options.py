"""`--room`, `--nick` and `--room-password` of `send` and `listen`, as far as they can be wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xmppsh.errors import UsageError
from xmppsh.xmlio.build import NOT_XML

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xmppsh.model import Jid


def check_rooms(rooms: Sequence[Jid], nick: str | None, password: str | None) -> None:
    """Raise UsageError for what names no room, and for a nick or a password without one."""
    if not rooms and (nick is not None or password is not None):
        raise UsageError("--nick and --room-password are for --room", hint="--room")
    if nick == "":  # a variable that a script forgot to set
        raise UsageError("--nick is empty")
    if nick is not None and (wrong_sign := re.search(NOT_XML, nick)) is not None:
        raise UsageError(f"--nick holds U+{ord(wrong_sign.group()):04X}, which XML cannot carry")
    if wrong := [one for one in rooms if one.localpart is None or one.resourcepart is not None]:
        raise UsageError(
            f"{wrong[0]} is not the address of a room", hint="ROOM@SERVICE, and --nick NICK for your name there"
        )
