"""XML that a client must not take, sent to `listen` after the login: 76, bounded memory, nothing shown."""

import json
import re

import pytest

from hostile.misbehaviour import CANARY, MESSAGE, SKIP, flood
from hostile.scenario import Outcome, Scenario, check
from hostile.server import DOMAIN

PEAK_KIB = 80 * 1024
LISTEN = ("listen", "-W", "15")
MANY = 20_000
BULK = 200_000  # a server that still writes when the client closes gets a RST, and may not see the client's last words


def nested(levels: int) -> str:
    """A message of this many levels in all."""
    inner = levels - 1
    return "<message>" + "<a>" * inner + "</a>" * inner + "</message>"


def said(body: str) -> str:
    """A message that would be shown."""
    return f"<message from='mallory@evil.example'><body>{CANARY}{body}</body></message>"


BOMB = (
    "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>"
    + "".join(
        f"<!ENTITY {chr(98 + n)} '{('&' + chr(97 + n) + ';') * 10}'>"
        for n in range(9)
    )
    + "]>" + said("&j;")
)  # fmt: skip
TOO_MUCH: dict[str, str | bytes] = {
    "stanza-of-600-kib": said("x" * 600 * 1024),
    "stanza-of-quotes": said("&quot;" * 600 * 1024),
    "stanza-of-10-mb": said("x" * 10_000_000),
    "siblings-of-2-mb": "<message>" + "<a/>" * 500_000,
    "depth-65": nested(65) + MESSAGE,
    "depth-10000": nested(10_000),
    "depth-1000000": nested(1_000_000),
    "attributes-257": "<message " + " ".join(f"a{n}='{n}'" for n in range(257)) + f"><body>{CANARY}</body></message>",
    "attributes-200000": "<message " + " ".join(f"a{n}='{n}'" for n in range(200_000)) + "/>",
    "attributes-of-a-child-257": "<message><x " + " ".join(f"a{n}=''" for n in range(257)) + "/></message>",
    "namespaces-100000": "<message " + " ".join(f"xmlns:n{n}='u'" for n in range(100_000)) + "/>",
    "space-of-2-mib": " " * 2 * 1024 * 1024,
    "attribute-unfinished-10-mb": "<message id='" + "x" * 10_000_000,
    "name-unfinished-10-mb": "<" + "x" * 10_000_000,
    "text-unfinished-10-mb": "<message><body>" + "x" * 10_000_000,
}
ILL_FORMED: dict[str, str | bytes] = {
    "dtd": "<!DOCTYPE message>" + MESSAGE,
    "dtd-in-a-stanza": "<message><!DOCTYPE x></message>",
    "entity-bomb": BOMB,
    "processing-instruction": "<?evil do?>" + MESSAGE,
    "processing-instruction-in-a-stanza": f"<message><body>{CANARY}<?evil do?></body></message>",
    "comment": "<!-- comment -->" + MESSAGE,
    "comment-in-a-stanza": f"<message><body>{CANARY}<!-- comment --></body></message>",
    "declaration-again": "<?xml version='1.0'?>" + MESSAGE,
    "invalid-utf8": said("").encode().replace(b"</body>", b"\xff\xfe</body>"),
    "overlong-utf8": said("").encode().replace(b"</body>", b"\xc0\xbc</body>"),
    "surrogate-utf8": said("").encode().replace(b"</body>", b"\xed\xa0\x80</body>"),
    "nul": said("\0"),
    "escape": said("\x1b[31m"),
    "escape-as-reference": said("&#27;"),
    "nul-as-reference": said("&#0;"),
    "surrogate-as-reference": said("&#xD800;"),
    "prefix-unbound": f"<message><evil:x/><body>{CANARY}</body></message>",
    "prefix-unbound-attribute": f"<message evil:x='1'><body>{CANARY}</body></message>",
    "entity-unknown": said("&nbsp;"),
    "attribute-twice": f"<message from='a@b.example' from='c@d.example'><body>{CANARY}</body></message>",
    "tags-crossed": f"<message><body>{CANARY}</message></body>",
    "text-between-stanzas": f"{CANARY}{MESSAGE}",
    "ampersand-bare": said("&"),
}
BAD = [
    Scenario(
        name,
        {"r": ("{good}", content)},
        command=LISTEN,
        within_s=8.0,
        text=name in ("comment", "nul"),
        footer=len(content) < BULK,
    )
    for name, content in (TOO_MUCH | ILL_FORMED).items()
]
# The presence of `listen` is not acknowledged yet; no message of the user's is at stake, so it is the server's fault.
BAD += [
    Scenario(f"{name}-before-the-ack", {"presence": content}, command=LISTEN, within_s=8.0)
    for name, content in {"comment": "<!-- comment -->", "depth-65": nested(65)}.items()
]


@pytest.mark.parametrize("scenario", BAD, ids=lambda scenario: scenario.name)
def test_bad_xml_ends_the_stream_in_bounded_memory(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert run.out == ""
        assert run.peak_kib < PEAK_KIB, f"{run.peak_kib} KiB"
        assert b"<stream:error>" in run.encrypted or not scenario.footer


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(
            f"after-a-good-one-{name}", {"r": "{good}" + MESSAGE.replace(CANARY, "good") + content}, command=LISTEN
        )
        for name, content in {"comment": "<!-- x -->", "too-deep": nested(65), "too-big": said("x" * 600_000)}.items()
    ],
    ids=lambda scenario: scenario.name,
)
def test_what_came_before_the_bad_xml_is_shown(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert run.out.count("good") == 1


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(f"taken-{name}", {"presence": content + said("").replace(CANARY, "the last")}, 0,
                 command=("listen", "-C", "1"))
        for name, content in {
            "depth-64": nested(64).replace("<message>", "<message xmlns='urn:other'>"),
            "attributes-256": "<presence " + " ".join(f"a{n}='{n}'" for n in range(256)) + "/>",
            "message-of-another-namespace": MESSAGE.replace("<message ", "<message xmlns='urn:other' "),
            "nonza-unknown": "<x xmlns='urn:other'><message xmlns='jabber:client'/></x>",
            "iq-answer-unasked": "<iq type='result' id='never-asked'/><iq type='error' id='x'/>",
            "iq-without-anything": "<iq/><iq type='get'/><iq type='x' id='1'/><iq type='get' id='2' from='@@/'/>",
        }.items()
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_what_is_strange_but_allowed_is_passed_over(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert len(run.out.splitlines()) == 1
        assert "the last" in run.out


STRANGE = {  # of a contact, through a good server: none of it may end the program
    "priority-of-two-signs": "<presence from='a@b.example'><priority>+-5</priority></presence>",
    "priority-of-5000-digits": f"<presence from='a@b.example'><priority>{'9' * 5000}</priority></presence>",
    "priority-of-other-digits": "<presence from='a@b.example'><priority>\u0665\u00b2</priority></presence>",
    "stamp-at-the-end-of-time": "<presence from='a@b.example'><delay xmlns='urn:xmpp:delay' "
                                "stamp='9999-12-31T23:59:59-14:00'/></presence>",
    "stamp-of-nonsense": "<presence from='a@b.example'><delay xmlns='urn:xmpp:delay' stamp='\u0669'/></presence>",
    "from-nobody": "<presence/>",
    "from-nonsense": "<presence from='@@//&#x9b;'><show>&#x202e;</show></presence>",
    "type-of-nonsense": "<presence from='a@b.example' type='&#x9b;2J'/>",
}  # fmt: skip


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(f"presence-{name}", {"presence": content}, 0, command=("listen", "-C", "1", "--only", "presence"),
                 text="nonsense" in name)
        for name, content in STRANGE.items()
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_a_contact_cannot_end_listen(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert json.loads(outcome.json.out)["kind"] == "presence"
    if outcome.text is not None:
        assert re.fullmatch("[^\x00-\x1f\x7f-\x9f]*\n", outcome.text.out)


MANY_MESSAGES = "".join(f"<message from='a@{DOMAIN}' id='m{n}'><body>number {n}</body></message>" for n in range(MANY))


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("messages-20000", {"presence": MANY_MESSAGES}, 0, command=("listen", "-C", str(MANY)),
                 answer_s=20, within_s=20),
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_many_messages_at_once_are_all_shown_in_order(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    bodies = [json.loads(line)["body"] for line in outcome.json.out.splitlines()]
    assert bodies == [f"number {n}" for n in range(MANY)]
    assert outcome.json.peak_kib < PEAK_KIB


PING_1K = f"<iq type='get' id='{'i' * 1000}'><ping xmlns='urn:xmpp:ping'/></iq>".encode()


@pytest.mark.parametrize(
    "scenario",
    [
        # A server that asks and asks and never reads an answer: the client must stop reading, or give up.
        Scenario("requests-unread", {"presence": SKIP, "r": flood(PING_1K, 60_000)}, (0, 69, 75, 76, 79),
                 ("tcp", "stream"), command=("listen", "-W", "5"), within_s=20, footer=False),
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_answers_that_nobody_reads_do_not_pile_up(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert run.peak_kib < PEAK_KIB, f"{run.peak_kib} KiB"
