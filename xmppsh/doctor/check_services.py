"""Group session: what the server does for a client after the login. Each service is used once, not only looked up."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import DeadlineExceeded, MalformedJid, ProtocolError, StanzaError, XmppshError
from xmppsh.model import Jid
from xmppsh.protocol.conditions import number
from xmppsh.session.clock import skew
from xmppsh.tasks import running
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from datetime import datetime
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.doctor.case import Case
    from xmppsh.doctor.check_login import Visit
    from xmppsh.doctor.report import Report


MAX_SKEW_S = 5.0
MAX_SERVICES = 30  # of the server, that are asked whether they take uploads
SERVICE_S = 5.0  # for each of them: some may be dead
MISSING = frozenset({"service-unavailable", "feature-not-implemented"})
# What this program relies on, and what switching it on at the server brings; the rest is a matter of taste.
LOST_WITHOUT = {
    "carbons": "switch XEP-0280 on at the server, so that each client sees what the others say",
    "archive": "switch XEP-0313 on at the server: it proves what arrived when a session was lost",
}


class NotOffered(Exception):
    """The server does not have it."""


class Warned(Exception):
    """The service works with a reservation, which the detail says; the hint says what to do."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.hint = hint


async def check_services(case: Case, visit: Visit, report: Report) -> None:
    """Ask for everything at the same time, and tell it in order."""
    work = {
        "carbons": _carbons(visit),
        "archive": _archive(visit),
        "blocking": _blocking(visit),
        "clock": _clock(visit, case.now),
        "upload": _upload(visit),
    }
    async with running(*work.values()) as tasks:
        for check, task in zip(work, tasks, strict=True):
            await _tell(check, task, report)


async def _tell(check: str, work: asyncio.Task[str], report: Report) -> None:
    try:
        await report.ok("session", check, await work)
    except NotOffered:
        await _tell_missing(check, report)
    except Warned as warned:
        await report.warn("session", check, str(warned), warned.hint)
    except StanzaError as error:
        if error.condition in MISSING:
            await _tell_missing(check, report)
        else:
            await report.warn("session", check, str(error), error.hint)
    except XmppshError as error:
        await report.fail("session", check, error)


async def _tell_missing(check: str, report: Report) -> None:
    if check in LOST_WITHOUT:
        await report.warn("session", check, "the server does not offer it", LOST_WITHOUT[check])
    else:
        await report.skip("session", check, "the server does not offer it")


async def _carbons(visit: Visit) -> str:
    await visit.requests.request("set", None, element("enable", {"xmlns": ns.CARBONS}))
    return "switched on for this session (XEP-0280)"


async def _archive(visit: Visit) -> str:
    nothing = element("set", {"xmlns": ns.RSM}, element("max", None, "0"))  # XEP-0059 §2.7: only how many there are
    query = element("query", {"xmlns": ns.MAM, "queryid": new_id()}, nothing)
    answer = tree(await visit.requests.request("set", None, query))
    count = number(answer.findtext(f"{{{ns.MAM}}}fin/{{{ns.RSM}}}set/{{{ns.RSM}}}count"))
    return "it answers" if count is None else f"{count} messages"


async def _blocking(visit: Visit) -> str:
    answer = tree(await visit.requests.request("get", None, element("blocklist", {"xmlns": ns.BLOCKING})))
    count = len(answer.findall(f"{{{ns.BLOCKING}}}blocklist/{{{ns.BLOCKING}}}item"))
    return f"{count} blocked"


async def _clock(visit: Visit, now: Callable[[], datetime]) -> str:
    try:
        ahead, took = await skew(visit.requests, visit.jid, now)
    except ProtocolError as error:
        raise Warned(str(error), error.hint or "") from error
    ahead_s = ahead / timedelta(seconds=1)
    which = "ahead of" if ahead_s > 0 else "behind"
    if abs(ahead_s) > MAX_SKEW_S + took / timedelta(seconds=2):
        raise Warned(
            f"the server's clock is {abs(ahead_s):.0f} s {which} this machine's", "set the clock that is wrong"
        )
    return f"the server's clock is {abs(ahead_s):.1f} s {which} this machine's"


# ── Upload ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _upload(visit: Visit) -> str:
    """XEP-0363 §4: the service is the server itself or one of its items, and tells how big a file may be."""
    domain = Jid(None, visit.jid.domainpart)
    answer = tree(await visit.requests.request("get", domain, element("query", {"xmlns": ns.DISCO_ITEMS})))
    places = [domain]
    for item in answer.iterfind(f"{{{ns.DISCO_ITEMS}}}query/{{{ns.DISCO_ITEMS}}}item"):
        try:
            places.append(Jid.parse(item.get("jid", "")))
        except MalformedJid:
            continue  # nobody could be asked there
    async with running(*(_info(visit, place) for place in list(dict.fromkeys(places))[:MAX_SERVICES])) as tasks:
        for place, task in zip(dict.fromkeys(places), tasks, strict=False):
            info = await task
            if info is not None and any(feature.get("var") == ns.UPLOAD for feature in info):
                size = _max_size(info)
                limit = "the server states no limit" if size is None else f"files up to {size} bytes"
                return f"{place}, {limit}"
    raise NotOffered


async def _info(visit: Visit, place: Jid) -> Tree | None:
    query = element("query", {"xmlns": ns.DISCO_INFO})
    limit_s = min(SERVICE_S, visit.options.timeout_s)
    try:
        answer = tree(await visit.requests.request("get", place, query, limit_s))
    except (StanzaError, DeadlineExceeded, ProtocolError):
        return None  # one of many, and it may be another one
    return answer.find(f"{{{ns.DISCO_INFO}}}query")


def _max_size(info: Tree) -> int | None:
    """The largest file, in bytes; more than 32 bits may hold."""
    for field in info.iterfind(f"{{{ns.DATA_FORMS}}}x/{{{ns.DATA_FORMS}}}field"):
        value = (field.findtext(f"{{{ns.DATA_FORMS}}}value") or "").strip()
        if field.get("var") == "max-file-size" and value.isascii() and value.isdigit() and len(value) < 20:
            return int(value)
    return None
