"""Groups stream and sasl: what the server says of itself under TLS, and how one could log in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.doctor.report import CHECKS, because
from xmppsh.errors import ProtocolError, SaslError
from xmppsh.model import Jid, brief
from xmppsh.protocol import sasl
from xmppsh.protocol.conditions import number
from xmppsh.resolve.options import SERVERS

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.doctor.probe import Probe
    from xmppsh.doctor.report import Report

LIMITS = f"{{{ns.STREAM_LIMITS}}}limits"
OLDER, NEWER = f"{{{ns.SASL}}}mechanisms", f"{{{ns.SASL2}}}authentication"
FAST = f"{NEWER}/{{{ns.SASL2}}}inline/{{{ns.FAST}}}fast"
NOBODY = Jid("nobody", "invalid")  # for a bare domain: which mechanism would be used does not depend on the name
SPOKEN = f"switch one of these on at the server: {', '.join(sasl.MECHANISMS)}"


async def check_stream(probe: Probe, report: Report) -> bool:
    """Header, features and limits under TLS; does the stream get as far as its features?"""
    place, stream = probe.label, probe.stream
    if probe.group == "tls" or stream.features is None:
        await _tell_no_features(probe, report)
        return False
    await _check_header(probe, report)
    names = brief((child.tag.rpartition("}")[2] for child in stream.features), 12)
    await report.ok("stream", f"features {place}", names or "none")
    await _check_limits(stream.features, f"limits {place}", report)
    if probe.case.side is SERVERS:
        await _check_dialback(stream.features, f"dialback {place}", report)
    else:
        await _check_registration(stream.features, f"registration {place}", report)
    return True


async def _tell_no_features(probe: Probe, report: Report) -> None:
    place, checks = probe.label, list(CHECKS["stream"])
    if probe.case.side is SERVERS:
        checks[-1] = "dialback"
    if probe.group != "tls" and probe.error is not None:
        if probe.is_secured and probe.stream.header:
            await _check_header(probe, report)
            checks.remove("header")
        probe.failed = f"{checks.pop(0)} {place}"
        await report.fail("stream", probe.failed, probe.error)
    for check in checks:
        await report.skip("stream", f"{check} {place}", because(probe.failed))


async def _check_header(probe: Probe, report: Report) -> None:
    header, jid = probe.stream.header, probe.case.options.jid
    version, sender = header.get("version"), header.get("from")
    check, detail = f"header {probe.label}", f"version {version or 'not given'}, from {sender or 'nobody'}"
    if sender is not None and sender.lower() not in (jid.domainpart, jid.dial_name):
        await report.warn("stream", check, f"{detail}: it should be {jid.domainpart} (RFC 6120 §4.7.1)")
    elif version != "1.0":
        await report.warn("stream", check, f"{detail}: it should be 1.0 (RFC 6120 §4.7.5)")
    else:
        await report.ok("stream", check, detail)


async def _check_limits(features: Tree, check: str, report: Report) -> None:
    """XEP-0478: what the server allows before the login; it may say something else after it."""
    limits = features.find(LIMITS)
    if limits is None:
        await report.skip("stream", check, "the server announces none (XEP-0478)")
        return
    found = []
    for name, unit in (("max-bytes", "bytes a stanza"), ("idle-seconds", "s without traffic")):
        value = number(limits.findtext(f"{{{ns.STREAM_LIMITS}}}{name}"))
        if value is not None:
            found.append(f"{value} {unit}")
    await report.ok("stream", check, ", ".join(found) or "none")


async def _check_registration(features: Tree, check: str, report: Report) -> None:
    """XEP-0077: is a stranger offered an account?"""
    if features.find(f"{{{ns.REGISTER_FEATURE}}}register") is None:
        await report.ok("stream", check, "nobody can register by himself")
    else:
        hint = "close registration at the server, unless it is meant and watched"
        await report.warn("stream", check, "open: whoever connects may make an account (XEP-0077)", hint)


async def _check_dialback(features: Tree, check: str, report: Report) -> None:
    """XEP-0220: how does another server prove its name, whose certificate is not believed here, as ours is not?"""
    if features.find(f"{{{ns.DIALBACK}}}dialback") is not None:
        await report.ok("stream", check, "a server may prove its name by dialback (XEP-0220)")
    elif features.find(OLDER) is not None:
        await report.ok("stream", check, "by its certificate alone: dialback is not offered")
    else:
        detail = "not offered: only servers whose certificate is believed here can send anything"
        await report.warn("stream", check, detail, "switch dialback on at the server, unless that is meant")


# ── SASL ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def check_sasl(probe: Probe, report: Report) -> bool:
    """Mechanisms, channel bindings and the choice among them; could one log in there?"""
    place, features = probe.label, probe.stream.features
    if features is None:
        for check in CHECKS["sasl"][:-1]:
            await report.skip("sasl", f"{check} {place}", because(probe.failed))
        return False
    older, newer = _listed(features.find(OLDER)), _listed(features.find(NEWER))
    if probe.place.candidate.tls == "off":
        newer = None  # XEP-0388 §3
    offered = (older or frozenset()) | (newer or frozenset())
    types = _binding_types(features)
    try:
        if older is None and newer is None:
            raise ProtocolError("the server offers no login (no SASL mechanisms)", layer="sasl")
        chosen, how = _choice(probe, older, newer, types)
    except (ProtocolError, SaslError) as error:
        await report.fail("sasl", f"mechanisms {place}", error)
        for check in CHECKS["sasl"][1:-1]:
            await report.skip("sasl", f"{check} {place}", because(f"mechanisms {place}"))
        return False
    names = brief(sorted(offered), 12) + _by_sasl2(older, newer, _listed(features.find(FAST)))
    if offered & {*sasl.SCRAM, "PLAIN"} == {"PLAIN"}:
        detail = f"only {names}: with PLAIN the server sees the password itself"
        await report.warn("sasl", f"mechanisms {place}", detail, "switch SCRAM on at the server")
    elif {name.removesuffix("-PLUS") for name in offered & {*sasl.SCRAM}} == {"SCRAM-SHA-1"}:
        detail = f"SCRAM by SHA-1 alone ({names}): what is stolen of the server's is tried out faster than with SHA-256"
        await report.warn("sasl", f"mechanisms {place}", detail, "switch SCRAM-SHA-256 on at the server")
    else:
        await report.ok("sasl", f"mechanisms {place}", names)
    await _check_binding(offered, types, f"channel binding {place}", report)
    bound = f", bound to TLS by {sasl.END_POINT}" if chosen.endswith("-PLUS") else ""
    await report.ok("sasl", f"choice {place}", f"{chosen}{bound}{how}")
    return True


def _listed(feature: Tree | None) -> frozenset[str] | None:
    if feature is None:
        return None
    return frozenset((one.text or "").strip() for one in feature if one.tag.endswith("}mechanism"))


def _by_sasl2(older: frozenset[str] | None, newer: frozenset[str] | None, tokens: frozenset[str] | None) -> str:
    """What of the mechanisms is offered by SASL2 (XEP-0388), and those of its tokens (XEP-0484)."""
    if newer is None:
        return ""
    which = "alone" if older is None else "as well" if newer == older else f"{brief(sorted(newer), 12) or 'none'}"
    return f"; by SASL2 {which}" + (f", with tokens (FAST) by {brief(sorted(tokens))}" if tokens else "")


def _binding_types(features: Tree) -> frozenset[str]:
    bindings = features.find(f"{{{ns.SASL_CHANNEL_BINDING}}}sasl-channel-binding")
    return frozenset(binding.get("type", "") for binding in (() if bindings is None else bindings))


def _choice(
    probe: Probe, older: frozenset[str] | None, newer: frozenset[str] | None, types: frozenset[str]
) -> tuple[str, str]:
    """The mechanism that would be used, and by which login and with what; raises SaslError when there is none."""
    options = probe.case.options
    given = options.credentials
    if given.password is not None or given.anonymous or given.certificate:
        ways = [(given, "")]
    else:  # nobody logs in; what would it take?
        ways = [
            (replace(given, password="x"), ""),
            (replace(given, anonymous=True), " (--anonymous)"),
            (replace(given, certificate=True), " (--cert FILE --key FILE)"),
        ]
    jid = NOBODY if options.jid.localpart is None else options.jid
    jid = replace(jid, domainpart=options.jid.domainpart)
    is_secure = probe.place.candidate.tls != "off"
    offers = [sasl.Offer(names, is_secure, types, probe.certificate) for names in (newer, older) if names is not None]
    refusal: SaslError | None = None
    for credentials, how in ways:
        offer = max(offers, key=lambda one: one.strength(credentials))  # of both that are as strong, the first
        try:
            exchange = offer.begin(jid, credentials)
        except SaslError as error:
            refusal = refusal or error
        else:
            return exchange.name, (" by SASL2" if newer is not None and offer is offers[0] else "") + how
    assert refusal is not None
    if given.mechanism is None and not given.anonymous and probe.place.candidate.tls != "off":
        refusal.hint = SPOKEN  # the fault is the server's: the command line has not narrowed the choice
    raise refusal


async def _check_binding(offered: frozenset[str], types: frozenset[str], check: str, report: Report) -> None:
    plus = sorted(name for name in offered if name.endswith("-PLUS"))
    if types:
        usable = "" if sasl.END_POINT in types else f"; of these we know none, ours is {sasl.END_POINT}"
        await report.ok("sasl", check, f"{brief(sorted(types))}{usable}")
    elif plus:
        await report.ok("sasl", check, "the server names no type (XEP-0440), so none is used")
    else:
        await report.skip("sasl", check, "the server offers no mechanism with channel binding")
