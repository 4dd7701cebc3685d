"""Messages that came together are shown as each would be by itself, whatever is in them."""

import json
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from xmppsh.output import together
from xmppsh.output.ndjson import dumps
from xmppsh.output.records import MessageRecord, record
from xmppsh.xmlio.arriving import ArrivalReader
from xmppsh.xmlio.reader import Run
from xmppsh.xmlio.runs import starts_of
from xmppsh.xmlio.splitter import Limits

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
OWN = "me@example.net"
CONTENTS = [
    "",
    "<body/>",
    "<body></body>",
    "<body>a</body><body xml:lang='de'>b</body>",
    "<body xml:lang='en'>a</body>",
    " <body>a</body>",
    "<body>a</body>\n",
    "<body>a\r\nb\rc</body>",
    "<body>&#13;&#x200b;</body>",
    "<body>a<b/>c</body>",
    "<body>a</body><thread>t</thread><subject>s</subject>",
    "<body>a</body><delay xmlns='urn:xmpp:delay' stamp='2025-01-01T00:00:00Z'/>",
    "<body>a</body><delay xmlns='urn:xmpp:delay' from='example.net' stamp='2025-01-01T00:00:00Z'>x</delay>",
    "<body>a</body><encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2'/>",
    "<body>a</body><encrypted xmlns='urn:xmpp:omemo:2'/>",
    "<body>a</body><x xmlns='jabber:x:oob'><url>https://example.net/</url></x>",
    "<body>a</body><x a=\" xmlns='urn:b'\" xmlns='urn:c'/>",
    "<body>a</body><x xmlns='urn:&lt;'/>",
    "<body>a</body><x xmlns='urn:a\tb'/>",
    "<body>a</body><x/>",
    "<body>a</body><x:y xmlns:x='urn:x'/>",
    "<active xmlns='http://jabber.org/protocol/chatstates'/>",
]
BODIES = st.text(st.sampled_from("ab \n\t\"\\'&<>é\u202e\x7f\U0001f600%{}"), max_size=12).map(
    lambda text: "<body>" + text.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;") + "</body>"
)
EXTENSIONS = st.lists(
    st.sampled_from(
        [
            "<stanza-id xmlns='urn:xmpp:sid:0' by='me@example.net' id='7'/>",
            '<origin-id id="o" xmlns="urn:xmpp:sid:0" />',
            "<request xmlns='urn:xmpp:receipts'/>",
        ]
    ),
    max_size=3,
).map("".join)
ATTRIBUTES = st.lists(
    st.sampled_from(
        [" from='a@b/\"c'", " to='me@example.net'", " type='groupchat'", " type=''", " id='@id@'", " xml:lang='de'"]
    ),
    max_size=4,
    unique_by=lambda one: one.partition("=")[0],
).map("".join)
MESSAGES = st.builds(
    lambda attributes, content: f"<message{attributes}>{content}</message>",
    ATTRIBUTES,
    st.sampled_from(CONTENTS) | st.builds(str.__add__, BODIES, EXTENSIONS),
)


def run_of(messages: list[str]) -> Run:
    reader = ArrivalReader(Limits())
    reader.feed_until_error(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
    reader.by_the_run = True
    first = "<message from='first'></message>"
    items, error = reader.feed_until_error((first + "".join(messages)).encode())
    assert error is None
    run = items[-1]
    assert isinstance(run, Run)
    assert run.messages == messages
    return run


def alone(run: Run, at: int) -> MessageRecord:
    found = record(run.element(at), lambda: NOW, OWN)
    assert isinstance(found, MessageRecord)
    return found


@settings(max_examples=40, deadline=None)
@given(st.lists(MESSAGES, min_size=8, max_size=20), st.integers(0, 7))
def test_records_and_lines_are_those_of_each_by_itself(messages: list[str], start: int) -> None:
    run, span = run_of(messages), slice(start, start + 10)
    wanted = [alone(run, at) for at in range(len(messages))][span]
    for starts in (run.starts, starts_of(run.messages)):
        assert together.records(run.messages[span], starts[span], lambda: NOW, OWN) == wanted
    lines = together.lines(run.messages[span], run.starts[span], lambda: NOW, OWN)
    assert [one if isinstance(one, str) else dumps(one.data()) for one in lines] == [
        dumps(one.data()) for one in wanted
    ]


def test_usual_messages_are_not_parsed_again() -> None:
    usual = "<message from='a@b/c' to='d@e' type='chat' id='1'><body>x &lt; y</body><a xmlns='urn:a'/></message>"
    run = run_of([usual] * 8)
    found = together.lines(run.messages, run.starts, lambda: NOW, OWN)
    (one,) = {json.loads(line)["body"] for line in found if isinstance(line, str)}
    assert (len(found), one) == (8, "x < y")


def test_what_looks_like_a_place_of_the_form_is_text() -> None:
    odd = "<message from='&quot;id&quot;: @stamp@' id='@body@'><body>\"id\": \"@id@\", %s @stamp@</body></message>"
    plain = odd.replace("&quot;", "")
    run = run_of([plain] * 8)
    (line, *_) = together.lines(run.messages, run.starts, lambda: NOW, OWN)
    assert json.loads(str(line)) == json.loads(dumps(replace(alone(run, 0)).data()))
