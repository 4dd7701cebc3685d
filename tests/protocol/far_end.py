"""The other ends of a session in a model: a server in plain Python, and who reads what arrives."""

import re

from protocol.playbook import NS

from xmppsh.model import Element
from xmppsh.session.inbound import Inbound
from xmppsh.session.ports import Interceptor

MODULUS = 2**32
ELEMENT = re.compile(
    rb"<(message) id='(\d+)'>x*(?:<origin-id [^>]*/>)</message>|<(r|a|enable|resume)( [^>]*)/>|<(iq) .*?</iq>"
)


class Server:
    """What a server knows. `told`: the numbers of its own stanzas; the count of those acknowledged is `released`."""

    def __init__(self, start: int) -> None:
        self.start, self.buffer = start, b""
        self.archive: list[int] = []  # everything it ever read, in order
        self.begin()

    def begin(self) -> None:
        """A new session."""
        self.read, self.answered = 0, 0
        self.told, self.released = 0, 0
        self.resumes: list[int] = []

    def wire(self, count: int) -> int:
        return (self.start + count) % MODULUS

    def hear(self, data: bytes) -> bytes:
        """Read bytes; the answer to what asks for one."""
        self.buffer += data
        answer = b""
        while found := ELEMENT.match(self.buffer):
            self.buffer = self.buffer[found.end() :]
            if found[1]:
                self.archive.append(int(found[2]))
                self.read += 1
            elif found[3] == b"r":
                answer += self.ack(self.read)
            elif found[3] == b"a":
                self.release(int(re.search(rb'h="(\d+)"', found[4])[1]))  # type: ignore[index]
            elif found[3] == b"resume":
                self.resumes.append(int(re.search(rb' h="(\d+)"', found[4])[1]))  # type: ignore[index]
        return answer

    def ack(self, count: int) -> bytes:
        self.answered = count
        return f"<a xmlns='{NS['sm']}' h='{self.wire(count)}'/>".encode()

    def release(self, h: int) -> None:
        count = (h - self.wire(self.released)) % MODULUS
        assert count <= self.told - self.released, "the client acknowledges what it was never sent, or takes back"
        self.released += count

    def stanza(self, number: int) -> bytes:
        return f"<message id='in{number}'/>".encode()


class Reader(Interceptor):
    """Gets what the session takes for new."""

    has_acks, sm = True, None  # of the wire

    def __init__(self, start: int) -> None:
        self.new: list[Element] = []
        self.inbound = Inbound(self, [self], None, lambda _: False, lambda _: None)  # type: ignore[arg-type]
        self.inbound.begin(start)

    def intercept(self, stanza: Element, handled: object) -> bool:
        self.new.append(stanza)
        return True
