"""Records for people, templates, and the trace without secrets."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from xmppsh.errors import UsageError
from xmppsh.output.printer import Printer
from xmppsh.output.records import StanzaRecord, clock, record
from xmppsh.output.template import compiled
from xmppsh.output.trace import Trace, masked
from xmppsh.xmlio.reader import Footer, Header, read_element

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
XML = (
    "<message from='romeo@example.net/orchard' to='juliet@example.org' type='chat' id='7'>"
    "<body>But soft!</body><subject>Light</subject></message>"
)


def of(xml: str) -> StanzaRecord:
    return record(read_element(xml), lambda: NOW)


TEMPLATES = {
    "%f": "romeo@example.net/orchard",
    "%F": "romeo@example.net",
    "%t": "juliet@example.org",
    "%T": "chat",
    "%i": "7",
    "%b": "But soft!",
    "%s": "Light",
    "%x": XML,
    "%I": "2026-11-22T16:30:00.000Z",
    "%%": "%",
    "%%b": "%b",
    "a\\nb\\tc": "a\nb\tc",
    "\\\\n": "\\n",
    "\\q": "\\q",
    "100%": "100%",
    "": "",
    "%F: %b\\n": "romeo@example.net: But soft!\n",
}


@pytest.mark.parametrize(("text", "expected"), TEMPLATES.items())
def test_a_template_is_filled_in(text: str, expected: str) -> None:
    assert compiled(text)(of(XML).data(), XML) == expected


def test_the_json_verb_is_the_whole_record() -> None:
    assert json.loads(compiled("%j")(of(XML).data(), XML)) == of(XML).data()


@pytest.mark.parametrize("xml", ["<message/>", "<presence/>", "<iq type='get' id='1'/>"])
def test_what_a_record_lacks_is_empty_in_a_template(xml: str) -> None:
    assert compiled("[%f%F%t%b%s]")(of(xml).data(), xml) == "[]"


def test_a_value_is_never_read_as_a_template() -> None:
    xml = "<message><body>%f \\n %% \\1</body></message>"
    assert compiled("%b")(of(xml).data(), xml) == "%f \\n %% \\1"


@pytest.mark.parametrize(("text", "verb"), [("%q", "%q"), ("%b %z", "%z"), ("% b", "% "), ("%\n", "%\n")])
def test_an_unknown_verb_is_refused(text: str, verb: str) -> None:
    with pytest.raises(UsageError) as caught:
        compiled(text)
    assert str(caught.value) == f"-F: {verb} is not a verb"
    assert caught.value.hint == "one of %f %F %t %T %i %b %s %x %I %j %%"


LINES = {
    XML: "2026-11-22 16:30:00 romeo@example.net/orchard: [Light] But soft!",
    "<message from='a@b'><body>one\ntwo</body></message>": "2026-11-22 16:30:00 a@b: one\n  two",
    "<message from='a@b'><subject>only</subject></message>": "2026-11-22 16:30:00 a@b: [only] (empty)",
    "<message from='a@b'><x xmlns='urn:x'/></message>": "2026-11-22 16:30:00 a@b: ({urn:x}x)",
    "<message from='a@b' type='error'><body>x</body></message>": "2026-11-22 16:30:00 a@b: (error) x",
    "<presence from='a@b/c'/>": "2026-11-22 16:30:00 a@b/c is available",
    "<presence from='a@b'><show>dnd</show><status>n</status></presence>": "2026-11-22 16:30:00 a@b is available dnd n",
    "<iq type='get' id='1' from='a@b'><q xmlns='urn:q'/></iq>": "a@b iq get {urn:q}q",
    "<iq type='result' id='1' from='a@b'/>": "a@b iq result empty",
}


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Put us into a time zone."""

    def be_in(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield be_in
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("xml", "line"), LINES.items())
def test_a_record_is_shown_as_a_line(zone: Callable[[str], None], xml: str, line: str) -> None:
    zone("UTC")
    assert of(xml).text() == line


def test_the_time_is_ours_and_has_its_date_when_it_is_not_of_today(zone: Callable[[str], None]) -> None:
    zone("XXX-5:30")
    assert clock("2026-11-22T20:30:00.000Z") == "2026-11-23 02:00:00"
    now = datetime.now(UTC)
    assert clock(now.isoformat()) == now.astimezone().strftime("%H:%M:%S")
    assert clock("0001-01-01T00:00:00Z")


STAMPS = {
    "<delay xmlns='urn:xmpp:delay' stamp='2020-01-02T03:04:05Z'/>": "2020-01-02T03:04:05.000Z",
    "<x xmlns='jabber:x:delay' stamp='20200102T03:04:05'/>": "2020-01-02T03:04:05.000Z",
    "<x xmlns='jabber:x:delay' stamp='20200102T03:04:05'/><delay xmlns='urn:xmpp:delay' stamp='2021-01-02T03:04:05Z'/>":
        "2021-01-02T03:04:05.000Z",
    "<x xmlns='jabber:x:delay'/>": "2026-11-22T16:30:00.000Z",
}  # fmt: skip


@pytest.mark.parametrize(("delay", "stamp"), STAMPS.items())
def test_the_stamp_is_that_of_the_newer_protocol(delay: str, stamp: str) -> None:
    assert of(f"<message>{delay}</message>").stamp == stamp  # type: ignore[union-attr]


RISKY = "\u202e\u200b\u0085\u009b\U000e0041"


@pytest.mark.parametrize("xml", [
    f"<message from='a@b/{RISKY}' type='{RISKY}'><body>{RISKY}&#13;</body><subject>{RISKY}&#10;</subject></message>",
    f"<message from='a@b'><x xmlns='urn:{RISKY}'/></message>",
    f"<presence from='a@b/{RISKY}' type='{RISKY}'><show>{RISKY}&#10;</show><status>{RISKY}&#10;</status></presence>",
    f"<iq from='a@b/{RISKY}' type='{RISKY}&#10;' id='1'><q xmlns='urn:{RISKY}'/></iq>",
])  # fmt: skip
def test_nothing_that_a_terminal_obeys_is_shown_of_any_part(xml: str) -> None:
    line = of(xml).text()
    assert line.isprintable()
    assert "\\u202e" in line


# ── Trace ───────────────────────────────────────────────────────────────────────────────────────────────────────

SECRETS = {
    "<auth xmlns='x' mechanism='PLAIN'>SECRET</auth>": "<auth xmlns='x' mechanism='PLAIN'>***</auth>",
    "<response xmlns='x'>SECRET</response>": "<response xmlns='x'>***</response>",
    "<challenge xmlns='x'>SECRET</challenge>": "<challenge xmlns='x'>***</challenge>",
    "<success xmlns='x'>SECRET</success>": "<success xmlns='x'>***</success>",
    "<s:auth xmlns:s='x'>SECRET</s:auth>": "<s:auth xmlns:s='x'>***</s:auth>",
    "<query><username>a</username><password>SECRET</password></query>":
        "<query><username>a</username><password>***</password></query>",
    "<conference password='SECRET' jid='a'/>": '<conference password="***" jid=\'a\'/>',
    '<token xmlns="urn:xmpp:fast:0" token="SECRET"/>': '<token xmlns="urn:xmpp:fast:0" token="***"/>',
    "<initial-response>SECRET</initial-response>": "<initial-response>***</initial-response>",
    "<message><body>auth &lt;password&gt; open</body></message>":
        "<message><body>auth &lt;password&gt; open</body></message>",
    "<auth/><body>open</body>": "<auth/><body>open</body>",
    "<success xmlns='x'/><body>open</body>": "<success xmlns='x'/><body>open</body>",
}  # fmt: skip


@pytest.mark.parametrize(("xml", "expected"), SECRETS.items())
def test_secrets_are_masked_in_a_trace(xml: str, expected: str) -> None:
    assert masked(xml) == expected


@pytest.mark.parametrize("xml", [
    "<password><![CDATA[SECRET]]></password>",
    "<password><x/>SECRET</password>",
    "<x type='submit'><field var='password'><value>SECRET</value></field></x>",
    "<x><field var='muc#roomconfig_roomsecret'><value>SECRET</value></field></x>",
    "<put url='u'><header name='Authorization'>Bearer SECRET</header></put>",
    "<watch xmlns='xmppsh:witness:0' sm-id='SECRET' h='0'/>",
])  # fmt: skip
def test_secrets_in_other_places_are_masked_too(xml: str) -> None:
    assert "SECRET" not in masked(xml)


def test_what_fills_in_a_registration_is_not_shown_whatever_the_server_calls_its_fields() -> None:
    lines: list[str] = []
    form = "<x xmlns='jabber:x:data' type='submit'><field var='pw'><value>SECRET</value></field></x>"
    stanza = f"<iq type='set' id='1'><query xmlns='jabber:iq:register'>{form}</query></iq>"
    Trace(lines.append).sent(stanza.encode(), secret=False)
    assert "var='pw'" in lines[0]
    assert "SECRET" not in lines[0]


def test_a_trace_has_a_line_for_each_piece_and_its_direction() -> None:
    lines: list[str] = []
    trace = Trace(lines.append)
    trace.sent(b"<auth xmlns='x'>SECRET</auth>", secret=True)
    trace.sent(b"<message><body>open</body></message>", secret=False)
    trace.received(Header("{http://etherx.jabber.org/streams}stream", {"id": "a<b", "{urn:x}y": "z"}))
    trace.received(read_element("<challenge xmlns='x'>SECRET</challenge>"))
    trace.received(Footer())
    assert lines == [
        "> <auth xmlns='x'>***</auth>\n",
        "> <message><body>open</body></message>\n",
        '< <stream:stream id="a&lt;b">\n',
        "< <challenge xmlns='x'>***</challenge>\n",
        "< </stream:stream>\n",
    ]


@pytest.mark.parametrize(
    ("form", "template", "for_all", "shows_all"),
    [
        ("text", None, True, False),
        ("xml", None, True, False),
        ("json", None, True, True),
        ("text", "%i", True, True),
        ("text", "%b", False, False),
        ("json", "%b", False, True),
    ],
)
def test_what_stands_beside_stanzas_is_shown_where_it_has_the_form_that_was_asked_for(
    form: str, template: str | None, for_all: bool, shows_all: bool
) -> None:
    assert Printer(form, template, for_all=for_all).shows_all == shows_all
