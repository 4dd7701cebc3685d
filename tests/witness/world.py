"""A witness with a clock of its own."""

from xmppsh.model import Jid
from xmppsh.protocol.sm import ResumableSession, Resumption
from xmppsh.witness.judgement import (
    INTERVAL_S,
    Action,
    Ping,
    TakeOver,
    Tell,
    Witness,
)

JULIET = Jid.parse("juliet@example.org/balcony")
SM = Resumption("sm1", "server.example.org:5222", 120)


class World:
    """A witness with a clock; sessions and the server answer when a test lets them."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self.now = 1000.0
        self.witness = Witness(interval_s)
        self.done: list[Action] = []
        self.pings: list[int] = []

    def do(self, actions: list[Action] | None) -> list[Action]:
        assert actions is not None
        self.done += actions
        self.pings += [action.number for action in actions if isinstance(action, Ping)]
        return actions

    def announce(self, jid: Jid = JULIET, resumption: Resumption = SM, handled: int = 0) -> list[Action]:
        return self.do(self.witness.announced(self.now, jid, ResumableSession(resumption, handled)))

    def wait(self, seconds: float) -> list[Action]:
        """Let time pass; what is due happens then."""
        end, actions = self.now + seconds, []
        while (due := self.witness.next_due) is not None and due <= end:
            self.now = max(self.now, due)
            actions += self.do(self.witness.tick(self.now))
        self.now = end
        return actions

    def pong(self) -> list[Action]:
        """The server answers the oldest open ping."""
        return self.do(self.witness.pong(self.now, self.pings.pop(0)))

    def alive(self, handled: int | None = 0, *, busy: bool = False) -> list[Action]:
        return self.do(self.witness.heard(self.now, JULIET, "sm1", handled, busy=busy))

    def until_closing(self) -> None:
        """The session is silent, the server answers at once."""
        while not any(isinstance(action, TakeOver) for action in self.done):
            self.wait(0.01)
            while self.pings:
                self.pong()

    def told(self) -> list[str]:
        return [action.event for action in self.done if isinstance(action, Tell)]

    def all(self, kind: type) -> list[Action]:
        return [action for action in self.done if isinstance(action, kind)]
