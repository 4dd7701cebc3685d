"""One TLS policy: TLS 1.2 or newer, the chain checked, the name that is checked is always the JID's domain."""

from __future__ import annotations

import _ssl
import hashlib
import os
import ssl  # loaded at its first use (cli/__main__.py): a cold `send` does without it
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from xmppsh.errors import (
    ConfigError,
    ConnectionLost,
    DeadlineExceeded,
    MalformedJid,
    NoInputError,
    TlsError,
    XmppshError,
)
from xmppsh.model import brief, u_labels
from xmppsh.plain import dataclass
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, Literal

ALPN, ALPN_OF_SERVERS = "xmpp-client", "xmpp-server"  # XEP-0368 §2
TLS_1_2 = 0x0303  # RFC 5246 §6.2.1; ssl.TLSVersion.TLSv1_2
EXPIRED, NOT_YET_VALID = 10, 9  # X509_V_ERR_CERT_HAS_EXPIRED, …_NOT_YET_VALID
NO_ISSUER = (20, 21)  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, …_UNABLE_TO_VERIFY_LEAF_SIGNATURE
NOT_TRUSTED = (
    2,
    18,
    19,
    *NO_ISSUER,
)  # …_UNABLE_TO_GET_ISSUER_CERT, …_DEPTH_ZERO_SELF_SIGNED_CERT, …_SELF_SIGNED_CERT_IN_CHAIN
OTHER_NAMES = {"1.3.6.1.5.5.7.8.7": "SRVName", "1.3.6.1.5.5.7.8.5": "xmppAddr"}
ENDS = ("SSLEOFError", "SSLZeroReturnError")  # by name: who looks has not loaded `ssl`, maybe
TOO_OLD = ("TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL")  # what the server, or we, say of an old version
ALERTS = ("SSLV3_ALERT_", "TLSV1_ALERT_", "TLSV13_ALERT_", "TLSV1_")  # RFC 8446 §6: the server ends the handshake
NAME_MISMATCHES = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, …_IP_ADDRESS_MISMATCH


class CertificateRefused(TlsError):
    """The server showed a certificate, and it does not prove the domain. fault: the first one that was found."""

    def __init__(self, fault: Literal["names", "dates", "chain"], text: str, *, hint: str | None = None) -> None:
        super().__init__(text, hint=hint)
        self.fault = fault


@dataclass(frozen=True)
class TlsPolicy:
    """Which servers we trust, and the client certificate that we show.

    ca: PEM file that replaces the system's authorities; pins: SHA-256 of the server's certificate (DER), hex: when
    given, they alone decide; insecure: any certificate is accepted; contents: what stood in those files that can be
    read only once; versions: the lowest and the highest version of TLS, to find out what a server takes, and never for
    a session; alpn: the protocol that direct TLS announces (RFC 7301).
    """

    ca: Path | None = None
    pins: tuple[str, ...] = ()
    insecure: bool = False
    certificate: Path | None = None
    key: Path | None = None
    contents: Mapping[Path, bytes] = field(default_factory=dict, repr=False, hash=False)
    versions: tuple[ssl.TLSVersion, ssl.TLSVersion] | None = None
    alpn: str = ALPN


def client_context(policy: TlsPolicy, *, direct: bool) -> ssl.SSLContext:
    """The SSLContext for one connection; raises NoInputError or ConfigError for files that do not serve."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if direct:
        context.set_alpn_protocols([policy.alpn])
    set_up(context, policy)
    return context


def set_up(context: Any, policy: TlsPolicy) -> None:
    """Set up by the policy what a context trusts and which certificate it shows.

    context: an SSLContext of `ssl`, or of its part in C (`_ssl`), which express/ uses. PROTOCOL_TLS_CLIENT already
    makes it check the chain and the name; only the exceptions from that are set here.
    """
    context.minimum_version = TLS_1_2
    # RFC 9525 §6.3. This is what `hostname_checks_common_name = False` does; the context of `_ssl` has the private name
    # alone. A Python without it raises AttributeError here, so that the check can never be left out silently.
    context._host_flags |= _ssl.HOSTFLAG_NEVER_CHECK_SUBJECT
    if policy.versions is not None:
        context.minimum_version, context.maximum_version = policy.versions
        context.set_ciphers("ALL:@SECLEVEL=0")  # otherwise OpenSSL itself refuses old versions
    if policy.insecure or policy.pins:
        context.check_hostname = False
        context.verify_mode = _ssl.CERT_NONE
    elif policy.ca is not None:
        with _readable(policy, policy.ca) as ca:
            _load(policy.ca, lambda: context.load_verify_locations(cafile=ca), "certificate authority")
    else:
        _load_system_authorities(context)
    if policy.certificate is not None:
        with _readable(policy, policy.certificate) as certificate, _readable(policy, policy.key) as key:
            _load(
                policy.certificate,
                lambda: context.load_cert_chain(certificate or "", key, password=_no_password),
                "certificate",
            )


@contextmanager
def _readable(policy: TlsPolicy, path: Path | None) -> Iterator[Path | None]:
    """A path that OpenSSL can read: the file itself, or a copy in memory where its content was read before."""
    if path is None or path not in policy.contents:
        yield path
        return
    if not hasattr(os, "memfd_create"):  # only Linux has it
        import tempfile

        with tempfile.NamedTemporaryFile() as named:
            named.write(policy.contents[path])
            named.flush()
            yield Path(named.name)
        return
    with os.fdopen(os.memfd_create("xmppsh"), "wb") as file:
        file.write(policy.contents[path])
        file.flush()
        yield Path(f"/proc/self/fd/{file.fileno()}")


def _no_password() -> str:
    raise ConfigError("the key of the client certificate is encrypted", hint="decrypt it into a file of mode 0600")


def _load(path: Path, load: Callable[[], None], what: str) -> None:
    try:
        load()
    except FileNotFoundError as error:
        raise NoInputError(f"{error.filename or path}: no such file or directory") from error
    except ssl.SSLError as error:
        raise ConfigError(f"{path}: no {what} in PEM form ({why_failed(error)})") from error
    except OSError as error:
        raise NoInputError(f"{path}: {os_reason(error)}") from error


def _load_system_authorities(context: Any) -> None:
    """Trust the system's authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR.

    The hashed folder is preferred, since OpenSSL reads of it only the files that it needs.
    """
    file_env, _, folder_env, folder = _ssl.get_default_verify_paths()
    given = os.environ.get(file_env)
    overridden = given or os.environ.get(folder_env)
    if not overridden and os.path.isdir(folder) and any(name.endswith(".0") for name in os.listdir(folder)):
        context.load_verify_locations(capath=folder)
        return
    if given and not os.path.isfile(given):
        raise NoInputError(f"{given}: no such file or directory", hint=f"{file_env} names it")
    context.set_default_verify_paths()


def is_plain_name(name: str) -> bool:
    """Is it plain ASCII that Python's IDNA codec would leave as it is (RFC 1035 §2.3.4)? It refuses the others."""
    return name.isascii() and all(0 < len(label) < 64 for label in name.removesuffix(".").split("."))


def check_pin(policy: TlsPolicy, certificate: bytes | None, domain: str) -> None:
    """Raise TlsError unless the certificate is one of the pinned ones. Without pins nothing is checked here."""
    if not policy.pins:
        return
    found = "none" if certificate is None else hashlib.sha256(certificate).hexdigest()
    if found not in policy.pins:
        raise TlsError(
            f"the certificate of {u_labels(domain)} is not the pinned one: it is sha256:{found}",
            hint="find out why it changed before you pin the new one",
        )


def explain(error: Exception, domain: str, *chain: bytes | None) -> XmppshError:
    """Turn what a handshake raised into a TlsError; chain: what the server sent (DER), its own certificate first."""
    domain = u_labels(domain)
    if isinstance(error, UnicodeError):  # Python's IDNA codec refused the name before OpenSSL got it
        return MalformedJid(domain, "it has a label that no host name may have")
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_verification(error, domain, [one for one in chain if one])
    if isinstance(error, ssl.SSLError) and type(error).__name__ not in ENDS:
        if error.reason in TOO_OLD:
            return TlsError(f"{domain} takes no TLS 1.2 or newer", hint="its operator must switch TLS 1.2 or 1.3 on")
        hint = "--tls starttls, if the port is one for STARTTLS" if error.reason == "WRONG_VERSION_NUMBER" else None
        return TlsError(f"no TLS with {domain}: {why_failed(error)}", hint=hint)
    if isinstance(error, TimeoutError) or "taking longer" in str(error):
        return DeadlineExceeded(f"the TLS handshake with {domain} did not end in time", layer="tls")
    broke = f"the connection broke in the TLS handshake with {domain}: {why_failed(error)}"
    return ConnectionLost(broke, layer="tls", hint="try again later")


def why_failed(error: Exception) -> str:
    """Why TLS or its link failed, as the end of a sentence, in our words and the system's, without OpenSSL's codes."""
    if not str(error) or type(error).__name__ in ENDS:  # asyncio says nothing where the server leaves in a handshake
        return "the server closed it"
    reason = getattr(error, "reason", None)  # an SSLError's
    if not isinstance(reason, str):
        return os_reason(error)
    begin = next((begin for begin in ALERTS if reason.startswith(begin)), None)
    said = reason if begin is None else f"the server says {reason.removeprefix(begin)}"
    return said.replace("_", " ").lower()


def _explain_verification(error: ssl.SSLCertVerificationError, domain: str, chain: Sequence[bytes]) -> TlsError:
    facts = CertificateFacts.read(chain[0]) if chain else None
    pin = "" if facts is None else f"--pin sha256:{facts.sha256} only if you trust that host"
    if error.verify_code in NAME_MISMATCHES:
        names = "another name" if facts is None else brief(facts.names) or "no name at all"
        if facts is not None and not facts.names and facts.other_names:
            names += f" (its {' and '.join(facts.other_names)} do not count)"
        elif facts is not None and not facts.names and facts.common_name:
            names += f" (its common name {facts.common_name} does not count, RFC 9525 §6.3)"
        hint = _join("ask the server's operator for one with that name", pin)
        return CertificateRefused("names", f"certificate is for {names}, not {domain}", hint=hint)
    if error.verify_code in (EXPIRED, NOT_YET_VALID) and (issuer := _out_of_date(chain)) is not None:
        what = "has expired" if error.verify_code == EXPIRED else "is not valid yet"
        return CertificateRefused(
            "dates",
            f"the certificate of {domain} is fine by its dates, but that of its issuer {issuer} {what}",
            hint=_join("check this machine's clock", "ask the server's operator", pin),
        )
    if error.verify_code == EXPIRED:
        when = "" if facts is None else f" on {facts.not_after}"
        hint = _join("check this machine's clock", "ask the server's operator to renew it", pin)
        return CertificateRefused("dates", f"the certificate of {domain} has expired{when}", hint=hint)
    if error.verify_code == NOT_YET_VALID:
        when = "" if facts is None else f" before {facts.not_before}"
        hint = "check this machine's clock"
        return CertificateRefused("dates", f"the certificate of {domain} is not valid yet{when}", hint=hint)
    if error.verify_code in NO_ISSUER and facts is not None and len(chain) == 1 and facts.issuer:
        return CertificateRefused(
            "chain",
            f"the certificate of {domain} is not signed by an authority that is trusted here, and the server sends no"
            f" intermediate certificate; the issuer is {facts.issuer}",
            hint=_join("--ca FILE with the issuer's certificate", "ask the server's operator to send it", pin),
        )
    if error.verify_code not in NOT_TRUSTED:
        text = f"the certificate of {domain} is not accepted: {error.verify_message}"
        return CertificateRefused("chain", text, hint=_join("ask the server's operator for another one", pin))
    return CertificateRefused(
        "chain",
        f"the certificate of {domain} is not signed by an authority that is trusted here ({error.verify_message})",
        hint=_join("--ca FILE with the authority's certificate", pin),
    )


def _out_of_date(chain: Sequence[bytes]) -> str | None:
    """The name of the first issuer in the chain that is out of date; None where the server's own certificate is, too.

    OpenSSL tells the fault, and Python not whose it is.
    """
    import datetime

    from asn1crypto.x509 import Certificate

    now = datetime.datetime.now(datetime.UTC)
    try:
        for place, data in enumerate(chain):
            parsed = Certificate.load(data, strict=True)
            if not parsed.not_valid_before <= now <= parsed.not_valid_after:
                return _subject(parsed) if place else None
    except (ValueError, TypeError):
        return None
    return None


def _subject(certificate: Any) -> str:
    subject = certificate.subject
    return str(subject.native.get("common_name") or subject.human_friendly)


def _join(*hints: str) -> str:
    return ", or ".join(hint for hint in hints if hint)


@dataclass(frozen=True)
class CertificateFacts:
    """What a person wants to know of a certificate; dates are days, UTC."""

    names: tuple[str, ...]
    not_before: str
    not_after: str
    sha256: str
    issuer: str = ""  # empty when it is self-signed
    common_name: str = ""
    key: str = ""  # its algorithm and size in bits, such as `ec 256`
    serial: str = ""  # hex
    other_names: tuple[str, ...] = ()  # the kinds of names that prove no host: SRVName (RFC 4985), xmppAddr (RFC 6120)

    @classmethod
    def read(cls, certificate: bytes) -> CertificateFacts | None:
        """Read DER; None when it cannot be read."""
        from asn1crypto.x509 import Certificate

        try:
            parsed = Certificate.load(certificate, strict=True)
            alternative = parsed.subject_alt_name_value is not None
            names = tuple(dict.fromkeys([*parsed.valid_domains, *parsed.valid_ips])) if alternative else ()
            others = _other_names(parsed) if alternative else ()
            issuer = "" if parsed.issuer == parsed.subject else parsed.issuer.human_friendly
            common_name = str(parsed.subject.native.get("common_name", ""))
            validity = parsed["tbs_certificate"]["validity"]
            days = [f"{validity[end].native:%Y-%m-%d}" for end in ("not_before", "not_after")]
            key = f"{parsed.public_key.algorithm} {parsed.public_key.bit_size}"
        except (ValueError, TypeError):
            return None
        fingerprint, serial = hashlib.sha256(certificate).hexdigest(), f"{parsed.serial_number:x}"
        return cls(names, days[0], days[1], fingerprint, issuer, common_name, key, serial, others)


def _other_names(certificate: Any) -> tuple[str, ...]:
    names = [one.chosen["type_id"].dotted for one in certificate.subject_alt_name_value if one.name == "other_name"]
    return tuple(dict.fromkeys(OTHER_NAMES[name] for name in names if name in OTHER_NAMES))
