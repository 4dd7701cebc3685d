"""An answer counts only with the right id and from the right address; every request gets an answer of ours."""

import asyncio

import pytest

from xmppsh.errors import ConnectionLost, StanzaError
from xmppsh.model import Element, Jid
from xmppsh.session.requests import MAX_ASKED, MAX_FENCES, Requests, fences
from xmppsh.session.responder import response_to
from xmppsh.xmlio.build import Xml
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


class Asker:
    """Who asks, and keeps what was sent."""

    jid, timeout_s = OWN, 5.0

    def __init__(self) -> None:
        self.sent: list[Xml] = []
        self.requests = Requests(self)

    def send_iq(self, stanza: Xml) -> None:
        self.sent.append(stanza)

    def send_ahead(self, stanza: Xml) -> None:
        self.sent.insert(0, stanza)

    async def ask(self, to: str | None, stanza_id: str = "q1") -> asyncio.Task[Element]:
        """A request that is open."""
        jid = None if to is None else Jid.parse(to)
        task = asyncio.ensure_future(self.requests.exchange_stanza(Xml("<iq/>"), stanza_id, jid))
        await asyncio.sleep(0)
        return task


@pytest.mark.parametrize("asked", ASKED)
async def test_only_who_was_asked_can_answer(asked: str | None) -> None:
    for sender in SPOOFERS:
        asker = Asker()
        task = await asker.ask(asked)
        genuine = (sender or None) in ASKED[asked]
        assert asker.requests.answer(answer(sender)) is genuine, sender
        task.cancel()


@pytest.mark.parametrize("kind", ["result", "error"])
async def test_an_answer_is_a_result_or_an_error(kind: str) -> None:
    asker = Asker()
    task = await asker.ask("romeo@example.net")
    stanza = answer("romeo@example.net", kind=kind)
    assert asker.requests.answer(stanza)
    assert await task is stanza


@pytest.mark.parametrize("kind", ["get", "set", "chat"])
async def test_a_request_with_the_same_id_is_no_answer(kind: str) -> None:
    asker = Asker()
    task = await asker.ask("romeo@example.net")
    assert not asker.requests.answer(answer("romeo@example.net", kind=kind))
    task.cancel()


async def test_an_answer_with_another_id_is_none() -> None:
    asker = Asker()
    task = await asker.ask(None)
    for stanza in (answer(None, stanza_id="q2"), answer(None, stanza_id=""), read_element("<iq type='result'/>")):
        assert not asker.requests.answer(stanza)
    task.cancel()


async def test_each_answer_goes_to_its_own_request() -> None:
    asker = Asker()
    tasks = {name: await asker.ask(None, name) for name in ("a", "b", "c")}
    for name in ("c", "a", "b"):
        asker.requests.answer(answer(None, stanza_id=name))
    assert [(await task).id for task in tasks.values()] == ["a", "b", "c"]


async def test_a_request_is_forgotten_when_it_is_answered_or_given_up() -> None:
    asker = Asker()
    answered, given_up = await asker.ask(None), await asker.ask(None, "q2")
    assert asker.requests.answer(answer(None))
    await answered
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    assert not asker.requests.answer(answer(None))
    assert not asker.requests.answer(answer(None, stanza_id="q2"))


async def test_at_the_end_of_the_session_every_open_request_fails() -> None:
    asker = Asker()
    tasks = [await asker.ask(None), await asker.ask(None, "q2")]
    asker.requests.fail(ConnectionLost("gone"))
    for task in tasks:
        with pytest.raises(ConnectionLost):
            await task


async def test_an_error_is_raised_by_request_and_given_by_exchange() -> None:
    asker = Asker()
    request = asyncio.ensure_future(asker.requests.request("get", Jid.parse("a@b"), None))
    await asyncio.sleep(0)
    stanza_id = read_element(asker.sent[0]).id or ""
    asker.requests.answer(answer("a@b", stanza_id=stanza_id, kind="error"))
    with pytest.raises(StanzaError):
        await request


async def test_a_question_to_our_own_account_goes_before_what_is_queued() -> None:
    asker = Asker()
    asker.sent.append(Xml("<message/>"))
    task = asyncio.ensure_future(asker.requests.ask_own("get", Xml("<prefs/>")))
    await asyncio.sleep(0)
    assert asker.sent[0].startswith("<iq")
    task.cancel()


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


async def test_a_fence_on_a_session_that_is_lost_proves_nothing() -> None:
    for lost in (True, False):
        asker = Asker()
        fence = asyncio.ensure_future(asker.requests.fence({"example.org"}))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        (asked,) = asker.sent
        if lost:
            asker.requests.fail(ConnectionLost("the session was lost"))
        else:
            stanza_id = read_element(asked).id
            assert asker.requests.answer(answer("example.org", stanza_id=stanza_id or "", kind="error"))
        assert await fence is not lost


def test_who_is_asked_for_bounces_is_our_server_or_the_address_itself_and_of_very_many_their_domain() -> None:
    own = Jid.parse("alice@here/x")
    asked = fences(("bob@here/phone", "room@rooms.here/nick", "room@rooms.here", "carol@afar", "@", "news.afar"), own)
    assert asked == set(map(Jid.parse, ("here", "room@rooms.here", "carol@afar", "news.afar")))
    asked = fences((f"user{number}@afar" for number in range(MAX_ASKED + 50)), own)
    assert len(asked) == MAX_ASKED + 1
    assert Jid.parse("afar") in asked
    assert len(fences((f"user@afar{number}" for number in range(MAX_FENCES + 50)), own)) == MAX_FENCES
