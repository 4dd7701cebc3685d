"""What a service tells of the nodes that we have subscribed to (XEP-0060 §7.1.2), in words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.output import safe
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.output.records import MessageRecord

EVENT = f"{{{ns.PUBSUB_EVENT}}}event"


def is_event(record: MessageRecord) -> bool:
    """Is this message nothing else?"""
    return EVENT in record.payloads and record.body is None and not record.subject


def happened(record: MessageRecord) -> str:
    """What happened, to be put after the name of who tells it."""
    found = tree(record.xml).find(EVENT)
    return "; ".join(_to_node(child) for child in found) if found is not None and len(found) else "tells of nothing"


def _to_node(child: Tree) -> str:
    from xmppsh.xep.pubsub import KINDS  # which the first prompt needs no more than this

    node, name = safe.line(child.get("node", "")), child.tag.partition("}")[2]
    if name != "items":
        return f"{KINDS.get(name, safe.line(name))} {node}"
    told = []
    for done, below in (("published", "item"), ("retracted", "retract")):
        ids = [safe.line(one.get("id", "")) for one in child.iterfind(f"{{{ns.PUBSUB_EVENT}}}{below}")]
        if ids:
            told.append(f"{done} {ids[0]}{f' and {len(ids) - 1} more' if len(ids) > 1 else ''} in {node}")
    return ", ".join(told) or f"says nothing of {node}"
