"""The newer login (XEP-0388, SASL2): the same mechanisms in one request that names us, and no stream restart.

With FAST (XEP-0484) a token stands for the password. Where the server does not take it, the password does, on the same
stream. The handlers of challenges are those of RFC 6120 (negotiation.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import MalformedJid, ProtocolError, SaslError
from xmppsh.model import Jid
from xmppsh.protocol import events as ev
from xmppsh.protocol import fast, sasl
from xmppsh.protocol.actions import Output, Write
from xmppsh.protocol.conditions import MAX_TEXT
from xmppsh.protocol.negotiation import Negotiation
from xmppsh.protocol.table import State
from xmppsh.xmlio.build import Xml, element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

SOFTWARE = "xmppsh"


class Login(Negotiation):
    """The handlers of a login by SASL2, and what it adds to the messages of negotiation.py."""

    _wanted_token = ""  # the mechanism of the token that was asked for

    def _begin(self, offer: sasl.Offer) -> sasl.Exchange:
        token = self._usable_token(offer)
        if token is None:
            return super()._begin(offer)
        self.is_by_token = True
        return fast.Exchange(token, self.jid.localpart or "", offer.end_point or b"")

    def _usable_token(self, offer: sasl.Offer) -> fast.Token | None:
        """The token to log in with, where the server offers the token's own mechanism (XEP-0484 §3.4).

        None when the user names a mechanism (--mechanism).
        """
        token = None if self.config.client is None else self.config.client.token
        if token is None or self._is_token_refused or self.config.credentials.mechanism is not None:
            return None
        binding = token.mechanism.rpartition("-")[2]
        can = binding == "NONE" or (binding == "ENDP" and offer.end_point is not None)
        return token if can and token.mechanism in (offer.tokens or ()) else None

    def _auth(self, offer: sasl.Offer, initial: bytes) -> Write:
        if offer.tokens is None:
            return super()._auth(offer, initial)
        parts = [element("initial-response", None, sasl.encode_sasl2(initial))]
        if self.config.client is not None:
            parts.append(self._user_agent(self.config.client))
            self._wanted_token = "" if self.is_by_token else self._token_to_ask_for(offer) or ""
        if self.is_by_token:
            parts.append(element("fast", {"xmlns": ns.FAST}))
        elif self._wanted_token:
            parts.append(element("request-token", {"xmlns": ns.FAST, "mechanism": self._wanted_token}))
        return Write(
            element("authenticate", {"xmlns": ns.SASL2, "mechanism": self.mechanism}, *parts).encode(), secret=True
        )

    def _user_agent(self, client: fast.Client) -> Xml:
        return element("user-agent", {"id": client.id}, element("software", None, SOFTWARE))

    def _token_to_ask_for(self, offer: sasl.Offer) -> str | None:
        if self.config.credentials.password is None:
            return None
        return fast.best(offer.tokens or (), can_bind=offer.end_point is not None)

    def _on_sasl2_success(self, event: ev.Sasl2SuccessReceived) -> list[Output]:
        assert self._exchange is not None
        success = tree(event.element)
        self._exchange.succeeded(sasl.decode(success.findtext(f"{{{ns.SASL2}}}additional-data")))
        self._check_identity(success.findtext(f"{{{ns.SASL2}}}authorization-identifier"))
        self.state = State.AUTHENTICATED
        return self._new_token(success)

    def _check_identity(self, said: str | None) -> None:
        """Check that the server has let us in as ourselves (XEP-0388 §2.6.1); raises ProtocolError."""
        try:
            found = Jid.parse((said or "").strip())
        except MalformedJid as error:
            sentence = "the server does not say as whom it has let us in"
            raise ProtocolError(sentence, layer="sasl", hint=sasl.BROKEN_HINT) from error
        own = self.config.jid
        if found.domainpart != own.domainpart or (own.localpart is not None and found.localpart != own.localpart):
            sentence = f"the server has let us in as {found.bare}, and not as {own.bare}"
            raise ProtocolError(sentence, layer="sasl", hint=sasl.BROKEN_HINT)

    def _new_token(self, success: Tree) -> list[Output]:
        """The token in `<success/>`: one that we asked for, or the successor of an old one (XEP-0484 §3.3, §3.5)."""
        found = success.find(f"{{{ns.FAST}}}token")
        secret = "" if found is None else found.get("token", "")
        mechanism = self.mechanism if self.is_by_token else self._wanted_token
        if found is None or not secret or not mechanism or self.config.client is None:
            return []
        by = self.password_mechanism or self._mechanism_before
        return [ev.TokenIssued(fast.Token(mechanism, secret, found.get("expiry", ""), by))]

    def _on_sasl2_failure(self, event: ev.Sasl2FailureReceived) -> list[Output]:
        condition, text = _failure(tree(event.element))
        if not self.is_by_token:
            return self._on_refusal(condition, text)
        assert self._offer is not None
        self.is_by_token, self._is_token_refused, self._guessed = False, True, None
        gone: list[Output] = [] if condition == "temporary-auth-failure" else [ev.TokenRefused()]
        return [*gone, *self._log_in(self._offer)]

    def _on_continue(self, event: ev.ContinueReceived) -> list[Output]:
        """The server wants another step after the password, and we know none (XEP-0388 §2.6.3)."""
        found = tree(event.element).iterfind(f"{{{ns.SASL2}}}tasks/{{{ns.SASL2}}}task")
        tasks = ", ".join((task.text or "").strip() for task in found)[:MAX_TEXT] or "something without a name"
        raise SaslError(
            f"{self.config.jid.bare}: the server wants more than the password: {tasks}",
            hint="xmppsh has no second factor; a password for programs, if the server has such",
        )


def _failure(failure: Tree) -> tuple[str, str | None]:
    """The condition and the text of a SASL2 `<failure/>`.

    The condition is in the namespace of RFC 6120, the text in that of SASL2; some servers use SASL2's for both.
    """
    condition = "undefined-condition"
    for part in failure:
        uri, _, name = part.tag[1:].partition("}")
        if uri == ns.SASL or (uri == ns.SASL2 and name != "text" and condition == "undefined-condition"):
            condition = name
    text = (failure.findtext(f"{{{ns.SASL2}}}text") or failure.findtext(f"{{{ns.SASL}}}text") or "").strip()
    return condition, text[:MAX_TEXT] or None
