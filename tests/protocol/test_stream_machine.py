"""A server that says anything at any time: the gates hold in every order."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from protocol.playbook import (
    BIND_RESULT,
    ENABLED,
    FOOTER,
    HEADER,
    MESSAGE,
    NS,
    PROCEED,
    RESUMED,
    STARTTLS_FEATURES,
    GoodServer,
    bound_features,
    feed,
    former_session,
    mechanisms,
    new_stream,
)
from scramp import ScramException

from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Disconnect, Write
from xmppsh.protocol.ahead import Known, Rung
from xmppsh.protocol.table import State
from xmppsh.xmlio.build import Xml

ANYTHING = [
    *(
        HEADER,
        FOOTER,
        STARTTLS_FEATURES,
        PROCEED,
        ENABLED,
        RESUMED,
        BIND_RESULT,
        MESSAGE,
        bound_features(),
        "<stream:features/>",
    ),
    mechanisms("SCRAM-SHA-1", "PLAIN"),
    f"<success xmlns='{NS['sasl']}'/>",
    f"<success xmlns='{NS['sasl']}'>dj1hYmM=</success>",
    f"<challenge xmlns='{NS['sasl']}'>cj1hYmM=</challenge>",
    f"<failure xmlns='{NS['sasl']}'><aborted/></failure>",
    f"<failure xmlns='{NS['tls']}'/>",
    f"<failed xmlns='{NS['sm']}'/>",
    *(f"<a xmlns='{NS['sm']}' h='{h}'/>" for h in ("0", "1", "7", "x")),
    f"<r xmlns='{NS['sm']}'/>",
    f"<stream:error><see-other-host xmlns='{NS['streams']}'>evil.example</see-other-host></stream:error>",
    *("<presence/>", "<iq type='result' id='bind'/>", "<x xmlns='urn:x'/>", " ", "\n", "text", "<!-- -->", "<message"),
]


class AnyServer(RuleBasedStateMachine):
    """Feeds good and bad things; the invariants are checked on each output, in order."""

    @initialize(
        tls=st.sampled_from(["starttls", "direct", "off"]),
        offered=st.sampled_from(["PLAIN", "SCRAM-SHA-1"]),
        resume=st.booleans(),
        resumable_s=st.sampled_from([None, 120]),
        rung=st.sampled_from([None, *Rung]),
        progress=st.integers(0, 11),
    )
    def connect(
        self, tls: str, offered: str, resume: bool, resumable_s: int | None, rung: Rung | None, progress: int
    ) -> None:
        self.tls, self.server = tls, GoodServer(offered)
        self.plain = offered == "PLAIN"
        known = None if rung is None else Known(frozenset({offered}), frozenset(), offered, True, 65536, rung)
        self.presumes = rung is Rung.STANZAS and tls != "off"
        former = former_session() if resume else None
        self.stream = new_stream(tls, resume=former, resumable_s=resumable_s, known=known)
        self.tls_up = self.success_said = self.bind_said = self.disconnected = self.established = False
        self.resumed_said = self.bound_told = False
        self.ends = 0
        self.numbers: list[int] = []
        self.check(self.stream.open())
        for _ in range(progress):  # nearly every thing that is said at random ends the stream: begin far enough
            self.what_a_good_server_says("")

    def check(self, outputs: Any) -> None:
        for output in outputs:
            assert not self.ends, f"{output} after the end"
            match output:
                case Write(data, secret):
                    assert not self.disconnected
                    is_sasl = b"<auth" in data or b"<response" in data
                    assert secret == is_sasl
                    assert not is_sasl or self.tls_up or self.tls == "off"
                    assert b"juliet" not in data or self.tls_up or self.tls == "off"
                    assert not (b"xmpp-bind" in data or b"<resume" in data) or self.success_said
                    assert not (b"<presence" in data or b"<r " in data) or self.established
                    assert self.bound_told or b'resume="true"' not in data
                case ev.ResourceBound(jid):
                    assert self.success_said
                    assert jid.resourcepart
                    self.bound_told = True
                case ev.SessionEstablished():
                    assert self.bind_said or (self.presumes and self.success_said)
                    assert not self.established
                    self.established = True
                case ev.SessionConfirmed():
                    assert self.bind_said
                    assert self.established
                case ev.SessionResumed():
                    assert self.resumed_said
                    assert not self.established
                    self.established = True
                case ev.StanzaArrived():
                    assert self.bind_said or self.resumed_said
                    self.numbers.append(output.number)
                case Disconnect():
                    assert not self.disconnected
                    self.disconnected = True
                case ev.StreamEnded():
                    assert self.disconnected
                    assert self.stream.is_closed
                    assert output.redirect is None or self.success_said
                    self.ends += 1
            self.server.hear([output])
        assert self.ends == self.stream.is_closed

    @rule(behind=st.sampled_from(["", "", "", "", " ", MESSAGE]))
    def a_good_server_goes_on(self, behind: str) -> None:
        self.what_a_good_server_says(behind)

    def what_a_good_server_says(self, behind: str) -> None:
        try:
            said = self.server.next(self.stream)
        except ScramException:  # a response that was no SCRAM at all
            said = None
        if said is None:
            return
        self.success_said |= self.server.proved  # what a success of this server proves, it has proved now
        self.bind_said |= said == BIND_RESULT and self.stream.state is State.BINDING
        self.resumed_said |= said == RESUMED and self.stream.state is State.RESUMING
        self.tls_up |= isinstance(said, ev.TlsEstablished) and self.stream.state is State.HANDSHAKE
        self.check(feed(self.stream, said + behind) if isinstance(said, str) else self.stream.handle(said))

    @rule(said=st.sampled_from(ANYTHING), twice=st.booleans())
    def anything(self, said: str, twice: bool) -> None:
        # A login by PLAIN proves nothing of the server: its bare success counts.
        self.success_said |= self.plain and "<success" in said and self.stream.state is State.SASL
        self.bind_said |= said == BIND_RESULT and self.stream.state is State.BINDING
        self.resumed_said |= said == RESUMED and self.stream.state is State.RESUMING
        self.check(feed(self.stream, said * (1 + twice)))

    @rule(event=st.sampled_from([ev.PasswordHashed(b"x"), ev.LinkLost(), ev.LinkLost("reset")]))
    def the_link_speaks(self, event: object) -> None:
        self.check(self.stream.handle(event))

    @rule(how=st.sampled_from(["close", "abort"]))
    def we_end(self, how: str) -> None:
        self.check(self.stream.close() if how == "close" else self.stream.abort(None))

    @precondition(lambda self: self.stream.takes_stanzas)
    @rule()
    def we_send(self) -> None:
        self.check(self.stream.send(Xml("<presence/>")))
        self.check(self.stream.request_ack())

    @precondition(lambda self: self.numbers)
    @rule()
    def we_take_the_oldest(self) -> None:
        self.check(self.stream.taken(self.numbers.pop(0)))


AnyServer.TestCase.settings = settings(
    max_examples=100, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnyServer = AnyServer.TestCase
