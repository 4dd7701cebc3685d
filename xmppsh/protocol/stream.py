"""One client stream as a pure state machine (RFC 6120): bytes and events in, actions and events out.

    connected → plain → starttls → handshake → secured → sasl ⇄ hashing → authenticated → binding → bound → live
    and from everywhere → closing → closed

No socket, no loop, no clock. `TABLE` says which event is allowed in which state; a missing entry is a protocol
violation and ends the stream. That table is the security policy: there is no SASL before TLS, no success before the
server's proof, no bind before success, no stanza before the bind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import (
    ConnectionLost,
    ProtocolError,
    ProtocolViolation,
    StreamError,
    XmppshError,
)
from xmppsh.model import Credentials, u_labels
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Disconnect, Output, StartTls, Write
from xmppsh.protocol.binding import Binding
from xmppsh.protocol.conditions import MAX_TEXT, condition_of, read_h
from xmppsh.protocol.negotiation import LATER, PORT_HINT, StreamConfig, violation
from xmppsh.protocol.sm import UNCOUNTED
from xmppsh.protocol.table import ELEMENT_EVENTS, TABLE, State
from xmppsh.xmlio.build import Xml, element
from xmppsh.xmlio.reader import Footer, Header, Run, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xmppsh.errors import XmlError
    from xmppsh.model import Element, Jid
    from xmppsh.protocol.ahead import Known


FOOTER = b"</stream:stream>"
# Where we give up without `</stream:stream>`: there is no stream yet, or a `<resume/>` is on its way and a footer
# would end the very session that it asks for.
WITHOUT_FOOTER = (State.CONNECTED, State.HANDSHAKE, State.RESUMING)
PRESUMED = (State.AUTHENTICATED, State.BINDING, State.BOUND)
PROVED = (State.AUTHENTICATED, State.RESUMING, State.BINDING, State.BOUND, State.LIVE)
MAX_BANNER_BYTES = 80  # of what another protocol says first; enough to tell which it is
TLS_RECORDS = (b"\x15", b"\x16")  # an alert, a handshake (RFC 8446 §5.1); no text begins so


class Stream(Binding):
    """The client's side of one stream. Every method returns what is to be done, in order."""

    def __init__(self, config: StreamConfig) -> None:
        super().__init__(config)
        self.on_item: Callable[[Header | Element | Footer], None] = lambda _: None  # for a trace
        self.by_the_run = True  # may several messages arrive as one item? Not where a trace shows each of them
        self.ended_in: State | None = None  # the state that it ended in: how far it came
        self.peer_ended = False  # the server itself ended the stream: it keeps nothing of the session
        self._banner = b""  # the first bytes that the server sent

    # ── In ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> list[Output]:
        """The link is up: write the first header; with direct TLS (XEP-0368) the handshake comes first."""
        assert self.state is State.CONNECTED
        if self.config.tls == "direct":
            self.state = State.HANDSHAKE
            return [StartTls()]
        # `--tls off` (loopback alone) skips the TLS gate, and only that one.
        if self.config.tls == "off":
            return self._open_header(State.SECURED)
        return self._open_header(State.PLAIN) + ([] if self._ahead is None else [self._starttls()])

    def receive(self, data: bytes) -> Iterator[Output]:
        """Bytes came from the link. Each output must be carried out before the next is asked for.

        (A stanza that is taken at once must count in the `<a/>` that answers an `<r/>` of the same read.)
        """
        if self.is_closed:
            return
        if self._awaits_tls:
            yield from self._fail(ProtocolViolation("the server sent clear text where TLS was to start", layer="tls"))
            return
        self._banner += data[: MAX_BANNER_BYTES - len(self._banner)]
        reader = self._reader
        reader.by_the_run = self.by_the_run and self.was_live
        items, error = reader.feed_until_error(data)
        for index, item in enumerate(items):
            if not isinstance(item, Run):
                self.on_item(item)
            outputs = self.handle(_event(item))
            more = error is not None or index + 1 < len(items)
            if self._awaits_tls and (more or reader.has_rest):
                # RFC 6120 §5.4.3.3: what follows <proceed/> in the clear comes from somebody else.
                outputs = self._fail(ProtocolViolation("the server sent clear text after <proceed/>", layer="tls"))
            elif self._reader is not reader and more:
                # RFC 6120 §6.4.6: the old stream ends with <success/>.
                outputs = self._fail(ProtocolViolation("the server sent more after <success/>", layer="sasl"))
            yield from outputs
            if self.is_closed:
                return
        if error is not None:
            yield from self._fail(self._bad_xml(error), error.condition)

    def _bad_xml(self, error: XmlError) -> ProtocolError:
        """The error for bad XML; where no header has come yet in the clear, the server may speak another protocol."""
        is_first = self.state is (State.SECURED if self.config.tls == "off" else State.PLAIN) and not self.has_header
        banner = self._banner.lstrip(b" \t\r\n")
        if not is_first or banner[:1] in (b"", b"<"):
            return ProtocolError(f"the server sent bad XML: {error}")
        if banner.startswith(TLS_RECORDS):
            hint = "--tls direct, if the port is one for direct TLS"
            return ProtocolError("the server does not speak XMPP in the clear: its answer is TLS", hint=hint)
        line = banner.partition(b"\n")[0].decode("utf-8", "replace").rstrip("\r")
        return ProtocolError(f"the server does not speak XMPP: its answer begins with {line!r}", hint=PORT_HINT)

    @property
    def is_closed(self) -> bool:
        """Is the stream over?"""
        return self.state is State.CLOSED

    @property
    def _awaits_tls(self) -> bool:
        return self.state is State.HANDSHAKE

    def handle(self, event: object) -> list[Output]:
        """Look the event up in the table and let its handler decide."""
        step = TABLE.get((self.state, type(event)))
        if self.state is State.CLOSING and not self.was_live and (step is None or not step.ends):
            return []  # an answer that was on its way when we closed: before `live` nothing is counted
        if step is None:
            return [] if self.is_closed else self._fail(violation(event, self.state))
        try:
            outputs: list[Output] = getattr(self, step.handler)(event)
        except XmppshError as error:
            return self._fail(error, error.condition if isinstance(error, ProtocolError) else None)
        assert self.is_closed or self.state in step.to, f"{step.handler} leads to {self.state}, which the table forbids"
        return outputs

    @property
    def takes_stanzas(self) -> bool:
        """May stanzas be written?"""
        return self.state is State.LIVE or (self.is_presumed and self.state in PRESUMED)

    def send(self, stanza: Xml) -> list[Output]:
        """Write one stanza and count it."""
        assert self.takes_stanzas
        if self.sm is not None:
            self.sm.on_sent()
        return [Write(stanza.encode())]

    def send_batch(self, messages: list[bytes]) -> list[Output]:
        """Write many messages and count them."""
        assert self.takes_stanzas
        if self.sm is not None:
            self.sm.on_sent(len(messages))
        return [Write(b"".join(messages))]

    def ask_to_register(self, iq: Xml) -> list[Output]:
        """Write an IQ of a registration (XEP-0077 §3.1), before any login."""
        assert self.state is State.REGISTERING
        return [Write(iq.encode())]

    def request_ack(self) -> list[Output]:
        """Ask the server how many stanzas it has handled (XEP-0198 §4)."""
        if not self.takes_stanzas or self.sm is None:
            return []
        return [Write(element("r", {"xmlns": ns.SM}).encode())]

    def say_inactive(self) -> list[Output]:
        """Tell the server that no person is looking (XEP-0352 §4.2); writes nothing where it does not offer this.

        A resumed stream begins as active.
        """
        if self.state is not State.LIVE or not self._states_offered:
            return []
        return [Write(element("inactive", {"xmlns": ns.CSI}).encode())]

    def taken(self, number: int, count: int = 1) -> list[Output]:
        """The program has handled `count` inbound stanzas from this number on: they may be acknowledged."""
        if self.sm is None:
            return []
        owed = self.sm.on_taken(number, count)
        return self._ack() if owed and self.state is State.LIVE else []

    def close(self) -> list[Output]:
        """End the stream: the last `<a/>` (XEP-0198 §4), then `</stream:stream>` (RFC 6120 §4.4)."""
        if self.state in (State.CLOSING, State.CLOSED):
            return []
        if self.state in WITHOUT_FOOTER:
            return self._end(None)
        last = self._ack() if self.state is State.LIVE and self.sm is not None and self.sm.owes_ack else []
        self.state = State.CLOSING
        return [*last, Write(FOOTER)]

    def abort(self, error: XmppshError | None, condition: str | None = None) -> list[Output]:
        """Give up at once: a deadline passed, or the user will not wait."""
        return [] if self.state is State.CLOSED else self._fail(error, condition)

    # ── Live ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_stanza(self, event: ev.StanzaReceived) -> list[Output]:
        counts = self.sm is not None and self.state is not State.BOUND  # XEP-0198 §4: from <enabled/> on
        return [ev.StanzaArrived(event.element, self.sm.on_received() if self.sm and counts else UNCOUNTED)]

    def _on_run(self, event: ev.RunReceived) -> list[Output]:
        count = len(event.run.messages)
        return [ev.RunArrived(event.run, UNCOUNTED if self.sm is None else self.sm.on_received(count))]

    def _on_ack(self, event: ev.AckReceived) -> list[Output]:
        if self.sm is None:
            raise violation(event, self.state)
        return [ev.StanzasAcked(self.sm.on_ack(read_h(event.element)))]

    def _on_ack_request(self, event: ev.AckRequestReceived) -> list[Output]:
        if self.sm is None:
            raise violation(event, self.state)
        return self._ack()

    def _ack(self) -> list[Output]:
        assert self.sm is not None
        h = self.sm.answer()
        return [ev.HandledNoted(h), Write(element("a", {"xmlns": ns.SM, "h": str(h)}).encode())]

    def _on_ignored(self, _event: object) -> list[Output]:
        return []

    # ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_stream_error(self, event: ev.StreamErrorReceived) -> list[Output]:
        self.peer_ended = True
        condition, text = condition_of(tree(event.element), ns.STREAM_ERRORS)
        if condition != "see-other-host":
            return self._farewell(StreamError(condition, text))
        target = (tree(event.element).findtext(f"{{{ns.STREAM_ERRORS}}}see-other-host") or "").strip()[:MAX_TEXT]
        # Only a server that has passed TLS and SASL has proved who it is; without TLS nobody has.
        proved = self.config.tls != "off" and self.state in PROVED
        if not proved or not target:
            # RFC 6120 §4.9.3.19 leaves it open; before TLS and SASL anybody on the way could say it.
            return self._farewell(
                ProtocolError(
                    f"a server that has not proved who it is redirects to {target or 'nowhere'}",
                    condition=condition,
                    hint=f"--host {target}, if you trust that" if target else None,
                )
            )
        return self._farewell(StreamError(condition, target), redirect=target)

    def _on_footer(self, _event: ev.FooterReceived) -> list[Output]:
        self.peer_ended = True
        if self.state is State.CLOSING:
            return self._end(None)
        return self._farewell(ConnectionLost("the server closed the stream", hint=LATER))

    def _on_link_lost(self, event: ev.LinkLost) -> list[Output]:
        if self.state is State.CLOSING:
            return self._end(None)
        if self.state in (State.PLAIN, State.CONNECTED) and not self.has_header:
            why = event.reason or "it closed the connection without a word"
            return self._end(ConnectionLost(f"no XMPP from the server: {why}", hint=PORT_HINT))
        why = event.reason or "the server closed it"
        if self.state is State.LIVE:
            return self._end(ConnectionLost(f"the connection broke: {why}"))
        domain = u_labels(self.config.jid.domainpart)
        return self._end(
            ConnectionLost(f"the connection to {domain} broke before the session began: {why}", hint=LATER)
        )

    def _farewell(self, error: XmppshError, redirect: str | None = None) -> list[Output]:
        """The server ended the stream: answer with our footer (RFC 6120 §4.4), unless it is out already."""
        footer: list[Output] = [] if self.state is State.CLOSING else [Write(FOOTER)]
        return footer + self._end(error, redirect)

    def _fail(self, error: XmppshError | None, condition: str | None = None) -> list[Output]:
        """End the stream for a reason of ours: a stream error where one is due (RFC 6120 §4.9), the footer."""
        outputs: list[Output] = []
        gives_up = condition is None and self.state is State.RESUMING
        if not gives_up and self.state not in (State.CONNECTED, State.HANDSHAKE, State.CLOSING, State.CLOSED):
            if condition is not None:
                known = element(condition, {"xmlns": ns.STREAM_ERRORS})
                outputs.append(Write(element("stream:error", None, known).encode()))
            outputs.append(Write(FOOTER))
        return outputs + self._end(error)

    def _end(self, error: XmppshError | None, redirect: str | None = None) -> list[Output]:
        self.ended_in, self.state = self.state, State.CLOSED
        return [Disconnect(), ev.StreamEnded(error, redirect)]


def first_words(jid: Jid, known: Known | None) -> bytes:
    """The bytes that a stream for `jid` writes first, in the clear and before STARTTLS."""
    begun = Stream(StreamConfig(jid, Credentials(), known=known)).open()
    return b"".join(output.data for output in begun if isinstance(output, Write))


def _event(item: Header | Element | Footer | Run) -> object:
    """The event for what the reader found."""
    if isinstance(item, Header):
        return ev.HeaderReceived(item.name, item.attributes)
    if isinstance(item, Footer):
        return ev.FooterReceived()
    if isinstance(item, Run):
        return ev.RunReceived(item)
    return ELEMENT_EVENTS.get(item.name, ev.StanzaReceived if item.is_stanza else ev.UnknownReceived)(item)
