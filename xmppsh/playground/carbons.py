"""Copies of messages for the other clients of an account (XEP-0280)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from xmppsh import ns
from xmppsh.playground.stanza import forwarded, made
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from collections.abc import Container

    from xmppsh.playground.accounts import Account, Resident
    from xmppsh.playground.stanza import Stanza


def copy(
    message: Stanza, account: Account, direction: Literal["sent", "received"], without: Container[Resident]
) -> None:
    """Give a copy to each client of the account that wants copies and does not have the message itself (§6)."""
    if message.type not in ("chat", "normal") or "<body" not in message.xml or _is_private(message.xml):
        return
    for resident in list(account.residents.values()):
        if resident.carbons and resident not in without:
            wrapped = element(direction, {"xmlns": ns.CARBONS}, forwarded(message))
            resident.deliver(made("message", message.type, account.jid, resident.jid, wrapped))


def _is_private(xml: str) -> bool:
    return ns.CARBONS in xml or (ns.HINTS in xml and "<no-copy" in xml)  # §8
