"""A message that is about an earlier one: reactions (XEP-0444), or what was said is taken back (XEP-0424). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from xmppsh import ns
from xmppsh.output import safe
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xmppsh.output.records import MessageRecord

REACTIONS = f"{{{ns.REACTIONS}}}reactions"
RETRACTION = f"{{{ns.RETRACTION}}}retract"
FALLBACK = f"{{{ns.FALLBACK}}}fallback"
MAX_REACTIONS = 10


class Reference(NamedTuple):
    """what: in words, to which the earlier message is added; stanza_id: its id; retracts: is it taken back?"""

    what: str
    stanza_id: str
    retracts: bool


def reference(record: MessageRecord) -> Reference | None:
    """What the message says of an earlier one; None where it has a text of its own, or says nothing of another."""
    if record.body is not None and FALLBACK not in record.payloads:
        return None
    if RETRACTION in record.payloads:
        found = tree(record.xml).find(RETRACTION)
        return None if found is None else Reference("retracted", found.get("id", ""), retracts=True)
    if REACTIONS in record.payloads and (found := tree(record.xml).find(REACTIONS)) is not None:
        given = [safe.line(one.text or "") for one in found][:MAX_REACTIONS]
        what = f"reacted with {' '.join(given)} to" if given else "took the reaction back from"
        return Reference(what, found.get("id", ""), retracts=False)
    return None
