"""A server with two processes for one session, as ejabberd has for a while after a resumption.

The old process answers `<resume/>` with what it has counted, and goes on: what it had read before is routed later, and
no h tells of it. Only a second `<resume/>` does: it is answered when the old process has ended.

    with TwoProcesses(Race(handled=8, behind=4), certificates.contexts) as server:
        ...a client sends twenty messages to server.port...
        assert server.settle() == [...]
"""

from __future__ import annotations

import base64
import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from xml.etree import ElementTree

from hostile.misbehaviour import CLOSE, RESET, Spec, stanza_error, stream_error
from hostile.server import DOMAIN, FOOTER, SM, USER, Connection, Server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

MAM, RSM, FORWARD, CLIENT = "urn:xmpp:mam:2", "http://jabber.org/protocol/rsm", "urn:xmpp:forward:0", "jabber:client"
REPLACED_AFTER = 3  # messages on the link that is in use
GONE = f"<failed xmlns='{SM}'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
ERLANG_TERM = b"\x83"  # how the sm-id of ejabberd begins, behind base64


@dataclass(frozen=True)
class Race:
    """Of the first session: `handled` messages are counted, `behind` more were read when the link breaks."""

    handled: int
    behind: int = 0
    late_s: float = 0.5  # from the answer to `<resume/>` until the old process routes those, and ends
    archive: Literal["whole", "none", "stores nothing"] = "whole"
    exact: bool = False  # a server whose h is exact, by its sm-id: it handles `behind` before it answers
    stands: bool = False  # the link does not break there: the server reads no more, until the client is killed
    replaced: bool = False  # the first `<resume/>` is left unanswered, and wins against the second soon after


@dataclass
class Process:
    """What serves a session on one link; `mailbox` is what it has read and not routed."""

    session: str
    counted: int = 0  # the h
    messages: int = 0
    mailbox: list[ElementTree.Element] = field(default_factory=list)
    replaced: bool = False  # the server will keep another one for this session
    resumed: bool = False  # its state has gone to a newer one; it works on until it has ended
    ended: threading.Event = field(default_factory=threading.Event)


class TwoProcesses(Server):
    """The server; `arrived` are the bodies that reached the recipient, in order."""

    def __init__(self, race: Race, contexts: Mapping[str, ssl.SSLContext]) -> None:
        super().__init__(Spec(), contexts)
        self.connected = _Link
        self.race = race
        self.arrived: list[str] = []
        self.resumes: list[str] = []  # how each <resume/> with a real id was answered
        self.fences = 0  # how many came with an id that nobody has
        self.reached = threading.Event()  # everything `behind` was read
        self.lock = threading.RLock()
        self.processes: list[Process] = []
        self.working: list[threading.Timer] = []  # old processes
        self._filed: list[ElementTree.Element] = []

    def settle(self) -> list[str]:
        """Wait until no old process has anything left to route; what has arrived then."""
        for timer in self.working:
            timer.join()
        return self.arrived

    def begin(self) -> Process:
        """A process for a new session."""
        first = b"\0" if self.race.exact else ERLANG_TERM
        process = Process(base64.b64encode(first + secrets.token_bytes(8)).decode())
        self.processes.append(process)
        return process

    def newest(self, session: str) -> Process | None:
        """The process that is found under this session's address."""
        living = [one for one in self.processes if one.session == session and not one.ended.is_set()]
        return living[-1] if living else None

    def is_raced(self, process: Process) -> bool:
        """Is it the first session's first process, whose link breaks?"""
        return process is self.processes[0] and not process.resumed

    def take(self, process: Process, message: ElementTree.Element) -> bool:
        """A message was read. Returns whether the link breaks now."""
        race, process.messages = self.race, process.messages + 1
        if not self.is_raced(process):
            self.route(process, message)
            return process.replaced and process.messages >= REPLACED_AFTER
        if process.messages <= race.handled:
            self.route(process, message)
        elif process.messages <= race.handled + race.behind:
            process.mailbox.append(message)
        return process.messages >= race.handled + race.behind

    def route(self, process: Process, message: ElementTree.Element) -> None:
        """Count it (unless its state is another's by now), file it, deliver it."""
        with self.lock:
            process.counted += not process.resumed
            message.set("from", f"{USER}@{DOMAIN}/r1")
            self._filed.append(message)
            self.arrived.append(message.findtext(f"{{{CLIENT}}}body") or "")

    def work_off(self, process: Process) -> None:
        """Route what it had read, and end."""
        for message in process.mailbox:
            self.route(process, message)
        process.mailbox.clear()
        process.ended.set()

    def page(self, query: ElementTree.Element) -> tuple[str, str]:
        """The results and the `<fin/>` of a query, backwards (XEP-0313 §4)."""
        before = query.findtext(f"{{{RSM}}}set/{{{RSM}}}before") or ""
        most = int(query.findtext(f"{{{RSM}}}set/{{{RSM}}}max") or 100)
        with self.lock:
            filed = list(enumerate(self._filed if self.race.archive == "whole" else []))
        filed = filed[: int(before)] if before else filed
        shown = filed[-most:]
        results = "".join(
            f"<message to='{USER}@{DOMAIN}/r1' from='{USER}@{DOMAIN}'><result xmlns='{MAM}' id='{number}' "
            f"queryid='{query.get('queryid')}'><forwarded xmlns='{FORWARD}'>"
            f"{ElementTree.tostring(message, encoding='unicode')}</forwarded></result></message>"
            for number, message in shown
        )
        first = f"<first>{shown[0][0]}</first>" if shown else ""
        complete = str(len(shown) == len(filed)).lower()
        return results, f"<fin xmlns='{MAM}' complete='{complete}'><set xmlns='{RSM}'>{first}</set></fin>"


class _Link(Connection):
    """One client's link, and the process behind it."""

    server: TwoProcesses
    process: Process | None = None

    def _on(self, element: ElementTree.Element) -> None:
        name = element.tag.rpartition("}")[2]
        match name:
            case "enable":
                self.process = self.server.begin()
                self._act(f"<enabled xmlns='{SM}' resume='true' max='300' id='{self.process.session}'/>", "", {})
            case "resume":
                self._on_resume(element.get("previd") or "")
            case "r" if self.process is not None:
                self._act(f"<a xmlns='{SM}' h='{self.process.counted}'/>", "", {})
            case "message" if self.process is not None:
                if self.server.take(self.process, element):
                    self.server.reached.set()
                    if not self.server.race.stands:
                        self._break(self.process)
            case _:
                if self.process is not None and name in ("iq", "presence"):
                    self.process.counted += 1
                super()._on(element)

    def _on_resume(self, session: str) -> None:
        server, race = self.server, self.server.race
        if all(one.session != session for one in server.processes):
            server.fences += 1
            self._act(GONE, "", {})
            return
        old = server.newest(session)
        if old is not None and old.resumed:
            old.ended.wait()  # the question lies behind what it still has to do
            old = server.newest(session)
        if old is None:
            server.resumes.append("failed")
            self._act(GONE, "", {})
            return
        self._take_over(old, unanswered=race.replaced and not server.resumes)

    def _take_over(self, old: Process, *, unanswered: bool) -> None:
        server, race = self.server, self.server.race
        if race.exact:
            server.work_off(old)
        self.process = Process(old.session, counted=old.counted)
        if server.resumes == ["unanswered"]:
            self.process.replaced = True
            server.processes.insert(-1, self.process)  # the one without a link stays the newest
        else:
            self._leave(old)
            server.processes.append(self.process)
        if unanswered:
            server.resumes.append("unanswered")
            self._act(RESET, "", {})
        server.resumes.append(f"resumed {old.counted}")
        self._act(f"<resumed xmlns='{SM}' previd='{old.session}' h='{old.counted}'/>", "", {})

    def _break(self, process: Process) -> None:
        if process.replaced:
            process.ended.set()
            self._act((stream_error("conflict") + FOOTER, CLOSE), "", {})
        self._act(RESET, "", {})

    def _leave(self, old: Process) -> None:
        old.resumed = True
        if self.server.race.exact:
            old.ended.set()
            return
        timer = threading.Timer(self.server.race.late_s, self.server.work_off, [old])
        timer.daemon = True
        timer.start()
        self.server.working.append(timer)

    def _on_request(self, iq: ElementTree.Element, facts: dict[str, str]) -> None:
        payload = iq[0].tag if len(iq) else ""
        if not payload.startswith(f"{{{MAM}}}"):
            super()._on_request(iq, facts)
            return
        results, content = "", f"<prefs xmlns='{MAM}' default='always'><always/><never/></prefs>"
        if payload.endswith("query"):
            results, content = self.server.page(iq[0])
        kind = "result"
        if self.server.race.archive == "none":
            kind, content = "error", stanza_error("service-unavailable")
        self._act(f"{results}<iq type='{kind}' id='{facts['id']}'>{content}</iq>", "", {})

    def _reply(self, step: str, good: str, facts: Mapping[str, str] | None = None) -> str:
        if step == "close" and self.process is not None:
            self.process.ended.set()  # its footer is written after it has left
        return super()._reply(step, good, facts)
