"""SASL as the server sees it (RFC 6120 §6): SCRAM, PLAIN (RFC 4616), both under TLS alone."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from hmac import compare_digest
from typing import TYPE_CHECKING

from xmppsh.errors import MalformedJid, SaslError
from xmppsh.model import Jid
from xmppsh.protocol.scram import ScramError, Server, Verifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xmppsh.playground.accounts import Account

SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-1")
MECHANISMS = (*SCRAM, "PLAIN")
ITERATIONS = 4096  # RFC 7677 §4: the least; the passwords are random, and logins in tests should be quick
MAX_MESSAGE_CHARACTERS = 8192


class PasswordFile:
    """What the server keeps of the passwords: one SCRAM verifier for each account and mechanism."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        """Compute the verifiers; takes some milliseconds for each account, so do it off the loop."""
        self.accounts = accounts
        self._verifiers = {
            (name, mechanism): Verifier.of(mechanism, account.password, ITERATIONS)
            for name, account in accounts.items()
            for mechanism in SCRAM
        }

    def begin(self, mechanism: str, domain: str) -> Login:
        """Start one authentication; raises SaslError for a mechanism we do not have."""
        if mechanism == "PLAIN":
            return PlainLogin(self, domain)
        if mechanism not in SCRAM:
            raise refused("invalid-mechanism")
        return ScramLogin(self, mechanism, domain)

    def verifier(self, name: str, mechanism: str) -> Verifier | None:
        """The verifier of an account, None for a user we do not know."""
        return self._verifiers.get((name, mechanism))


class Login:
    """One authentication. Feed it the client's messages, write what it answers, until `account` is set."""

    def __init__(self, passwords: PasswordFile, domain: str) -> None:
        self.passwords, self.domain = passwords, domain
        self.account: Account | None = None

    def step(self, message: bytes) -> str:
        """Take a message; returns the base64 of what goes into `<challenge/>` or `<success/>`; raises SaslError."""
        raise NotImplementedError


class PlainLogin(Login):
    """One message: authzid, name, password."""

    def step(self, message: bytes) -> str:
        try:
            authzid, name, password = message.decode().split("\0")
        except ValueError as error:
            raise refused("malformed-request") from error
        account = self.passwords.accounts.get(_prepared(name, self.domain))
        if account is None or not compare_digest(account.password.encode(), password.encode()):
            raise refused("not-authorized")
        if authzid and _bare(authzid) != account.jid:
            raise refused("invalid-authzid")
        self.account = account
        return ""


class ScramLogin(Login):
    """client-first → server-first → client-final → server-final (RFC 5802 §5)."""

    def __init__(self, passwords: PasswordFile, mechanism: str, domain: str) -> None:
        super().__init__(passwords, domain)
        self._mechanism = mechanism
        self._exchange = Server(mechanism, self._lookup)
        self._name = ""
        self._started = False

    def _lookup(self, name: str) -> Verifier | None:
        self._name = _prepared(name, self.domain)
        return self.passwords.verifier(self._name, self._mechanism)

    def step(self, message: bytes) -> str:
        try:
            text = message.decode()
            if not self._started:
                self._started = True
                return _base64(self._exchange.first(text))
            answer = _base64(self._exchange.final(text))
        except UnicodeDecodeError as error:
            raise refused("malformed-request") from error
        except ScramError as error:
            # RFC 6120 §6.5.10: not-authorized for an unknown user and for a wrong password alike.
            raise refused("not-authorized") from error
        self.account = self.passwords.accounts[self._name]
        return answer


def refused(condition: str) -> SaslError:
    """The reason of a `<failure/>` (RFC 6120 §6.5)."""
    return SaslError(f"the login was refused: {condition}", condition=condition)


def decoded(text: str) -> bytes:
    """The bytes of an `<auth/>` or `<response/>`; raises SaslError (RFC 6120 §6.4.2, §6.5.5)."""
    if len(text) > MAX_MESSAGE_CHARACTERS:
        raise refused("malformed-request")
    try:
        return b"" if text == "=" else b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise refused("incorrect-encoding") from error


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")


def _bare(text: str) -> Jid | None:
    try:
        return Jid.parse(text).bare
    except MalformedJid:
        return None


def _prepared(name: str, domain: str) -> str:
    """The name as it stands in the account list: case-mapped (RFC 8265 §3.3), empty when it can be no localpart."""
    try:
        return Jid.parse(f"{name}@{domain}").localpart or ""
    except MalformedJid:
        return ""
