"""What a session says of stanzas that have no good end: the same sentences, whichever way they went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.errors import ConnectionLost, DataError, DeadlineExceeded, IoError, Unconfirmed
from xmppsh.protocol.conditions import UNKNOWN, stanza_error, unknown_request
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xmppsh.errors import StanzaError, XmppshError
    from xmppsh.model import Element, Jid
    from xmppsh.session.session_port import SessionPort


class Unsettled(Unconfirmed):
    """Stanzas were written whose fate is not known to be good. cause: what ended the session, or the waiting."""

    def __init__(self, count: int, cause: XmppshError | None) -> None:
        why = "" if cause is None else f": {cause}"
        super().__init__(
            f"{_stanzas(count)} written and never acknowledged{why}",
            hint="ask the recipient; xmppsh outbox list keeps what was not confirmed",
        )
        self.cause = cause


def unsettled(count: int, cause: XmppshError | None) -> XmppshError:
    """The error for `count` stanzas whose fate is not known to be good."""
    if count == 0:
        return cause or ConnectionLost("the session is over")
    return Unsettled(count, cause)


def counted_again(error: XmppshError, session: SessionPort) -> XmppshError:
    """The error that has ended a session, once it is closed: the close may bring acknowledgements, and let more be
    written. An error that has not ended it is left as it is."""
    if isinstance(error, Unsettled):
        return unsettled(session.unproven_count, error.cause)
    return unsettled(session.unproven_count, error) if error is session.cause else error


def tell_of_waiting(error: XmppshError) -> None:
    """Messages are stored that were not sent: its hint says so, unless it is that they could not be stored."""
    if isinstance((error.cause or error) if isinstance(error, Unsettled) else error, IoError):
        return
    hints = (error.hint, "xmppsh outbox flush sends the messages that were not sent")
    error.hint = "; ".join(filter(None, hints))


def broken_after(count: int, cause: XmppshError | None) -> XmppshError:
    """The error when the session ends before the server has said that it is there, and `count` stanzas are written."""
    cause = cause or ConnectionLost("the session is over")
    if count == 0:
        return cause
    return Unconfirmed(
        f"{_stanzas(count)} written, and may have arrived: {cause}",
        hint="ask the recipient; --wait acked keeps what is not confirmed",
    )


def _stanzas(count: int) -> str:
    return "1 stanza was" if count == 1 else f"{count} stanzas were"


def no_ack(timeout_s: float) -> DeadlineExceeded:
    """The server did not acknowledge anything for so long."""
    return DeadlineExceeded(f"no acknowledgement within {timeout_s:.3g} s", hint="--timeout S waits longer")


def no_word(timeout_s: float) -> DeadlineExceeded:
    """The server did not say for so long that the session is there, on which something was written ahead."""
    text = f"the server has said nothing of the session within {timeout_s:.3g} s"
    return DeadlineExceeded(text, hint="--timeout S waits longer")


def no_answer(to: Jid | str, timeout_s: float, cut: XmppshError | None = None) -> DeadlineExceeded:
    """Who was asked did not answer for so long. cut: why nobody could be asked at the end of it."""
    why = "" if cut is None else f", since the connection is cut: {cut}"
    return DeadlineExceeded(
        f"{to} did not answer within {timeout_s:.3g} s{why}", layer="stanza", hint="--timeout S waits longer"
    )


def refuse_too_big(size_bytes: int, limit_bytes: int) -> None:
    """Raise DataError for a stanza that the server would not take (XEP-0478)."""
    if size_bytes > limit_bytes:
        raise DataError(
            f"the stanza has {size_bytes} bytes, and {limit_bytes} are allowed", condition="policy-violation"
        )


def refused(answer: Element, own: Jid, payload: str) -> StanzaError | None:
    """The error that an answer to a request is, None for a result. payload: of the request; own: our full JID.

    Of our own account, which is there, our server speaks when it says that nobody knows a request.
    """
    if answer.attributes.get("type") != "error":
        return None
    root = tree(answer)
    error = stanza_error(root, answer.sender or own.domainpart)
    if error.condition in UNKNOWN and error.sender == str(own.bare):
        error = stanza_error(root, own.domainpart)
    return unknown_request(error, payload)
