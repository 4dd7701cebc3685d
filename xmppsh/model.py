"""The nouns: what travels between the rooms, all of it frozen."""

from __future__ import annotations

import unicodedata
from _socket import AF_INET, AF_INET6, inet_pton
from dataclasses import field, replace
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import MalformedJid
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Literal

    TlsMode = Literal["auto", "direct", "starttls", "off"]

MAX_ENFORCEMENTS = 4  # the fourth changes nothing: RFC 8264 §7
MAX_PART_BYTES = 1023  # RFC 7622 §3.1: each part, in UTF-8
NO_DOMAIN_NAME = "its domain is not an internationalised domain name"
MAX_NAME_LENGTH, MAX_LABEL_LENGTH = 253, 63  # RFC 1035 §2.3.4, in A-labels and without the trailing dot
LOCALPART_FORBIDDEN = frozenset("\"&'/:<>@")  # RFC 7622 §3.3.1


@dataclass(frozen=True, slots=True)
class Jid:
    """An XMPP address (RFC 7622): `localpart@domainpart/resourcepart`, the first and last part may be absent."""

    localpart: str | None
    domainpart: str
    resourcepart: str | None = None

    @classmethod
    def parse(cls, text: str) -> Jid:
        """Split (RFC 7622 §3.2) and prepare an address; raises MalformedJid."""
        rest, slash, resourcepart = text.partition("/")
        localpart, at, domainpart = rest.rpartition("@")
        if at and not localpart:
            raise MalformedJid(text, "nothing precedes the @")
        if slash and not resourcepart:
            raise MalformedJid(text, "nothing follows the /")
        return cls(
            _localpart(text, localpart) if at else None,
            _domainpart(text, domainpart),
            _resourcepart(text, resourcepart) if slash else None,
        )

    @property
    def bare(self) -> Jid:
        """The address without its resource."""
        return Jid(self.localpart, self.domainpart)

    def with_resource(self, resourcepart: str) -> Jid:
        """The full JID of this account at `resourcepart`."""
        return Jid(self.localpart, self.domainpart, resourcepart)

    @property
    def dial_name(self) -> str:
        """The domain as DNS and TLS know it: A-labels (RFC 7622 §3.2.1, RFC 5890), an IPv6 address without brackets."""
        return a_labels(self.domainpart.strip("[]"))

    def __str__(self) -> str:
        text = self.domainpart if self.localpart is None else f"{self.localpart}@{self.domainpart}"
        return text if self.resourcepart is None else f"{text}/{self.resourcepart}"


def _prepared(text: str, part: str, value: str, allowed: str) -> str:
    value = unicodedata.normalize("NFC", value)
    if len(value.encode("utf-8", "surrogatepass")) > MAX_PART_BYTES:
        raise MalformedJid(text, f"its {part} is longer than {MAX_PART_BYTES} bytes")
    for character in value:
        # Controls, separators, surrogates, private use, unassigned: outside PRECIS FreeformClass (RFC 8264 §4.3).
        if unicodedata.category(character)[0] in "CZ" and character not in allowed:
            raise MalformedJid(text, f"its {part} holds the character U+{ord(character):04X}")
    return value


def _localpart(text: str, localpart: str) -> str:
    if localpart.isascii():
        prepared = _prepared(text, "localpart", localpart.lower(), "")
    else:
        prepared = _enforced(text, "localpart", localpart, "UsernameCaseMapped")  # RFC 8265 §3.3
    for character in prepared:
        if character in LOCALPART_FORBIDDEN:
            raise MalformedJid(text, f"its localpart holds the character {character}")
    return prepared


def _resourcepart(text: str, resourcepart: str) -> str:
    if resourcepart.isascii():
        prepared = _prepared(text, "resource", resourcepart, " ")
    else:
        prepared = _enforced(text, "resource", resourcepart, "OpaqueString")  # RFC 8265 §4.2
    if prepared != prepared.strip(" "):
        raise MalformedJid(text, "its resource begins or ends with a space")
    return prepared


def _enforced(text: str, part: str, value: str, profile: str) -> str:
    """Prepare a part with other letters than ASCII by a profile of PRECIS, until that changes nothing more (§7)."""
    from precis_i18n import get_profile

    for _ in range(MAX_ENFORCEMENTS):
        try:
            value, before = get_profile(profile).enforce(value), value
        except UnicodeEncodeError as error:
            wrong = error.object[error.start : error.end]
            if len(wrong) != 1:
                raise MalformedJid(text, f"its {part} mixes directions of writing (RFC 5893 §2)") from None
            is_seen = part == "localpart" and wrong.isprintable() and not wrong.isspace()
            shown = wrong if is_seen else f"U+{ord(wrong):04X}"
            raise MalformedJid(text, f"its {part} holds the character {shown}") from None
        if len(value.encode()) > MAX_PART_BYTES:
            raise MalformedJid(text, f"its {part} is longer than {MAX_PART_BYTES} bytes")
        if value == before:
            return value
    raise MalformedJid(text, f"its {part} has no form that stays as it is")


def _domainpart(text: str, domainpart: str) -> str:
    try:
        domainpart = _mapped(domainpart)
    except ValueError as error:
        raise MalformedJid(text, NO_DOMAIN_NAME) from error
    domainpart = domainpart.removesuffix(".")  # RFC 7622 §3.2: a trailing dot is stripped
    if not domainpart:
        raise MalformedJid(text, "it has no domain")
    if domainpart.startswith("["):
        if not (is_address(domainpart) and ":" in domainpart) or "%" in domainpart:
            raise MalformedJid(text, "its domain is not an IPv6 address in brackets")
        return domainpart.lower()
    if is_address(domainpart):
        if "%" in domainpart:
            raise MalformedJid(text, "its domain holds the character %")
        return f"[{domainpart.lower()}]" if ":" in domainpart else domainpart
    prepared = _prepared(text, "domain", domainpart.lower(), "")
    for label in prepared.split("."):
        if not label or label.startswith("-") or label.endswith("-"):
            raise MalformedJid(text, f"its domain has the label {label!r}")
        for character in label:
            if character.isascii() and not (character.isalnum() or character in "-_"):
                raise MalformedJid(text, f"its domain holds the character {character}")
    return _host_name(text, prepared)


def _host_name(text: str, domain: str) -> str:
    try:
        name = a_labels(domain)
    except ValueError as error:
        raise MalformedJid(text, NO_DOMAIN_NAME) from error
    if len(name) > MAX_NAME_LENGTH or max(map(len, name.split("."))) > MAX_LABEL_LENGTH:
        longest = f"a name has at most {MAX_NAME_LENGTH} characters, and {MAX_LABEL_LENGTH} between dots"
        raise MalformedJid(text, f"its domain is too long for the DNS ({longest})")
    return u_labels(name)  # RFC 7622 §3.2.1: an A-label becomes a U-label


def is_address(host: str) -> bool:
    """Is this an IPv4 or IPv6 address (with or without brackets), not a name?"""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    number, percent, zone = bare.partition("%")  # RFC 4007 §11
    if percent and (":" not in number or not zone or not {"%", "/"}.isdisjoint(zone)):
        return False
    try:
        inet_pton(AF_INET6 if ":" in number else AF_INET, number)
    except (OSError, ValueError):
        return False
    return True


def a_labels(name: str) -> str:
    """A host name as the DNS and TLS know it (RFC 5890 §2.3.2.1); raises ValueError when it cannot be one."""
    if name.isascii():
        return name
    import idna

    return ".".join(label if label.isascii() else idna.alabel(label).decode() for label in _mapped(name).split("."))


def _mapped(name: str) -> str:
    """Other cases, widths and dots become the plain ones (RFC 5895); raises ValueError."""
    if name.isascii():
        return name
    import idna

    return idna.uts46_remap(name, std3_rules=False)  # IDNAError is a ValueError


def u_labels(name: str) -> str:
    """A host name as people write it (RFC 5890 §2.3.2.1); a label that cannot be shown so stays as it is."""
    return ".".join(_u_label(label) if label.startswith("xn--") else label for label in name.split("."))


def _u_label(label: str) -> str:
    import idna

    try:
        return idna.decode(label)
    except UnicodeError:  # IDNAError is one
        return label


def place(host: str, port: int, usual: int | None = None) -> str:
    """`host:port` for people, brackets around an IPv6 address; without the port where that is the usual one."""
    host = f"[{host}]" if ":" in host else u_labels(host)
    return host if port == usual else f"{host}:{port}"


def brief(words: Iterable[str], limit: int = 8, longest: int | None = MAX_NAME_LENGTH) -> str:
    """Join words for a sentence, at most `limit` of them: the peer decides how many there are, and how long.

    longest: how many characters of each, by default as many as a name of the DNS has; None where a sentence of ours
    would lose its end.
    """
    listed = list(words)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    shown = [word if longest is None or len(word) <= longest else f"{word[:longest]}…" for word in listed[:limit]]
    return ", ".join(shown) + more


def is_loopback(host: str) -> bool:
    """Does a connection to this host stay on this machine?

    Of the names, `localhost` alone is reserved for that (RFC 6761 §6.3).
    """
    if not is_address(host):
        return host == "localhost"
    from ipaddress import ip_address  # imported here: loading it takes longer than a thousand calls of `is_address`

    return ip_address(host.strip("[]")).is_loopback


def split_host_port(text: str) -> tuple[str, int | None]:
    """Split `host`, `host:port`, `v6`, `[v6]` or `[v6]:port`; raises ValueError."""
    host, port = text, ""
    if text.startswith("["):
        host, closed, port = text[1:].partition("]")
        if not closed or not is_address(host) or (port and not port.startswith(":")):
            raise ValueError(f"{text!r} is not [ADDRESS] or [ADDRESS]:PORT")
        port = port[1:]
        if text.endswith(":"):
            raise ValueError(f"{text!r} has no port after the colon")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        if not port:
            raise ValueError(f"{text!r} has no port after the colon")
    elif ":" in text and not is_address(text):
        raise ValueError(f"{text!r} is neither HOST:PORT nor an IPv6 address")
    if not host or len(host) > 253 or any(not character.isprintable() or character in " /@" for character in host):
        raise ValueError(f"{text!r} is not HOST or HOST:PORT")
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise ValueError(f"{port!r} is not a port (1 to 65535)")
    return host, int(port) if port else None


@dataclass(frozen=True, slots=True)
class Element:
    """A child of the stream's root: a stanza, or a nonza (XEP-0360).

    name: `{namespace}localname`; attributes: as expat gives them, foreign ones as `{namespace}name`;
    xml: the element as it stood on the wire, made to stand alone; line, column: where it began, from 1. arrived: when
    it came, in seconds since the epoch, where it is handed on later.
    """

    name: str
    attributes: Mapping[str, str]
    xml: str
    line: int = 1
    column: int = 1
    arrived: float | None = None

    @property
    def kind(self) -> str:
        """The local name: `message`, `presence`, `iq`, or a nonza's."""
        return self.name.rpartition("}")[2]

    @property
    def is_stanza(self) -> bool:
        """Is it a message, presence or iq of `jabber:client` (RFC 6120 §8)?"""
        return self.name in STANZA_NAMES

    @property
    def id(self) -> str | None:
        """The stanza's id attribute."""
        return self.attributes.get("id")

    @property
    def sender(self) -> str:
        """The `from` attribute, empty when absent."""
        return self.attributes.get("from", "")

    def at(self, line: int, column: int) -> Element:
        """The same, begun at another place."""
        return replace(self, line=line, column=column)


STANZA_NAMES = frozenset({f"{{{ns.CLIENT}}}message", f"{{{ns.CLIENT}}}presence", f"{{{ns.CLIENT}}}iq"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves who we are; never written anywhere."""

    password: str | None = field(default=None, repr=False)
    certificate: bool = False  # a client certificate is given to TLS: SASL EXTERNAL (XEP-0178)
    anonymous: bool = False
    mechanism: str | None = None  # only this one
    source: str = ""  # who gave the password, in words; empty when it was typed


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place to dial: a name or address with a port, the way to TLS, and where we have it from.

    addresses: numeric, in the order to try them (RFC 6724); empty when nobody has looked them up: the dialler does, or
    the proxy. searched: a person gave the name, and the search list of resolv.conf(5) may complete it; a JID's domain
    and the target of an SRV record stand as they are (RFC 2782).
    """

    host: str
    port: int
    tls: Literal["direct", "starttls", "off"]
    source: str
    addresses: tuple[str, ...] = ()
    searched: bool = False

    def __str__(self) -> str:
        return place(self.host, self.port)
