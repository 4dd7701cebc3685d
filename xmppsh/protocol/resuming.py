"""Asking for a session again (XEP-0198 §5): the request, and the fences before it where its answer is a snapshot.

Measured on ejabberd 23.01 and 26.07: the former stream answers `<resume/>` with what it has counted so far, and goes on
with what it had read. A fence asks for a session that nobody has. Its answer comes when the former stream has
handled what it had read up to there, so that the h of `<resumed/>` covers it. A fence without an answer does no harm.

A former stream that has more to do than fits into 15 s is not waited for by ejabberd: it takes the session's address
away, and the stream ends when it is through. `<failed/>` says so once; what follows comes at once, and proves nothing.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.protocol.actions import Write
from xmppsh.protocol.events import HandledNoted
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from xmppsh.protocol.actions import Output
    from xmppsh.protocol.sm import StreamManagement

FENCES = 2
FORMER_IS_BUSY = "Session state copying timed out"  # ejabberd's words for a stream in English (23.01)
ERLANG_TERM = 131  # first byte of Erlang's external term format; ejabberd's ids, decoded from base64, begin with it


def is_erlang(sm_id: str) -> bool:
    """Did ejabberd give this id? A wrong guess costs time only."""
    return _decoded(sm_id)[:1] == bytes([ERLANG_TERM])


def fences_before(session: StreamManagement) -> int:
    """How many fences go before the request to resume this session."""
    return FENCES if session.resumption is not None and is_erlang(session.resumption.sm_id) else 0


def ask_to_resume(session: StreamManagement, *, fence: bool = False) -> list[Output]:
    """The request to resume a session, noted in its counters; or, with `fence`, one of the fences before it."""
    assert session.resumption is not None
    sm_id = session.resumption.sm_id
    attributes = {"xmlns": ns.SM, "previd": _fence_of(sm_id) if fence else sm_id, "h": str(session.handled)}
    ask = Write(element("resume", attributes).encode())
    if fence:
        return [ask]
    session.on_resume_due()
    return [HandledNoted(session.handled), ask]


def _fence_of(sm_id: str) -> str:
    """An id that ejabberd routes to the same former stream, and that no session has: its last byte is changed."""
    term = _decoded(sm_id)
    return b2a_base64(term[:-1] + bytes([term[-1] ^ 1]), newline=False).decode()


def _decoded(sm_id: str) -> bytes:
    try:
        return a2b_base64(sm_id + "=" * (-len(sm_id) % 4), strict_mode=True)
    except ValueError:
        return b""
