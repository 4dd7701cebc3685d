"""The table of test_plan.py: zones with options, and what must come of each."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from support.dns import Delayed, Fails, Forged, Garbage, Refers, Reply, Silent, Truncated, Zone

DIRECT, STARTTLS = "SRV _xmpps-client._tcp.example.org", "SRV _xmpp-client._tcp.example.org"
BY_DIRECT, BY_STARTTLS, ITSELF = DIRECT, STARTTLS, "the domain itself, it has no SRV records"
ELSEWHERE = "--host HOST[:PORT] connects to a server of your choice"
ANOTHER = f"--dns ADDRESS asks another name server; {ELSEWHERE}"
HERE = {"A example.org": ["192.0.2.1"]}
A, B = {"A a.example": ["192.0.2.10"]}, {"A b.example": ["192.0.2.11"]}
Place = tuple[str, int, str, str, Sequence[str]]  # host, port, TLS, source, addresses


@dataclass(frozen=True)
class Row:
    """A zone and options, and what must come of them. places: what can be dialled; asked: all that may be asked."""

    zone: Zone = field(default_factory=dict)
    places: Sequence[Place] = ()
    code: int = 0
    says: str = ""
    hint: str = ""
    jid: str = "juliet@example.org"
    hosts: Sequence[tuple[str, int | None]] = ()
    tls: str = "auto"
    family: int = socket.AF_UNSPEC
    resolve: Sequence[str] = ()
    hosts_file: str = ""
    proxied: bool = False
    follows: bool = True
    otherwise: Reply | None = None
    asked: set[str] | None = None
    within_s: float = 30.0
    timeout_s: float = 30.0


def at(host: str, address: str | Sequence[str], port: int = 5222, tls: str = "starttls", source: str = "") -> Place:
    """A place; without a source it comes from the SRV record of its kind of TLS."""
    source = source or {"direct": BY_DIRECT, "starttls": BY_STARTTLS}[tls]
    return host, port, tls, source, [address] if isinstance(address, str) else address


LONG = ".".join(["x" * 59] * 4)
BOTH_EMPTY: Zone = {"A www.example.org": ["192.0.2.99"]}  # example.org exists, and has nothing
ROWS: dict[str, Row] = {
    # ── SRV ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    "one record": Row({STARTTLS: ["0 0 5222 a.example"], **A}, [at("a.example", "192.0.2.10")]),
    "direct TLS alone": Row({DIRECT: ["0 0 443 a.example"], **A}, [at("a.example", "192.0.2.10", 443, "direct")]),
    "both services are one list, by priority": Row(
        {DIRECT: ["20 0 5223 a.example"], STARTTLS: ["30 0 5222 a.example", "10 0 5269 b.example"], **A, **B},
        [at("b.example", "192.0.2.11", 5269), at("a.example", "192.0.2.10", 5223, "direct"),
         at("a.example", "192.0.2.10")],
        asked={DIRECT, STARTTLS, "A a.example", "AAAA a.example", "A b.example", "AAAA b.example"},
    ),
    "both families": Row({STARTTLS: ["0 0 5222 a.example"], **A, "AAAA a.example": ["2001:db8::10"]},
                         [at("a.example", ["192.0.2.10", "2001:db8::10"])]),
    "the domain's own address is no way out of SRV records": Row(
        {STARTTLS: ["0 0 5222 gone.example"], **HERE}, code=68,
        says="example.org: its server gone.example does not exist (no such name in the DNS)",
        hint=f"tell the server's operator; {ELSEWHERE}",
    ),
    "of two servers one does not exist": Row(
        {STARTTLS: ["0 0 5222 gone.example", "1 0 5222 a.example"], **A}, [at("a.example", "192.0.2.10")],
    ),
    "of two servers none exists": Row(
        {STARTTLS: ["0 0 5222 gone.example", "1 0 5222 lost.example"]}, code=68,
        says="example.org: none of its servers has an address (gone.example does not exist (no such name in the DNS), "
        "lost.example does not exist (no such name in the DNS))",
        hint=f"tell the server's operator; {ELSEWHERE}",
    ),
    "a server without an address": Row(
        {STARTTLS: ["0 0 5222 a.example"], "A www.a.example": ["192.0.2.1"]}, code=69,
        says="example.org: its server a.example has no address", hint=ELSEWHERE,
    ),
    "a server that cannot be looked up, and one that does not exist": Row(
        {STARTTLS: ["0 0 5222 a.example", "1 0 5222 b.example"], "A a.example": Fails("SERVFAIL"),
         "AAAA a.example": Fails("SERVFAIL")}, code=75,
        says="example.org: none of its servers has an address (a.example cannot be looked up: no name server can find "
        "out ({dns} SERVFAIL), b.example does not exist (no such name in the DNS))",
        hint=f"--dns ADDRESS asks another name server (the domain's DNSSEC may be broken); {ELSEWHERE}",
    ),
    "an alias in front of the records": Row(
        {"CNAME _xmpp-client._tcp.example.org": ["_xmpp-client._tcp.hoster.example"],
         "SRV _xmpp-client._tcp.hoster.example": ["0 0 5222 a.example"], **A}, [at("a.example", "192.0.2.10")],
    ),
    "an alias at the target, which RFC 2782 forbids": Row(
        {STARTTLS: ["0 0 5222 alias.example"], "CNAME alias.example": ["a.example"], **A},
        [at("alias.example", "192.0.2.10")],
    ),
    "an alias that the name server does not follow": Row(
        {"CNAME _xmpp-client._tcp.example.org": ["_xmpp-client._tcp.hoster.example"],
         "SRV _xmpp-client._tcp.hoster.example": ["0 0 5222 alias.example"], "CNAME alias.example": ["a.example"], **A},
        [at("alias.example", "192.0.2.10")], follows=False,
    ),
    "an alias of what does not exist": Row(
        {STARTTLS: ["0 0 5222 alias.example"], "CNAME alias.example": ["gone.example"]}, code=68,
        says="example.org: its server alias.example is an alias of gone.example, which does not exist",
    ),
    "an alias of itself": Row(
        {STARTTLS: ["0 0 5222 x.example"], "CNAME x.example": ["y.example"], "CNAME y.example": ["x.example"]}, code=75,
        says="example.org: its server x.example cannot be looked up: no name server gives a usable answer ({dns} "
        "sends CNAME records without end)",
    ),
    "an alias of itself that the name server does not follow": Row(
        {STARTTLS: ["0 0 5222 x.example"], "CNAME x.example": ["y.example"], "CNAME y.example": ["x.example"]}, code=75,
        says="example.org: its server x.example cannot be looked up: no name server gives a usable answer (CNAME "
        "records without end)", follows=False,
    ),
    "no XMPP here": Row(
        {STARTTLS: ["0 0 0 ."], **HERE}, code=69,
        says='example.org says that it offers no XMPP to clients (SRV target ".")', hint=ELSEWHERE,
    ),
    "no direct TLS here, and one record": Row(
        {DIRECT: ["0 0 0 ."], STARTTLS: ["0 0 5222 a.example"], **A}, [at("a.example", "192.0.2.10")]
    ),
    "no direct TLS here, and nothing about STARTTLS": Row(
        {DIRECT: ["0 0 0 ."], **HERE}, [at("example.org", "192.0.2.1", source=ITSELF)]
    ),
    "no direct TLS here, and it is wanted": Row(
        {DIRECT: ["0 0 0 ."], **HERE}, code=69, tls="direct", asked={DIRECT},
        says='example.org says that it offers no direct TLS to clients (SRV target ".")',
    ),
    "records that nobody could dial": Row(
        {STARTTLS: ["0 0 0 a.example", r"0 0 5222 a\032b.example"], **HERE, **A}, code=69,
        says=r"example.org: its SRV records name no server that could be reached ('a.example' port 0, "
        r"'a\\032b.example' port 5222)",
    ),
    "a target that is an address": Row(
        {STARTTLS: ["0 0 5222 192.0.2.7"]}, [at("192.0.2.7", "192.0.2.7")], asked={DIRECT, STARTTLS}
    ),
    "only direct TLS is wanted": Row(
        {DIRECT: ["0 0 5223 a.example"], STARTTLS: ["0 0 5222 b.example"], **A, **B},
        [at("a.example", "192.0.2.10", 5223, "direct")], tls="direct",
        asked={DIRECT, "A a.example", "AAAA a.example"},
    ),
    "an internationalised domain is asked for in A-labels": Row(
        {"SRV _xmpp-client._tcp.xn--bcher-kva.example": ["0 0 5222 a.example"], **A},
        [at("a.example", "192.0.2.10", source="SRV _xmpp-client._tcp.b\u00fccher.example")],
        jid="a@B\u00fccher.example",
    ),
    # ── The domain itself ───────────────────────────────────────────────────────────────────────────────────────────
    "no records": Row(HERE, [at("example.org", "192.0.2.1", source=ITSELF)]),
    "no records, direct TLS": Row(
        HERE, [at("example.org", "192.0.2.1", 5223, "direct", f"{ITSELF} for direct TLS")], tls="direct"
    ),
    "no direct TLS, direct TLS": Row(
        {STARTTLS: ["0 0 5222 a.example"], **A, **HERE},
        [at("example.org", "192.0.2.1", 5223, "direct", f"{ITSELF} for direct TLS")], tls="direct",
    ),
    "no records, and the domain is an alias": Row(
        {"CNAME example.org": ["a.example"], **A}, [at("example.org", "192.0.2.10", source=ITSELF)]
    ),
    "IPv6 alone": Row({"AAAA example.org": ["2001:db8::1"]}, [at("example.org", "2001:db8::1", source=ITSELF)]),
    "-4 with both": Row(
        {**HERE, "AAAA example.org": ["2001:db8::1"]}, [at("example.org", "192.0.2.1", source=ITSELF)],
        family=socket.AF_INET, asked={DIRECT, STARTTLS, "A example.org"},
    ),
    "-6 without IPv6": Row(
        HERE, family=socket.AF_INET6, code=69, says="example.org has no IPv6 address, and -6 allows nothing else",
        hint="leave out -4 and -6",
    ),
    "no such domain": Row(
        code=68, says="example.org does not exist (no such name in the DNS)", hint=f"check the spelling; {ELSEWHERE}"
    ),
    "no such internationalised domain": Row(
        jid="a@b\u00fccher.example", code=68, says="b\u00fccher.example does not exist (no such name in the DNS)"
    ),
    "a domain with nothing": Row(
        BOTH_EMPTY, code=69, says="example.org has neither SRV records for XMPP nor an address", hint=ELSEWHERE
    ),
    "a domain below which there is no room for SRV records": Row(
        {f"A {LONG}": ["192.0.2.1"]}, [at(LONG, "192.0.2.1", source=ITSELF)], jid=f"a@{LONG}",
        asked={f"A {LONG}", f"AAAA {LONG}"},
    ),
    "three hundred servers": Row(
        {STARTTLS: [f"{number} 0 5222 n{number}.example" for number in range(300)], "A n0.example": ["192.0.2.1"]},
        [at("n0.example", "192.0.2.1")],
    ),
    "three hundred servers, and none exists": Row(
        {STARTTLS: [f"{number} 0 5222 n{number}.example" for number in range(300)]}, code=68,
        says="example.org: none of its servers has an address ("
        + ", ".join(f"n{number}.example does not exist (no such name in the DNS)" for number in range(8))
        + " and 56 more)",
    ),
    "an IPv4 domain": Row(jid="a@192.0.2.1", places=[at("192.0.2.1", "192.0.2.1", source="the domain is an address")],
                          asked=set()),
    "an IPv6 domain": Row(jid="a@[2001:db8::1]", asked=set(),
                          places=[at("2001:db8::1", "2001:db8::1", source="the domain is an address")]),
    "an IPv4 domain and -6": Row(
        jid="a@192.0.2.1", family=socket.AF_INET6, asked=set(), code=69,
        says="192.0.2.1 is no IPv6 address, and -6 allows nothing else",
    ),
    "this machine": Row(
        jid="a@x.localhost", asked=set(), tls="off",
        places=[at("x.localhost", ["127.0.0.1", "::1"], tls="off", source="the domain is this machine")],
    ),
    "an onion without a proxy": Row(
        jid="a@abcdef.onion", asked=set(), code=68,
        says="abcdef.onion exists only in Tor; no name server is asked for it",
        hint=f"--proxy socks5h://127.0.0.1:9050 connects through Tor; {ELSEWHERE}",
    ),
    # ── Name servers that do not answer ─────────────────────────────────────────────────────────────────────────────
    "SERVFAIL": Row(
        {**HERE, DIRECT: Fails("SERVFAIL"), STARTTLS: Fails("SERVFAIL")}, code=75, within_s=1,
        says="example.org: its SRV records cannot be looked up: no name server can find out ({dns} SERVFAIL)",
        hint=f"--dns ADDRESS asks another name server (the domain's DNSSEC may be broken); {ELSEWHERE}",
    ),
    "SERVFAIL for one service, and nothing for the other": Row(
        {**HERE, DIRECT: Fails("SERVFAIL")}, code=75,
        says="example.org: its SRV records cannot be looked up: no name server can find out ({dns} SERVFAIL)",
    ),
    "SERVFAIL for one service, and a record for the other": Row(
        {DIRECT: Fails("SERVFAIL"), STARTTLS: ["0 0 5222 a.example"], **A}, [at("a.example", "192.0.2.10")]
    ),
    "SERVFAIL for the address": Row(
        {**BOTH_EMPTY, "A example.org": Fails("SERVFAIL"), "AAAA example.org": Fails("SERVFAIL")}, code=75,
        says="example.org cannot be looked up: no name server can find out ({dns} SERVFAIL)",
    ),
    "SERVFAIL for IPv6 alone": Row(
        {**HERE, "AAAA example.org": Fails("SERVFAIL")}, [at("example.org", "192.0.2.1", source=ITSELF)]
    ),
    "REFUSED": Row(
        otherwise=Fails("REFUSED"), code=75, within_s=1,
        says="example.org: its SRV records cannot be looked up: no name server wants to answer ({dns} REFUSED)",
        hint=ANOTHER,
    ),
    "a server of its own zones alone": Row(
        otherwise=Refers(), code=75,
        says="example.org: its SRV records cannot be looked up: no name server wants to answer ({dns} refers to "
        "others, it does not look names up)",
    ),
    "another code": Row(
        otherwise=Fails("NOTIMP"), code=75,
        says="example.org: its SRV records cannot be looked up: no name server gives a usable answer ({dns} NOTIMP)",
    ),
    "silence": Row(
        otherwise=Silent(), code=75, timeout_s=0.6, within_s=0.6,
        says="example.org: its SRV records cannot be looked up: no name server answers ({dns} timed out after 0.3 s)",
        hint=ANOTHER,
    ),
    "silence about one service": Row(
        {DIRECT: Silent(), STARTTLS: ["0 0 5222 a.example"], **A}, [at("a.example", "192.0.2.10")], within_s=1
    ),
    "silence about IPv6": Row(
        {**HERE, "AAAA example.org": Silent()}, [at("example.org", "192.0.2.1", source=ITSELF)], within_s=1
    ),
    "an answer of garbage": Row(
        otherwise=Garbage(), code=75, timeout_s=0.6,
        says="example.org: its SRV records cannot be looked up: no name server gives a usable answer ({dns} sends what "
        "is not an answer)",
    ),
    "an answer to another query is not taken": Row(
        {STARTTLS: Forged(["0 0 5222 evil.example"]), DIRECT: []}, code=75, timeout_s=0.6,
        says="example.org: its SRV records cannot be looked up: no name server gives a usable answer ({dns} sends what "
        "is not an answer)",
    ),
    "an answer to another query in front of the true one": Row(
        {STARTTLS: Forged(["0 0 5222 evil.example"], ["0 0 5222 a.example"]), **A}, [at("a.example", "192.0.2.10")]
    ),
    "a truncated answer is asked for again by TCP": Row(
        {STARTTLS: Truncated([f"{n} 0 5222 a.example" for n in range(40)]), **A},
        [at("a.example", "192.0.2.10") for _ in range(40)],
    ),
    "an answer that comes late": Row(
        {STARTTLS: Delayed(0.8, ["0 0 5222 a.example"]), **A}, [at("a.example", "192.0.2.10")]
    ),
    # ── What the user lays down ─────────────────────────────────────────────────────────────────────────────────────
    "--host is dialled and nothing else": Row(
        {STARTTLS: ["0 0 5222 a.example"], **A, **B}, [at("b.example", "192.0.2.11", 15222, source="--host")],
        hosts=[("b.example", 15222)], asked={"A b.example", "AAAA b.example"},
    ),
    "--host is an address": Row(
        {STARTTLS: ["0 0 5222 a.example"], **A}, [at("2001:db8::7", "2001:db8::7", source="--host")],
        hosts=[("2001:db8::7", None)], asked=set(),
    ),
    "--host twice, in order, with the TLS of their ports": Row(
        {**A, **B}, [at("b.example", "192.0.2.11", 5223, "direct", "--host"), at("a.example", "192.0.2.10", 443,
                     "direct", "--host"), at("a.example", "192.0.2.10", source="--host")],
        hosts=[("B.example.", 5223), ("a.example", 443), ("a.example", None)],
    ),
    "--host with STARTTLS on the port of direct TLS": Row(
        places=[at("192.0.2.1", "192.0.2.1", 5223, source="--host")], hosts=[("192.0.2.1", 5223)], tls="starttls"
    ),
    "--host with direct TLS": Row(
        places=[at("192.0.2.1", "192.0.2.1", 5223, "direct", "--host")], hosts=[("192.0.2.1", None)], tls="direct"
    ),
    "--host in U-labels": Row(
        {"A xn--bcher-kva.example": ["192.0.2.1"]}, [at("xn--bcher-kva.example", "192.0.2.1", source="--host")],
        hosts=[("B\u00fccher.example", None)],
    ),
    "--host that does not exist": Row(
        hosts=[("gone.example", None)], code=68, says="gone.example does not exist (no such name in the DNS)",
        hint="check the spelling; an address as --host needs no name server",
    ),
    "--host twice, and none exists": Row(
        hosts=[("gone.example", None), ("x..y", None)], code=68,
        says="none of the hosts given has an address (gone.example does not exist (no such name in the DNS), x..y is "
        "not a name that the DNS could hold)",
    ),
    "--resolve for the domain": Row(
        {STARTTLS: ["0 0 5222 a.example"]}, [at("example.org", "192.0.2.5", 5223, "direct", "--resolve")],
        resolve=["example.org:5223:192.0.2.5"], asked=set(),
    ),
    "--resolve for a server": Row(
        {STARTTLS: ["0 0 5222 a.example"], DIRECT: ["1 0 5223 a.example"], **A},
        [at("a.example", ["192.0.2.5", "2001:db8::5"]), at("a.example", "192.0.2.10", 5223, "direct")],
        resolve=["A.example:5222:192.0.2.5,[2001:db8::5]"],
        asked={DIRECT, STARTTLS, "A a.example", "AAAA a.example"},
    ),
    "--resolve for every name, and for one": Row(
        {STARTTLS: ["0 0 5222 a.example", "1 0 5222 b.example"]},
        [at("a.example", "192.0.2.5"), at("b.example", "192.0.2.6")],
        resolve=["b.example:5222:192.0.2.4", "*:5222:192.0.2.5", "b.example:5222:192.0.2.6"], asked={DIRECT, STARTTLS},
    ),
    "the hosts file before the name servers": Row(
        {STARTTLS: ["0 0 5222 a.example"], **A}, [at("a.example", "127.0.0.9")],
        hosts_file="127.0.0.9 other A.Example # a comment\n", asked={DIRECT, STARTTLS},
    ),
    "the hosts file without a name server": Row(
        otherwise=Fails("REFUSED"), hosts_file="127.0.0.9\texample.org\n",
        places=[at("example.org", "127.0.0.9", source="the domain itself, it is in {hosts}; its SRV records cannot be "
                   "looked up: no name server wants to answer ({dns} REFUSED)")],
    ),
    "a comment in the hosts file": Row(
        HERE, [at("example.org", "192.0.2.1", source=ITSELF)], hosts_file="# 127.0.0.9 example.org\nx example.org\n"
    ),
    "TLS off for a name of the hosts file": Row(
        hosts_file="127.0.0.9 example.org\n", tls="off", asked=set(),
        places=[at("example.org", "127.0.0.9", tls="off",
                   source="the domain itself, without TLS no SRV records are asked for")],
    ),
    # ── By a proxy ──────────────────────────────────────────────────────────────────────────────────────────────────
    "a proxy looks the domain up": Row(
        {STARTTLS: ["0 0 5222 a.example"], **A, **HERE}, proxied=True, asked=set(),
        places=[at("example.org", [], source="the domain itself, the proxy looks it up")],
    ),
    "a proxy looks an onion up": Row(
        jid="a@abcdef.onion", proxied=True, asked=set(),
        places=[at("abcdef.onion", [], source="the domain itself, the proxy looks it up")],
    ),
    "a proxy looks --host up": Row(
        hosts=[("b.example", 443)], proxied=True, asked=set(), places=[at("b.example", [], 443, "direct", "--host")]
    ),
}  # fmt: skip
