"""`raw`: stanzas as they are, acknowledged, and what answers them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import click

from xmppsh.commands.collecting import unless_lost
from xmppsh.commands.iq import IqAnswer
from xmppsh.errors import DataError, DeadlineExceeded, Partial, XmppshError
from xmppsh.protocol.conditions import stanza_error
from xmppsh.registry.base import command
from xmppsh.session.requests import answers
from xmppsh.xmlio.build import verbatim
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import StanzaReader, tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.app.app import App
    from xmppsh.model import Element, Jid
    from xmppsh.session.session_port import Reader, SessionPort


@command("raw")
@click.argument("stanzas", metavar="STANZA…", nargs=-1, required=True)
async def raw(app: App, stanzas: tuple[str, ...]) -> AsyncIterator[IqAnswer]:
    """Send each STANZA (message, presence or iq) as it is; - reads them from stdin.

    The answer to an iq with an id is printed; a bounce determines the exit code.

    Example:  xmppsh raw '<presence to="romeo@example.net" type="subscribe"/>'
    """
    elements = [element for text in stanzas for element in await _read(app, text)]
    if not elements:
        raise DataError("there is no stanza to send")
    exchange = _Exchange(elements)
    async with app.sessions.one_shot() as session:
        await exchange.run(session)
    for answer in exchange.answers:
        yield IqAnswer(answer.attributes.get("from"), answer.id, answer.xml)
    exchange.judge()


class _Exchange:
    """The stanzas of one `raw`, and what came back. answers: the results of its IQs."""

    def __init__(self, elements: list[Element]) -> None:
        self.answers: list[Element] = []
        self._elements = elements
        self._failed: list[XmppshError] = []
        self._unanswered = list(elements)
        requests = (one for one in elements if one.kind == "iq" and one.attributes.get("type") in ("get", "set"))
        self._open = {one.id for one in requests if one.id}
        self._answered = asyncio.Event()

    async def run(self, session: SessionPort) -> None:
        """Send them; wait for the acks, for the answers, and for what bounces at once."""
        read = partial(self._read, session)
        async with session.beside((session.bounces(), read), (session.subscribe("iq", "presence"), read)):
            number = 0
            for one in self._elements:
                to = one.attributes.get("to", "")
                # Nothing is added to it: the outbox gets a name for it that is not in it.
                number = session.send(verbatim(one), kind=one.kind, stanza_id=new_id(), to=to)
            bouncing = (one.attributes["to"] for one in self._elements if one.kind != "iq" and one.attributes.get("to"))
            await session.through(number, bouncing)
            await self._wait(session)

    async def _wait(self, session: SessionPort) -> None:
        """For the answers that are missing, until the time is over or the session."""
        timeout_s = session.options.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await unless_lost(session, self._all_answered())
        except TimeoutError:
            silent = f"the IQ {min(filter(None, self._open))!r} was not answered within {timeout_s:.3g} s"
            self._failed.append(DeadlineExceeded(silent, layer="stanza", hint="--timeout S waits longer"))
        except XmppshError as error:
            self._failed.append(error)

    async def _all_answered(self) -> None:
        while self._open:
            self._answered.clear()
            await self._answered.wait()

    async def _read(self, session: SessionPort, reader: Reader) -> None:
        async for stanza in reader:
            asked = next((one for one in self._unanswered if _is_about(stanza, one, session.jid)), None)
            if asked is None:
                continue
            self._unanswered.remove(asked)
            if asked.id in self._open:
                self._open.discard(asked.id)
                self._answered.set()
            if stanza.attributes.get("type") == "error":
                self._failed.append(stanza_error(tree(stanza), stanza.sender or session.jid.domainpart))
            elif asked.kind == "iq":
                self.answers.append(stanza)

    def judge(self) -> None:
        """Raise what went wrong."""
        if len(self._failed) == 1 and len(self._elements) == 1:
            raise self._failed[0]
        if self._failed:
            raise Partial(f"{len(self._failed)} of {len(self._elements)} stanzas failed; the first: {self._failed[0]}")


def _is_about(answer: Element, ours: Element, own: Jid) -> bool:
    """Does it answer this one of ours, or is it its bounce, and from who may say so? own: our full JID."""
    written = ours.attributes.get("to", "")
    return answer.kind == ours.kind and answers(answer, ours.id or "", written, own, is_request=ours.kind == "iq")


async def _read(app: App, text: str) -> list[Element]:
    limits, stdin = app.limits, app.console.stdin
    data = await stdin.read_all(limits.pending_bytes) if text == "-" else text.encode("utf-8", "surrogateescape")
    reader = StanzaReader(limits)
    elements = reader.feed(data)
    reader.end()
    return elements
