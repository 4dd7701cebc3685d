"""A session and its witness: what it tells, in which order, to whom; and what the final count settles."""

import asyncio
from typing import Any, Self

import pytest
from connection.paper import Cut, PaperDriver, inbound
from protocol.playbook import JULIET, NS
from support.clock import Clock

from xmppsh.errors import StreamError
from xmppsh.model import Element
from xmppsh.witness import announcer as announce

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
        self.task = asyncio.get_running_loop().create_task(session.interceptors[0].run())

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
    assert not session.interceptors[0].is_expected_end(StreamError("conflict"))


async def test_a_check_of_another_session_is_refused(session: Cut) -> None:
    driver = session.bound()
    driver.hear(check("sm0"))
    assert "<item-not-found" in written(driver)


async def test_a_conflict_heals_only_behind_the_last_check_and_on_that_stream_alone(session: Cut) -> None:
    driver = session.bound()
    driver.hear(check())
    assert not session.interceptors[0].is_expected_end(StreamError("conflict"))
    driver.hear(check(last=True))
    assert session.interceptors[0].is_expected_end(StreamError("conflict"))
    assert not session.interceptors[0].is_expected_end(StreamError("policy-violation"))
    session.cut()
    session.resumed(2)
    assert not session.interceptors[0].is_expected_end(StreamError("conflict"))


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


async def test_a_witness_that_was_there_a_moment_ago_is_looked_for_sooner(
    announced: Announced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announce, "BACK_SOON_S", 0.01)
    await announced.accept()
    session = announced.session
    session.cut()
    announced.driver = session.bound(failed_h=0)
    for _ in range(3):
        await announced.refuse()
    await announced.accept()


async def test_a_witness_that_checks_is_left_in_peace_and_one_that_does_not_is_told_again(
    announced: Announced, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    await announced.accept("0")
    for number in range(20):
        await clock.passes(0.9 * announce.MIN_QUIET_S)
        assert "<watch" not in written(announced.driver)
        announced.driver.hear(check(stanza_id=f"c{number}"))
    await clock.passes(1.1 * announce.MIN_QUIET_S)
    assert "<watch" in written(announced.driver)


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


async def test_a_witness_that_may_be_there_hears_every_h_from_the_announcement_on(announced: Announced) -> None:
    driver, reader = announced.driver, announced.session.subscribe("message")
    await announced.announcement()
    driver.hear(inbound(1))
    await anext(reader)
    reader.done()
    driver.hear(ASK)
    text = written(driver)
    assert text.index('sm-id="sm1" h="1"') < text.index('<a xmlns="urn:xmpp:sm:3" h="1"/>')


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
    announced.session.inbound.bus.publish(big, (announced.session.inbound._generation, 1))
    written(announced.driver)
    signs = 0
    async with asyncio.timeout(5):
        while signs < 5:
            await asyncio.sleep(0.01)
            text = written(announced.driver)
            assert "<watch" not in text
            signs += text.count('busy="true"')
