"""XEP-0363: where a file may be put, and the URL that it has then."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import DeadlineExceeded, ExitCode, MalformedJid, StanzaError, XmppshError
from xmppsh.model import Jid
from xmppsh.plain import dataclass
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xmppsh.session.session_port import SessionPort

HEADERS = ("authorization", "cookie", "expires")  # §5: the ones that a server may ask for; all others are left out


class NoUpload(XmppshError):
    """The server offers no upload, or refuses this file."""

    exit_code = ExitCode.PROTOCOL
    layer = "stanza"


@dataclass(frozen=True, slots=True)
class Slot:
    """Where to put a file, with which headers, and where it can be got then."""

    put_url: str
    headers: Mapping[str, str]
    get_url: str


async def find_service(session: SessionPort) -> Jid:
    """The upload service of our server, by XEP-0030 (§4); raises NoUpload where there is none."""
    server = Jid(None, session.jid.domainpart)
    items = await session.request("get", server, element("query", {"xmlns": ns.DISCO_ITEMS}))
    named = [
        item.get("jid", "") for item in tree(items).iterfind(f"{{{ns.DISCO_ITEMS}}}query/{{{ns.DISCO_ITEMS}}}item")
    ]
    silence: DeadlineExceeded | None = None
    for address in [str(server), *named]:
        try:
            service = Jid.parse(address)
            info = await session.request("get", service, element("query", {"xmlns": ns.DISCO_INFO}))
        except (StanzaError, MalformedJid):
            continue  # another of its services may be it
        except DeadlineExceeded as error:
            silence = error
            continue
        features = tree(info).iterfind(f"{{{ns.DISCO_INFO}}}query/{{{ns.DISCO_INFO}}}feature")
        if ns.UPLOAD in [feature.get("var") for feature in features]:
            return service
    if silence is not None:  # the one that did not answer may be it
        raise silence
    raise NoUpload(f"{server} offers no upload of files (XEP-0363)", hint=f"xmppsh doctor {session.jid.bare}")


async def slot(session: SessionPort, service: Jid, name: str, size_bytes: int) -> Slot:
    """Ask for a slot (§5); raises NoUpload for a file that is too large, StanzaError for another refusal."""
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    facts = {"xmlns": ns.UPLOAD, "filename": name, "size": str(size_bytes), "content-type": kind}
    try:
        answer = tree(await session.request("get", service, element("request", facts)))
    except StanzaError as error:
        if error.condition == "not-acceptable":
            raise NoUpload(f"{service} does not take {name} ({size_bytes} bytes): {error}") from error
        raise
    put = answer.find(f"{{{ns.UPLOAD}}}slot/{{{ns.UPLOAD}}}put")
    get = answer.find(f"{{{ns.UPLOAD}}}slot/{{{ns.UPLOAD}}}get")
    if put is None or get is None:
        raise NoUpload(f"{service} answered without a slot")
    headers = {}
    for one in put.iterfind(f"{{{ns.UPLOAD}}}header"):
        header, value = one.get("name", ""), (one.text or "").strip()
        if header.lower() in HEADERS and "\n" not in value and "\r" not in value:
            headers[header] = value
    return Slot(put.get("url", ""), {**headers, "Content-Type": kind}, get.get("url", ""))
