"""A session and its witness: what it tells, in which order, to whom; and what the final count settles."""

import asyncio
from typing import Any, Self

import pytest
from protocol.playbook import JULIET, NS
from session.test_recovery_session import Cut, PaperDriver, inbound

from xmppsh.errors import StreamError
from xmppsh.model import Element
from xmppsh.outbox.queue import Entry, Fate
from xmppsh.protocol.sm import MODULUS, Resumption, StreamManagement
from xmppsh.session import announce
from xmppsh.session.lost import LostSessions, proven
from xmppsh.xmlio.build import Xml
from xmppsh.xmlio.reader import read_element

WITNESS = f"{JULIET.bare}/xmppsh-witness"
ASK = f"<r xmlns='{NS['sm']}'/>"


def check(sm_id: str = "sm1", *, sender: str = WITNESS, last: bool = False, stanza_id: str = "c1") -> str:
    attribute = " last='true'" if last else ""
    content = f"<alive xmlns='xmppsh:witness:0' sm-id='{sm_id}'{attribute}/>"
    return f"<iq type='get' id='{stanza_id}' from='{sender}' to='{JULIET}'>{content}</iq>"


def written(driver: PaperDriver) -> str:
    """What was written since the last look."""
    text, driver.written = driver.written.decode(), b""
    return text


async def until_written(driver: PaperDriver, what: str) -> str:
    """What was written since the last look, once `what` is in it."""
    text = written(driver)
    async with asyncio.timeout(5):
        while what not in text:
            await asyncio.sleep(0)
            text += written(driver)
    return text


@pytest.fixture
async def session() -> Any:
    session = Cut()
    yield session
    await session.close(wait_s=0)


class Announced:
    """A live session whose announcer runs; `accept` lets the witness answer."""

    def __init__(self, session: Cut) -> None:
        self.session, self.driver = session, session.bound()
        self.task = asyncio.get_running_loop().create_task(session.attendant.run())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def announcement(self) -> str:
        """The id of the announcement that is written next."""
        text = await until_written(self.driver, "<watch")
        return text.partition(' id="')[2].partition('"')[0]

    async def accept(self, interval: str = "2") -> None:
        watching = f"<watching xmlns='xmppsh:witness:0' interval='{interval}'/>"
        self.driver.hear(f"<iq type='result' id='{await self.announcement()}' from='{WITNESS}'>{watching}</iq>")

    async def refuse(self) -> None:
        self.driver.hear(f"<iq type='error' id='{await self.announcement()}' from='{WITNESS}'/>")


@pytest.fixture
async def announced(session: Cut) -> Any:
    async with Announced(session) as announced:
        yield announced


# ── Checks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_answer_to_a_check_counts_the_check_as_the_next_ack_does(session: Cut) -> None:
    driver = session.bound()
    driver.hear(check() + ASK)
    text = written(driver)
    assert f'<iq type="result" id="c1" to="{WITNESS}"><alive xmlns="xmppsh:witness:0" sm-id="sm1" h="1"/></iq>' in text
    assert text.index("<alive") < text.index('<a xmlns="urn:xmpp:sm:3" h="1"/>')
    assert text.count("<alive") == 1, "the witness knows it already"


async def test_the_answer_never_counts_what_a_reader_still_holds(session: Cut) -> None:
    session.subscribe("message")
    driver = session.bound()
    driver.hear(inbound(1) + check())
    assert 'sm-id="sm1" h="0"' in written(driver)


async def test_a_check_reaches_no_reader(session: Cut) -> None:
    reader = session.subscribe("iq", "message")
    session.bound().hear(check() + inbound(1))
    assert (await anext(reader)).id == "in1"


@pytest.mark.parametrize(
    "sender",
    [f"{JULIET.bare}", f"{JULIET.bare}/other", "romeo@example.net/xmppsh-witness", "example.net/xmppsh-witness"],
)
async def test_nobody_but_the_witness_of_the_account_is_told_anything(session: Cut, sender: str) -> None:
    driver = session.bound()
    driver.hear(check(sender=sender, last=True))
    text = written(driver)
    assert "service-unavailable" in text
    assert "alive" not in text
    assert not session.attendant.explains(StreamError("conflict"))


async def test_a_check_of_another_session_is_refused(session: Cut) -> None:
    driver = session.bound()
    driver.hear(check("sm0"))
    assert "<item-not-found" in written(driver)


async def test_a_conflict_heals_only_behind_the_last_check_and_on_that_stream_alone(session: Cut) -> None:
    driver = session.bound()
    driver.hear(check())
    assert not session.attendant.explains(StreamError("conflict"))
    driver.hear(check(last=True))
    assert session.attendant.explains(StreamError("conflict"))
    assert not session.attendant.explains(StreamError("policy-violation"))
    session.cut()
    session.resumed(2)
    assert not session.attendant.explains(StreamError("conflict"))


# ── Announcements ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_each_stream_announces_its_session(announced: Announced) -> None:
    assert await announced.announcement()
    session = announced.session
    session.cut()
    announced.driver = session.resumed(0)
    assert await announced.announcement()
    session.cut()
    announced.driver = session.bound(failed_h=0)
    assert await announced.announcement()


@pytest.mark.parametrize("answer", ["refused", "silent"])
async def test_without_a_witness_it_is_looked_for_again(
    session: Cut, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr(announce, "ANNOUNCE_S", 0.01)
    async with Announced(session) as announced:
        for _ in range(5):
            await (announced.refuse() if answer == "refused" else announced.announcement())


async def test_a_witness_that_checks_is_left_in_peace_and_one_that_does_not_is_told_again(
    announced: Announced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announce, "MIN_QUIET_S", 0.2)
    await announced.accept("0")
    for number in range(20):
        announced.driver.hear(check(stanza_id=f"c{number}"))
        await asyncio.sleep(0.02)
        assert "<watch" not in written(announced.driver)
    assert await announced.announcement()


async def test_the_witness_hears_an_h_before_the_server(announced: Announced) -> None:
    await announced.accept()
    driver, reader = announced.driver, announced.session.subscribe("message")
    written(driver)
    driver.hear(inbound(1))
    await anext(reader)
    reader.done()
    driver.hear(ASK)
    text = written(driver)
    note = f'<message type="headline" to="{WITNESS}"><alive xmlns="xmppsh:witness:0" sm-id="sm1" h="2"/></message>'
    assert text.index(note) < text.index('<a xmlns="urn:xmpp:sm:3" h="2"/>')
    driver.hear(ASK)
    assert "<alive" not in written(driver), "it is told once"


async def test_a_witness_that_refused_hears_nothing_more(announced: Announced) -> None:
    await announced.refuse()
    announced.driver.hear(ASK)
    assert "xmppsh:witness" not in written(announced.driver)


async def test_a_witness_that_has_just_accepted_hears_what_the_server_knows_by_then(announced: Announced) -> None:
    driver, reader = announced.driver, announced.session.subscribe("message")
    announcement = await announced.announcement()
    driver.hear(inbound(1))
    await anext(reader)
    reader.done()
    driver.hear(ASK)
    assert "<alive" not in written(driver)
    driver.hear(f"<iq type='result' id='{announcement}' from='{WITNESS}'/>")
    assert 'sm-id="sm1" h="2"' in written(driver)


async def test_without_a_witness_no_note_is_written(session: Cut) -> None:
    driver, reader = session.bound(), session.subscribe("message")
    session.message("m1")
    await asyncio.sleep(0)
    driver.hear(inbound(1))
    await anext(reader)
    reader.done()
    driver.hear(ASK)
    assert "xmppsh:witness" not in written(driver)


async def test_a_session_whose_reader_lags_shows_by_itself_that_it_lives(
    announced: Announced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announce, "BUSY_S", 0.01)
    await announced.accept()
    announced.session.subscribe("message")
    big = Element("{jabber:client}message", {}, f"<message><body>{'x' * 5 * 1024 * 1024}</body></message>")
    announced.session.bus.publish(big, (announced.session.recovery.generation, 1))
    written(announced.driver)
    signs = 0
    async with asyncio.timeout(5):
        while signs < 5:
            await asyncio.sleep(0.01)
            text = written(announced.driver)
            assert "<watch" not in text
            signs += text.count('busy="true"')


# ── The final count ─────────────────────────────────────────────────────────────────────────────────────────────────


async def answered(driver: PaperDriver, content: str, kind: str = "result") -> None:
    """The witness answers the question how the session ended."""
    text = await until_written(driver, "<closed")
    stanza_id = text.partition("<closed")[0].rpartition(' id="')[2].partition('"')[0]
    driver.hear(f"<iq type='{kind}' id='{stanza_id}' from='{WITNESS}' to='{JULIET}'>{content}</iq>")
    for _ in range(5):
        await asyncio.sleep(0)


def closed(h: object) -> str:
    return f"<closed xmlns='xmppsh:witness:0' sm-id='sm1' h='{h}'/>"


async def test_the_count_of_the_witness_settles_what_it_covers_and_the_rest_goes_out_again(session: Cut) -> None:
    session.bound()
    for name in ("m1", "m2", "m3"):
        session.message(name)
    await asyncio.sleep(0)
    session.cut()
    driver = session.bound()
    await answered(driver, closed(2))
    assert session.acked_count == 2
    text = driver.written.decode()
    assert "id='m3'" in text
    assert "id='m2'" not in text
    assert "urn:xmpp:mam:2" not in text, "nothing is left to ask the archive"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("", "error"),
        (closed(4), "result"),
        (closed("many"), "result"),
        ("<closed xmlns='xmppsh:witness:0'/>", "result"),
    ],
    ids=["unknown", "too many", "no number", "without a count"],
)
async def test_what_the_witness_cannot_prove_is_left_to_the_archive(session: Cut, content: str, kind: str) -> None:
    session.bound()
    for name in ("m1", "m2", "m3"):
        session.message(name)
    await asyncio.sleep(0)
    session.cut()
    driver = session.bound()
    await answered(driver, content, kind)
    await until_written(driver, "urn:xmpp:mam:2")
    assert session.fates() == dict.fromkeys(("m1", "m2", "m3"), "uncertain")


def entries(*names: str) -> list[Entry]:
    return [Entry(n, Xml("<message/>"), "message", name, "", Fate.UNCERTAIN) for n, name in enumerate(names, 1)]


@pytest.mark.parametrize("acked", [0, 7, MODULUS - 1])
@pytest.mark.parametrize("handled", [0, 1, 3])
def test_a_final_count_proves_every_stanza(acked: int, handled: int) -> None:
    sm = StreamManagement.restored(Resumption("sm1"), acked=acked, sent=(acked + 3) % MODULUS, handled=0)
    fates = proven(entries("a", "b", "c"), sm, (acked + handled) % MODULUS)
    assert fates == [Fate.ACKED] * handled + [Fate.QUEUED] * (3 - handled)


@pytest.mark.parametrize("h", [None, 6, 11, MODULUS - 1])
def test_what_is_no_count_of_the_session_proves_nothing(h: int | None) -> None:
    sm = StreamManagement.restored(Resumption("sm1"), acked=7, sent=10, handled=0)
    assert proven(entries("a", "b", "c"), sm, h) == [None] * 3
    assert proven(entries("a"), None, 7) == [None]


class Asked:
    """A session that tells how former ones ended."""

    jid = JULIET

    def __init__(self, counts: dict[str, int], uncertain: list[Entry]) -> None:
        self.counts, self.queue, self.questions = counts, uncertain, 0

    async def ask(self, _type: str, _to: object, payload: str, _timeout_s: float, *, own: bool) -> Any:
        self.questions += 1
        sm_id = payload.partition('sm-id="')[2].partition('"')[0]
        h = self.counts.get(sm_id)
        content = "" if h is None else f"<closed xmlns='xmppsh:witness:0' h='{h}'/>"
        kind = "error" if h is None else "result"
        return read_element(f"<iq type='{kind}' id='q'>{content}</iq>")


def lost_session(sm_id: str, count: int) -> StreamManagement:
    return StreamManagement.restored(Resumption(sm_id), acked=0, sent=count, handled=0)


async def test_each_lost_session_is_settled_by_its_own_count() -> None:
    lost = LostSessions()
    lost.add(lost_session("a", 2), 0, 2)
    lost.add(lost_session("b", 3), 2, 3)
    uncertain = entries("a1", "a2", "b1", "b2", "b3")
    uncertain[2].number = 0  # of the session's own
    fates = await lost.ask_witness(Asked({"b": 2}, uncertain))  # type: ignore[arg-type]
    assert fates == [None, None, Fate.FAILED, Fate.ACKED, Fate.QUEUED]


async def test_stanzas_of_sessions_that_nobody_knows_are_not_taken_for_others() -> None:
    lost = LostSessions()
    lost.add(lost_session("a", 2), 0, 2)
    lost.add(lost_session("b", 1), 3, 1)  # one more is uncertain: nobody can tell whose they are
    fates = await lost.ask_witness(Asked({"a": 2, "b": 1}, entries("x", "y", "z", "b1")))  # type: ignore[arg-type]
    assert fates == [None, None, None, Fate.ACKED]


async def test_the_witness_is_not_asked_when_nothing_of_the_user_is_open() -> None:
    lost = LostSessions()
    own = entries("own")
    own[0].number = 0
    lost.add(lost_session("a", 1), 0, 1)
    asked = Asked({"a": 1}, own)
    assert await lost.ask_witness(asked) == [None]  # type: ignore[arg-type]
    assert asked.questions == 0
