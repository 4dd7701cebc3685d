"""Which records `listen` shows. What a filter leaves out is dealt with all the same: the server hears of that."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import UsageError
from xmppsh.output.records import MessageRecord
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.model import Jid
    from xmppsh.output.records import StanzaRecord

# What says that somebody types, has received or has read something, and what servers add to any message.
NOISE = frozenset({ns.CHAT_STATES, ns.RECEIPTS, ns.CHAT_MARKERS})
TYPES = (
    *("chat", "normal", "headline", "groupchat", "error"),
    *("available", "unavailable", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe"),
    *("get", "set", "result"),
)
BESIDE = frozenset({ns.HINTS, ns.SID, ns.DELAY, ns.OLD_DELAY, ns.OCCUPANT_ID, ns.MUC_USER})


@dataclass(frozen=True)
class Filter:
    """What a record must be like; None or empty lets everything pass.

    senders, recipients: addresses, bare ones stand for all their resources, and `*` for anything. body: is searched
    for. everything: noise, too, which is a message with nothing but chat states (XEP-0085), receipts (0184) or markers
    (0333).
    """

    senders: tuple[Jid, ...] = ()
    recipients: tuple[Jid, ...] = ()
    types: tuple[str, ...] = ()
    body: re.Pattern[str] | None = None
    xpath: Callable[[str], list[str]] | None = None
    everything: bool = False

    @property
    def is_open(self) -> bool:
        """Does every message pass that somebody has said?"""
        return not (self.senders or self.recipients or self.types or self.body or self.xpath)

    def lets_pass(self, record: StanzaRecord) -> bool:
        """Is it to be shown?"""
        if isinstance(record, MessageRecord):
            if not self.everything and is_noise(record):
                return False
            if self.body is not None and (record.body is None or self.body.search(record.body) is None):
                return False
        elif self.body is not None:
            return False
        return (
            _is_one_of(record.from_, self.senders)
            and _is_one_of(record.to, self.recipients)
            and (not self.types or record.type in self.types)
            and (self.xpath is None or bool(self.xpath(record.xml)))
        )


def types_of_stanzas(given: tuple[str, ...]) -> tuple[str, ...]:
    """What `--type` names; raises UsageError for what no stanza has (RFC 6121 §4.7.1, §5.2.2, RFC 6120 §8.2.3)."""
    for one in given:
        if one not in TYPES:
            raise UsageError(f"--type: {one!r} is not a type of stanzas", hint="one of " + ", ".join(TYPES))
    return given


def is_noise(record: MessageRecord) -> bool:
    """Does the message carry nothing that somebody has said?"""
    if record.body is not None or record.subject is not None or record.type == "error" or record.encrypted:
        return False
    namespaces = {name[1:].partition("}")[0] for name in record.payloads}
    return bool(namespaces & NOISE) and namespaces <= NOISE | BESIDE


def _is_one_of(address: str | None, wanted: tuple[Jid, ...]) -> bool:
    if not wanted:
        return True
    full, bare = address or "", (address or "").partition("/")[0]
    return any(_fits(full if one.resourcepart is not None else bare, str(one)) for one in wanted)


def _fits(address: str, wanted: str) -> bool:
    return fnmatchcase(address, wanted) if "*" in wanted else address == wanted


def pattern(text: str | None) -> re.Pattern[str] | None:
    """Compile --body REGEX; raises UsageError."""
    try:
        return None if text is None else re.compile(text)
    except re.error as error:
        raise UsageError(f"--body: {text!r} is not a regular expression: {error}") from error
