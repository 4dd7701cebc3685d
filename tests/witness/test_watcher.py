"""The witness at work, on a stream without a network: whom it hears, what it believes, when it lets go."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Self

import pytest
from connection.paper import PaperDriver
from protocol.playbook import JULIET, NS, PASSWORD, feed, stream_at
from support.until import until

from xmppsh.connection.options import SessionOptions
from xmppsh.errors import DeadlineExceeded, ProtocolError
from xmppsh.model import Credentials, Jid
from xmppsh.protocol.table import State
from xmppsh.session.phase import Phase
from xmppsh.session.ports import Interceptor
from xmppsh.witness import judgement
from xmppsh.witness import watcher as watcher_module
from xmppsh.witness.announcer import witness_of
from xmppsh.witness.judgement import Tell
from xmppsh.witness.watcher import Failed, Watcher

WITNESS = witness_of(JULIET)
ME = "xmlns='xmppsh:witness:0'"
HURRY_S = 0.05  # for what takes seconds in life


class SilentServer:
    """Takes connections and says nothing; `left` is set when a client has given up."""

    def __init__(self) -> None:
        self.dialled, self.left = asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._on_client, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled.set()
        await reader.read()
        self.left.set()
        writer.close()


class OnPaper:
    """A witness whose own stream is on paper; what it dials for a takeover is a silent server."""

    def __init__(self, port: int, connect_timeout_s: float = 30.0) -> None:
        options = SessionOptions(
            JULIET, Credentials(PASSWORD), hosts=(("127.0.0.1", port),), connect_timeout_s=connect_timeout_s
        )
        self.news: list[Tell | Failed] = []
        self.changed = asyncio.Event()
        self.watcher = Watcher(options, lambda *_: None, self._tell, HURRY_S)
        self.driver = self.live(WITNESS)
        self.work = asyncio.get_running_loop().create_task(self.watcher.watch())

    def _tell(self, one: Tell | Failed) -> None:
        self.news.append(one)
        self.changed.set()

    def live(self, jid: Jid) -> PaperDriver:
        """A new stream with this address."""
        stream, _ = stream_at(State.BOUND)
        (told,) = feed(stream, f"<enabled xmlns='{NS['sm']}'/>")
        driver: Any = PaperDriver(stream)
        if self.watcher.session.phase is Phase.LIVE:
            self.watcher.session.on_cut()
        self.watcher.session.connection._on_live(driver, replace(told, jid=jid), None)  # type: ignore[arg-type, type-var]
        return driver  # type: ignore[no-any-return]

    async def close(self) -> None:
        self.work.cancel()
        await asyncio.gather(self.work, return_exceptions=True)
        await self.watcher.close()

    def hear(self, stanza: str) -> str:
        """Say something; what is written in answer to it."""
        self.driver.written = b""
        self.driver.hear(stanza)
        return self.driver.written.decode()

    def announce(self, sender: object = JULIET, content: str = "sm-id='sm1' h='3'") -> str:
        return self.hear(f"<iq type='set' id='a1' from='{sender}'><watch {ME} {content}/></iq>")

    async def asked(self) -> str:
        """What was written, once a check and the ping behind it are in it."""
        async with asyncio.timeout(5):
            while True:
                text = self.driver.written.decode()
                if "<ping" in text:
                    self.driver.written = b""
                    return text
                await asyncio.sleep(0.001)

    async def silent_until(self, event: str) -> None:
        """The session is silent and the server answers every ping, until this is told."""
        async with asyncio.timeout(10):
            while not any(isinstance(one, Tell) and one.event == event for one in self.news):
                self.answer_pings()
                await asyncio.sleep(0.005)

    def answer_pings(self) -> None:
        text, self.driver.written = self.driver.written.decode(), b""
        for piece in text.split("<iq ")[1:]:
            if "urn:xmpp:ping" in piece:
                stanza_id = piece.partition('id="')[2].partition('"')[0]
                self.driver.hear(f"<iq type='result' id='{stanza_id}' from='example.org'/>")


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgement, "PATIENCE_S", HURRY_S)


@pytest.fixture
async def silent() -> AsyncIterator[SilentServer]:
    async with SilentServer() as server:
        yield server


@pytest.fixture
async def witness(silent: SilentServer) -> AsyncIterator[OnPaper]:
    witness = OnPaper(silent.port)
    yield witness
    await witness.close()


def id_of(text: str, payload: str) -> str:
    """The id of the IQ with this payload."""
    return text.partition(payload)[0].rpartition(' id="')[2].partition('"')[0]


def events(witness: OnPaper) -> list[str]:
    return [one.event for one in witness.news if isinstance(one, Tell)]


async def test_a_session_of_the_account_is_watched_and_told_so(witness: OnPaper) -> None:
    watching = '<watching xmlns="xmppsh:witness:0" interval="1"/>'
    assert f'<iq type="result" id="a1" to="{JULIET}">{watching}</iq>' in witness.announce()
    text = await witness.asked()
    assert f'to="{JULIET}"><alive xmlns="xmppsh:witness:0" sm-id="sm1"/></iq><iq' in text


@pytest.mark.parametrize(
    "sender",
    ["romeo@example.net/orchard", "juliet@example.org", "juliet@example.net/balcony", "example.org", "example.org/x"],
)
async def test_nobody_else_is_watched(witness: OnPaper, sender: str) -> None:
    assert "service-unavailable" in witness.announce(sender)
    assert "service-unavailable" in witness.hear(f"<iq type='get' id='q' from='{sender}'><closed {ME} sm-id='x'/></iq>")
    assert events(witness) == []


@pytest.mark.parametrize(
    "content", ["", "sm-id='' h='0'", "sm-id='x'", "sm-id='x' h='-1'", "sm-id='x' h='4294967296'", "h='0'"]
)
async def test_an_announcement_that_tells_nothing_is_refused(witness: OnPaper, content: str) -> None:
    assert "<bad-request" in witness.announce(content=content)
    assert "<bad-request" in witness.announce(content=f"sm-id='{'x' * 1025}' h='0'")
    assert events(witness) == []


async def test_one_session_too_many_is_told_to_come_later(witness: OnPaper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgement, "MAX_WATCHED", 1)
    witness.announce()
    text = witness.announce(f"{JULIET.bare}/phone", "sm-id='sm2' h='0'")
    assert "<resource-constraint" in text
    assert 'type="wait"' in text


async def test_a_server_that_chooses_the_address_cannot_have_a_witness(witness: OnPaper) -> None:
    with pytest.raises(ProtocolError, match=r"instead of juliet@example\.org/xmppsh-witness"):
        witness.live(JULIET)


@pytest.mark.usefixtures("hurry")
async def test_only_the_server_itself_can_prove_that_a_check_was_delivered(witness: OnPaper) -> None:
    witness.announce()
    text = await witness.asked()
    stanza_id = id_of(text, "<ping")
    for sender in (f"{JULIET.bare}/other", "romeo@example.net", "example.net"):
        witness.hear(f"<iq type='result' id='{stanza_id}' from='{sender}'/>")
    await asyncio.sleep(5 * HURRY_S)
    assert "silent" not in events(witness)
    witness.hear(f"<iq type='result' id='{stanza_id}' from='example.org'/>")
    await witness.silent_until("silent")


@pytest.mark.usefixtures("hurry")
async def test_only_the_session_itself_and_only_its_check_end_the_watch(witness: OnPaper) -> None:
    witness.announce()
    text = await witness.asked()
    stanza_id = id_of(text, "<alive")
    error = f"<error type='cancel'><service-unavailable xmlns='{NS['stanzas']}'/></error>"
    witness.hear(f"<iq type='error' id='{stanza_id}' from='{JULIET.bare}/other'>{error}</iq>")
    witness.hear(f"<iq type='error' id='other' from='{JULIET}'>{error}</iq>")
    assert events(witness) == ["watching"]
    witness.hear(f"<iq type='error' id='{stanza_id}' from='{JULIET}'>{error}</iq>")
    assert events(witness) == ["watching", "gone"]


@pytest.mark.usefixtures("hurry")
async def test_an_answer_to_an_old_check_is_a_sign_of_life(witness: OnPaper) -> None:
    witness.announce()
    text = await witness.asked()
    stanza_id = id_of(text, "<alive")
    witness.driver.written = text.encode()
    await witness.silent_until("silent")
    witness.hear(f"<iq type='result' id='{stanza_id}' from='{JULIET}'><alive {ME} sm-id='sm1' h='4'/></iq>")
    assert events(witness)[-1] == "alive"


@pytest.mark.usefixtures("hurry")
async def test_a_session_that_answers_during_its_takeover_is_let_go(witness: OnPaper, silent: SilentServer) -> None:
    witness.announce()
    await witness.silent_until("silent")
    async with asyncio.timeout(5):
        while not silent.dialled.is_set():
            witness.answer_pings()
            await asyncio.sleep(0.005)
        witness.hear(f"<iq type='get' id='q1' from='{JULIET.bare}/new'><closed {ME} sm-id='sm1'/></iq>")
        text = witness.hear(f"<message type='headline' from='{JULIET}'><alive {ME} sm-id='sm1' h='4'/></message>")
        await silent.left.wait()
    assert "<item-not-found" in text, "who asked how it ended hears that it did not"
    assert events(witness)[-1] == "alive"
    assert not any(isinstance(one, Failed) for one in witness.news)


@pytest.mark.usefixtures("hurry")
async def test_a_takeover_that_fails_is_told_and_the_session_stays_under_watch(silent: SilentServer) -> None:
    witness = OnPaper(silent.port, connect_timeout_s=0.2)
    try:
        witness.announce()
        async with asyncio.timeout(10):
            while not any(isinstance(one, Failed) for one in witness.news):
                witness.answer_pings()
                await asyncio.sleep(0.005)
        (failed,) = (one for one in witness.news if isinstance(one, Failed))
        assert (failed.jid, type(failed.error)) == (JULIET, DeadlineExceeded)
        assert 'sm-id="sm1"/>' in await witness.asked()
    finally:
        await witness.close()


@pytest.mark.usefixtures("hurry")
async def test_who_asked_on_a_former_stream_is_answered_on_the_next_one(silent: SilentServer) -> None:
    witness = OnPaper(silent.port, connect_timeout_s=0.3)
    try:
        witness.announce()
        async with asyncio.timeout(5):
            while not silent.dialled.is_set():
                witness.answer_pings()
                await asyncio.sleep(0.005)
        witness.hear(f"<iq type='get' id='q1' from='{JULIET.bare}/new'><closed {ME} sm-id='sm1'/></iq>")
        witness.watcher.session.connection.driver = None  # the link is cut
        await until(lambda: any(isinstance(one, Failed) for one in witness.news), "the takeover fails")
        witness.driver = witness.live(WITNESS)
        assert '<iq type="error" id="q1"' in witness.driver.written.decode()
    finally:
        await witness.close()


async def test_a_witness_that_is_asked_to_make_way_ends_its_stream_and_stays_away_for_a_while(
    witness: OnPaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "AWAY_S", 0.2)
    before = asyncio.get_running_loop().time()
    assert '<iq type="result" id="m1"' in witness.hear(f"<iq type='set' id='m1' from='{JULIET}'><aside {ME}/></iq>")
    await until(lambda: witness.watcher.session.is_cut, "it ends its stream")
    await witness.watcher.before_connecting()
    assert asyncio.get_running_loop().time() - before >= 0.2


async def test_nothing_is_written_on_a_stream_that_ends(witness: OnPaper) -> None:
    await witness.watcher.session.begin_anew(0)
    witness.driver.carry_out(witness.driver.stream.close())
    for stanza in (
        f"<iq type='set' id='m1' from='{JULIET}'><aside {ME}/></iq>",
        f"<iq type='get' id='p' from='{JULIET}'/>",
    ):
        assert witness.hear(stanza) == ""
    assert witness.announce() == ""


async def test_a_new_stream_asks_everybody_anew(witness: OnPaper) -> None:
    witness.announce()
    await witness.asked()
    witness.driver = witness.live(WITNESS)
    assert 'sm-id="sm1"/>' in await witness.asked()


def test_a_session_that_runs_its_interceptors_does_not_watch_a_second_time() -> None:
    # Two loops would wake each other without an end: a witness that has nothing to do took a whole processor.
    assert Watcher.run is Interceptor.run
