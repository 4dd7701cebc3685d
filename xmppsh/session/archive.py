"""The archive of our own account (XEP-0313), as proof: which messages of ours it has, and whether it keeps them all.

settle.py says what the findings prove.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from xmppsh import ns
from xmppsh.session.settle import Name, Step, by_findings, name_of
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree
from xmppsh.xmlio.stanzas import ORIGIN_ID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from xmppsh.model import Element, Jid
    from xmppsh.outbox.queue import Entry, Fate
    from xmppsh.xmlio.build import Xml

PAGE = 100
MAX_PAGES = 50
# Measured on ejabberd: the process of a lost session goes on routing what it had read, seconds after a new session is
# bound when the machine is busy. What is missing counts as missing only when several looks over a while agree.
SETTLING_S = 0.5  # between two looks
MIN_SETTLING_S = 3.0  # from the first look to the last
AGREEING_LOOKS = 3


class AsksOwn(Protocol):
    """Can ask the own account."""

    async def ask_own(self, iq_type: str, payload: Xml) -> Element:
        """An IQ to the own account that goes before everything queued; its answer, result or error."""


class Asker(AsksOwn, Protocol):
    """What reconciling needs of a session."""

    jid: Jid

    def collecting(self, query_id: str) -> AbstractContextManager[list[Element]]:
        """The archive's results for an open query (XEP-0313 §4.2)."""


async def by_archive(session: Asker, entries: Sequence[Entry], known: frozenset[str], step: Step) -> list[Fate]:
    """Look the messages up in the archive; IQ and presence have ended with their session.

    known: origin-ids of messages that were acknowledged just before. Looking back stops there; and one of them has to
    be there, as a proof that the archive still stores what it is given. step: how often to look, and whether what is
    missing may count as missing.
    """
    names = [name_of(entry) for entry in entries]
    wanted, controls = {name for name in names if name is not None and name.value}, {Name(one, True) for one in known}
    found: set[Name] = set()
    complete = bool(wanted) and await keeps_everything(session)
    agreeing, until = 0, asyncio.get_running_loop().time() + (MIN_SETTLING_S if step is Step.SEVERAL_LOOKS else 0.0)
    looks = AGREEING_LOOKS if step is Step.SEVERAL_LOOKS else 1
    while found != wanted and (agreeing < looks or asyncio.get_running_loop().time() < until):
        seen, conclusive = await _look_up(session, wanted, controls)
        agreeing = agreeing + 1 if seen <= found else 1
        found |= seen
        if not conclusive:
            complete = False
            break
        if found != wanted and looks > 1:
            await asyncio.sleep(SETTLING_S)
    complete = complete and step is not Step.NO_PROOF
    return [by_findings(entry, name, found, complete=complete) for entry, name in zip(entries, names, strict=True)]


async def keeps_everything(session: AsksOwn) -> bool:
    """Does the archive keep every message (XEP-0441)? Only then a missing one has not arrived."""
    answer = await session.ask_own("get", element("prefs", {"xmlns": ns.MAM}))
    prefs = tree(answer).find(f"{{{ns.MAM}}}prefs")
    if answer.attributes.get("type") != "result" or prefs is None:
        return False
    never = prefs.find(f"{{{ns.MAM}}}never")
    return prefs.get("default") == "always" and (never is None or len(never) == 0)


async def _look_up(session: Asker, wanted: set[Name], controls: set[Name]) -> tuple[set[Name], bool]:
    """Page backwards through the archive until everything is found, or a control; what is found, and whether that is
    conclusive: there may be no archive, a longer one, or one that has not stored what was acknowledged before."""
    found: set[Name] = set()
    before = ""
    for _ in range(MAX_PAGES):
        page = await _page(session, before)
        if page is None:
            break
        names, before, complete = page
        found |= names & wanted
        if found == wanted or names & controls:
            return found, True
        if complete or not before:
            return found, not controls
    return found, False


async def _page(session: Asker, before: str) -> tuple[set[Name], str, bool] | None:
    """One page (XEP-0313 §4): the names of our own messages in it, its first item, and whether it was the last page."""
    query_id = new_id()
    paging = element("set", {"xmlns": ns.RSM}, element("max", None, str(PAGE)), element("before", None, before))
    with session.collecting(query_id) as results:
        answer = tree(await session.ask_own("set", element("query", {"xmlns": ns.MAM, "queryid": query_id}, paging)))
    fin = answer.find(f"{{{ns.MAM}}}fin")
    if answer.get("type") != "result" or fin is None:
        return None
    names = {found for stanza in results for found in _names(stanza, query_id, session.jid)}
    first = fin.findtext(f"{{{ns.RSM}}}set/{{{ns.RSM}}}first") or ""
    return names, first, fin.get("complete") in ("true", "1")


def _names(stanza: Element, query_id: str, own: Jid) -> set[Name]:
    """Those of an archived message of ours; none for what was not asked for (spoofed results)."""
    if stanza.sender not in ("", str(own.bare)):
        return set()
    result = tree(stanza).find(f"{{{ns.MAM}}}result")
    message = None if result is None else result.find(f"{{{ns.FORWARD}}}forwarded/{{{ns.CLIENT}}}message")
    if result is None or message is None or result.get("queryid") != query_id:
        return set()
    if message.get("from", "").partition("/")[0] != str(own.bare):
        return set()
    origin = message.find(ORIGIN_ID)
    names = {Name(message.get("id", ""), False)}
    return names if origin is None else names | {Name(origin.get("id", ""), True)}
