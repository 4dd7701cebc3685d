"""An answer counts only with the right id and from the right address; every request gets an answer of ours."""

import asyncio

import pytest

from xmppsh.errors import ConnectionLost
from xmppsh.model import Element, Jid
from xmppsh.session.requests import Requests
from xmppsh.session.responder import response_to
from xmppsh.xmlio.reader import read_element, tree

OWN = Jid.parse("juliet@example.org/balcony")


def answer(sender: str | None, *, stanza_id: str = "q1", kind: str = "result") -> Element:
    address = "" if sender is None else f" from='{sender}'"
    return read_element(f"<iq type='{kind}' id='{stanza_id}'{address}/>")


ASKED = {
    None: [None, "juliet@example.org", "juliet@example.org/balcony", "example.org"],
    "juliet@example.org": [None, "juliet@example.org", "juliet@example.org/balcony", "example.org"],
    "example.org": [None, "juliet@example.org", "juliet@example.org/balcony", "example.org"],
    "romeo@example.net": ["romeo@example.net", "Romeo@Example.NET"],
    "romeo@example.net/orchard": ["romeo@example.net/orchard"],
    "conference.example.org": ["conference.example.org"],
}
SPOOFERS = [
    *(None, "", "juliet@example.org", "juliet@example.org/balcony", "juliet@example.org/other", "example.org"),
    *("romeo@example.net", "romeo@example.net/orchard", "romeo@example.net/other", "example.net", "Romeo@Example.NET"),
    *("mallory@evil.example", "juliet@example.org.evil.example", "conference.example.org", "example.org/x", "@", "/"),
    *("juliet@example.orgx", "xjuliet@example.org", "juliet@example.org/balcon", "juliet%example.org"),
]


@pytest.mark.parametrize("asked", ASKED)
async def test_only_who_was_asked_can_answer(asked: str | None) -> None:
    for sender in SPOOFERS:
        requests = Requests()
        future = requests.add("q1", None if asked is None else Jid.parse(asked))
        genuine = (sender or None) in ASKED[asked]
        assert requests.answer(answer(sender), OWN) is genuine, sender
        assert future.done() is genuine, sender
        future.cancel()


@pytest.mark.parametrize("kind", ["result", "error"])
async def test_an_answer_is_a_result_or_an_error(kind: str) -> None:
    requests = Requests()
    future = requests.add("q1", Jid.parse("romeo@example.net"))
    stanza = answer("romeo@example.net", kind=kind)
    assert requests.answer(stanza, OWN)
    assert await future is stanza


@pytest.mark.parametrize("kind", ["get", "set", "chat"])
async def test_a_request_with_the_same_id_is_no_answer(kind: str) -> None:
    requests = Requests()
    future = requests.add("q1", Jid.parse("romeo@example.net"))
    assert not requests.answer(answer("romeo@example.net", kind=kind), OWN)
    future.cancel()


async def test_an_answer_with_another_id_is_none() -> None:
    requests = Requests()
    future = requests.add("q1", None)
    for stanza in (answer(None, stanza_id="q2"), answer(None, stanza_id=""), read_element("<iq type='result'/>")):
        assert not requests.answer(stanza, OWN)
    future.cancel()


async def test_each_answer_goes_to_its_own_request() -> None:
    requests = Requests()
    futures = {name: requests.add(name, None) for name in ("a", "b", "c")}
    for name in ("c", "a", "b"):
        requests.answer(answer(None, stanza_id=name), OWN)
    assert [(await future).id for future in futures.values()] == ["a", "b", "c"]


async def test_a_request_is_forgotten_when_it_is_answered_or_given_up() -> None:
    requests = Requests()
    answered, given_up = requests.add("q1", None), requests.add("q2", None)
    assert len(requests) == 2
    requests.answer(answer(None), OWN)
    await answered
    given_up.cancel()
    await asyncio.sleep(0)
    assert len(requests) == 0
    assert not requests.answer(answer(None), OWN)


async def test_at_the_end_of_the_session_every_open_request_fails() -> None:
    requests = Requests()
    futures = [requests.add("q1", None), requests.add("q2", None)]
    requests.fail(ConnectionLost("gone"))
    for future in futures:
        with pytest.raises(ConnectionLost):
            await future


# ── What we answer by ourselves ─────────────────────────────────────────────────────────────────────────────────


def test_a_ping_is_answered() -> None:
    ping = "<iq type='get' id='p&quot;1' from='a@b/c'><ping xmlns='urn:xmpp:ping'/></iq>"
    assert response_to(read_element(ping)) == '<iq type="result" id="p&quot;1" to="a@b/c"/>'


@pytest.mark.parametrize("request_xml", [
    "<iq type='get' id='1' from='a@b/c'><query xmlns='jabber:iq:unknown'/></iq>",
    "<iq type='set' id='1' from='a@b/c'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<iq type='get' id='1' from='a@b/c'><ping xmlns='urn:other'/></iq>",
    "<iq type='get' id='1' from='a@b/c'/>",
])  # fmt: skip
def test_anything_else_is_refused_politely(request_xml: str) -> None:
    refused = tree(read_element(response_to(read_element(request_xml))))
    assert (refused.get("type"), refused.get("id"), refused.get("to")) == ("error", "1", "a@b/c")
    error = refused[0]
    assert (error.tag, error.get("type")) == ("{jabber:client}error", "cancel")
    assert error[0].tag == "{urn:ietf:params:xml:ns:xmpp-stanzas}service-unavailable"


def test_the_server_s_own_request_is_answered_without_an_address() -> None:
    ping = "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"
    assert response_to(read_element(ping)) == '<iq type="result" id="1"/>'
