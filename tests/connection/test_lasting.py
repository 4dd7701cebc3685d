"""The real session over cuts, on streams without a network: what it takes, what it settles, what it sends again."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from protocol.playbook import JULIET, NS, PASSWORD, feed, stream_at

from xmppsh.connection.options import SessionOptions
from xmppsh.errors import ConnectionLost, IoError, StreamError
from xmppsh.model import Credentials
from xmppsh.outbox.journal import LeftBehind
from xmppsh.outbox.queue import Entry, Fate
from xmppsh.outbox.store import StoredSession
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Disconnect, Write
from xmppsh.protocol.sm import MODULUS, Resumption, StreamManagement
from xmppsh.protocol.stream import Stream
from xmppsh.protocol.table import State
from xmppsh.session.phase import Phase
from xmppsh.session.session import Session
from xmppsh.witness.announcer import Announcer
from xmppsh.xmlio.build import Xml


def inbound(number: int) -> str:
    return f"<message id='in{number}' from='romeo@example.net'/>"


class PaperLink:
    """What a session asks of a link."""

    tls_version = "TLSv1.3"

    def hold_reading(self, who: str, held: bool) -> None: ...


class PaperDriver:
    """A driver without a link: what is written is kept; what the server says is fed."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.link = stream, PaperLink()
        self.on_event: Callable[[Any], None] = lambda _: None
        self.written = b""

        self._disconnected = False

    def carry_out(self, outputs: Any) -> None:
        for output in outputs:
            if isinstance(output, Write):
                self.written += b"" if self._disconnected else output.data
            elif isinstance(output, Disconnect):
                self._disconnected = True
            else:
                self.on_event(output)

    def hear(self, text: str) -> None:
        self.carry_out(self.stream.receive(text.encode()))

    def drop(self, reason: str) -> None:
        self.carry_out(self.stream.handle(ev.LinkLost(reason)))

    async def close(self, wait_s: float, hurry: Any = None) -> None:
        self.carry_out(self.stream.close())


class Cut(Session):
    """A session that never dials: its test gives it streams."""

    def __init__(self, journal: Any = None) -> None:
        options = SessionOptions(JULIET, Credentials(PASSWORD), heals=True, resumable_s=120)
        super().__init__(options, lambda *_: None, journal=journal)
        self.interceptors.append(Announcer(self))

    def bound(self, failed_h: int | None = None, *, start: int = 0, sm_id: str = "sm1") -> PaperDriver:
        """A new session; after a failed resumption when there was one before."""
        stream, _ = stream_at(State.BOUND, resumable_s=120)
        (told,) = feed(stream, f"<enabled xmlns='{NS['sm']}' resume='true' id='{sm_id}'/>")
        assert stream.sm is not None
        resumption, stream.sm = stream.sm.resumption, StreamManagement(start)
        stream.sm.resumption = resumption
        failed = ev.ResumeFailed(failed_h, "item-not-found") if self.connection.sm is not None else None
        driver = self._live(stream, told, failed)
        self.inbound._high_water = start  # as long as the session lives: nothing of it has come yet
        return driver

    def resumed(self, h: int, sm_id: str = "sm1") -> PaperDriver:
        stream, _ = stream_at(State.RESUMING, resume=self.connection.sm)
        (told,) = feed(stream, f"<resumed xmlns='{NS['sm']}' previd='{sm_id}' h='{h}'/>")
        return self._live(stream, told, None)

    def _live(self, stream: Stream, told: Any, failed: ev.ResumeFailed | None) -> PaperDriver:
        driver = PaperDriver(stream)
        self.connection._on_live(driver, told, failed)  # type: ignore[arg-type]
        return driver

    def cut(self) -> None:
        """The link breaks; nobody heals it but the test."""
        assert self.connection.driver is not None
        self.connection.driver.stream.handle(ev.LinkLost("reset"))
        self.connection._heal = lambda _: asyncio.Event().wait()  # type: ignore[assignment, return-value, method-assign]
        self.connection.on_ended(ConnectionLost("reset"))
        assert self.phase is Phase.LINGERING

    def message(self, stanza_id: str) -> int:
        xml = Xml(f"<message id='{stanza_id}'/>")
        return self.send(xml, kind="message", stanza_id=stanza_id, to="romeo@example.net")

    def fates(self) -> dict[str, str]:
        queue = self.outbound.queue
        return {entry.stanza_id: str(entry.fate) for entry in (*queue, *queue.lost) if entry.stanza_id}


@pytest.fixture
async def session() -> Any:
    session = Cut()
    yield session
    await session.close(wait_s=0)


async def test_what_was_unacknowledged_goes_out_again_first_and_in_order(session: Cut) -> None:
    session.bound()
    for name in ("m1", "m2", "m3"):
        session.message(name)
    await asyncio.sleep(0)
    session.cut()
    session.message("m4")
    await asyncio.sleep(0)
    driver = session.resumed(1)
    await asyncio.sleep(0)
    sent = [name for name in ("m1", "m2", "m3", "m4") if f"id='{name}'".encode() in driver.written]
    assert sent == ["m2", "m3", "m4"]
    places = [driver.written.index(f"id='{name}'".encode()) for name in sent]
    assert places == sorted(places)
    driver.hear(f"<a xmlns='{NS['sm']}' h='4'/>")
    assert (session.acked_count, session.outbound.queue.open_count) == (4, 0)


async def test_the_count_of_a_refusal_settles_what_it_covers_and_the_rest_goes_out_again(session: Cut) -> None:
    session.bound()
    for name in ("m1", "m2", "m3"):
        session.message(name)
    await asyncio.sleep(0)
    session.cut()
    driver = session.bound(failed_h=2)
    await asyncio.sleep(0)
    assert (session.acked_count, session.phase) == (2, Phase.LIVE)
    assert b"id='m3'" in driver.written
    assert b"id='m2'" not in driver.written


async def test_without_a_count_nothing_is_sent_before_the_archive_was_asked(session: Cut) -> None:
    session.bound()
    session.message("m1")
    await asyncio.sleep(0)
    session.cut()
    driver = session.bound()
    await asyncio.sleep(0)
    assert session.phase is Phase.RECONCILING
    assert session.fates() == {"m1": "uncertain"}
    assert b"<message" not in driver.written


async def test_the_count_of_one_lost_session_says_nothing_about_the_stanzas_of_another(session: Cut) -> None:
    session.bound()
    for name in ("m1", "m2", "m3"):
        session.message(name)
    await asyncio.sleep(0)
    session.cut()
    session._availability._announced = Xml("<presence/>")
    session.bound()  # lost without h; the archive is being asked when the link breaks again
    await asyncio.sleep(0)
    assert session.phase is Phase.RECONCILING
    session.cut()
    session.bound(failed_h=2)  # the second session's presence and its question to the archive
    await asyncio.sleep(0)
    assert session.acked_count == 0, "acked without proof"
    assert session.fates() == dict.fromkeys(("m1", "m2", "m3"), "uncertain")


async def test_a_count_beyond_what_a_former_process_stored_proves_all_of_it(session: Cut) -> None:
    stored = StoredSession(1, "juliet@example.org", str(JULIET), "sm1", None, None, 0, 0, 0.0, "dead", 0.0)
    entries = [Entry(0, Xml(f"<message id='m{n}'/>"), "message", f"m{n}", "", Fate.SENT, n) for n in (1, 2)]
    session.restore(LeftBehind(stored, entries, 2, 0.0))
    session.bound(failed_h=3)  # two messages, and the answer to a ping, which nobody stores
    await asyncio.sleep(0)
    assert not session.outbound.queue.lost
    assert session.acked_count == 2


async def test_a_former_session_whose_grant_was_never_seen_is_replaced_under_its_address(session: Cut) -> None:
    former = JULIET.bare.with_resource("former")
    stored = StoredSession(1, "juliet@example.org", str(former), None, None, None, 0, 0, 0.0, "dead", 0.0)
    queued = Entry(0, Xml("<message id='m1'/>"), "message", "m1", "", Fate.QUEUED, 1)
    session.restore(LeftBehind(stored, [queued], 1, 0.0))
    assert session.jid == former, "the resource to bind"
    assert session.connection.sm is None, "there is nothing to resume"
    driver = session.bound()
    await asyncio.sleep(0)
    assert session.phase is Phase.LIVE
    assert b"id='m1'" in driver.written


ERLANG_ID = "g2gCbQAAAAVwaG9uZQ"  # of an ejabberd, whose h of <resumed/> is a snapshot


async def test_what_is_in_flight_behind_a_snapshot_is_not_sent_again_before_the_former_stream_has_ended(
    session: Cut,
) -> None:
    session.bound(sm_id=ERLANG_ID)
    for name in ("m1", "m2"):
        session.message(name)
    await asyncio.sleep(0)
    session.cut()
    driver = session.resumed(1, sm_id=ERLANG_ID)
    await asyncio.sleep(0)
    assert b"</stream:stream>" not in driver.written, "what the server repeats is taken first"
    driver.stream.sm.on_sent()  # type: ignore[union-attr]  # by a count of its own that stream may have more
    driver.hear(ack(2))
    for _ in range(5):
        await asyncio.sleep(0)
    assert b"<message" not in driver.written
    assert b"</stream:stream>" in driver.written, "it is closed, and asked for again"
    assert (session.acked_count, session.phase) == (1, Phase.LINGERING)
    session.connection.on_ended(None)
    driver = session.bound(failed_h=None)
    await asyncio.sleep(0)
    assert session.phase is Phase.RECONCILING
    assert session.fates() == {"m2": "uncertain"}


async def test_a_snapshot_with_nothing_in_flight_behind_it_goes_on(session: Cut) -> None:
    session.bound(sm_id=ERLANG_ID)
    session.message("m1")
    await asyncio.sleep(0)
    session.cut()
    session.resumed(1, sm_id=ERLANG_ID)
    assert (session.acked_count, session.phase) == (1, Phase.LIVE)


async def test_a_conflict_by_our_own_older_request_to_resume_is_a_cut(session: Cut) -> None:
    session.bound()
    session.cut()
    stream_at(State.RESUMING, resume=session.connection.sm)  # this one has no answer
    session.resumed(0)
    session.connection.on_ended(StreamError("conflict"))
    assert session.phase is Phase.LINGERING


async def test_a_conflict_by_somebody_else_ends_the_session(session: Cut) -> None:
    session.bound()
    session.cut()
    session.resumed(0)
    session.connection.on_ended(StreamError("conflict"))
    assert session.is_over


class FullDisk:
    """A journal whose disk is full from a certain call on."""

    def __init__(self, fails: str) -> None:
        self.fails, self.is_full = fails, False

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*_: Any) -> None:
            if self.is_full and name == self.fails:
                raise IoError("database or disk is full")

        return call


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        ("write", ""),
        pytest.param("finish", f"<a xmlns='{NS['sm']}' h='1'/>"),
        pytest.param("note_handled", inbound(1) + f"<r xmlns='{NS['sm']}'/>"),
    ],
)
async def test_a_disk_that_is_full_ends_the_session_with_74_and_nothing_leaves(fails: str, said: str) -> None:
    disk = FullDisk(fails)
    session = Cut(disk)
    driver = session.bound()
    disk.is_full = fails == "write"
    session.message("m1")
    await asyncio.sleep(0)
    disk.is_full = True
    if said:
        driver.hear(said)
    assert session.is_over
    assert isinstance(session.error, IoError)
    assert (b"<message" in driver.written) == (fails != "write")
    assert b"<a " not in driver.written
    disk.is_full = False
    await session.close(wait_s=0)


async def test_a_disk_that_is_full_during_a_cut_ends_the_session_with_74_and_its_healing() -> None:
    disk = FullDisk("write")
    session = Cut(disk)
    session.bound()
    session.cut()
    disk.is_full = True
    session.message("m1")
    await asyncio.sleep(0)
    assert isinstance(session.error, IoError)
    disk.is_full = False
    await session.close(wait_s=0)
    assert session.connection._healing is not None
    assert session.connection._healing.cancelled()


@pytest.mark.parametrize("fails", ["write", "opened"])
async def test_a_disk_that_is_full_when_a_stream_comes_to_life_fails_its_opening(fails: str) -> None:
    disk = FullDisk(fails)
    session = Cut(disk)
    session.bound()
    session.message("m1")
    await asyncio.sleep(0)
    session.cut()
    disk.is_full = True
    with pytest.raises(IoError):
        session.resumed(0) if fails == "write" else session.bound()
    disk.is_full = False
    await session.close(wait_s=0)


@pytest.mark.parametrize("fails", ["finish", "change"])
async def test_a_disk_that_is_full_while_a_count_settles_stanzas_fails_the_opening(fails: str) -> None:
    disk = FullDisk(fails)
    session = Cut(disk)
    session.bound()
    session.message("m1")
    await asyncio.sleep(0)
    session.cut()
    disk.is_full = True
    with pytest.raises(IoError):
        session.bound(failed_h=0)
    disk.is_full = False
    await session.close(wait_s=0)


@pytest.mark.parametrize("fails", ["finish", "change"])
async def test_a_disk_that_is_full_after_the_archive_was_asked_ends_the_session_with_74(fails: str) -> None:
    disk = FullDisk(fails)
    session = Cut(disk)
    session.bound()
    session.message("m1")
    await asyncio.sleep(0)
    session.cut()
    driver = session.bound()
    disk.is_full = True
    async with asyncio.timeout(5):
        while not session.is_over:
            for tag in re.findall(r"<iq[^>]*>", driver.written.decode()):
                stanza_id, to = (tag.partition(f' {name}="')[2].partition('"')[0] for name in ("id", "to"))
                driver.hear(f"<iq type='error' id='{stanza_id}' from='{to or JULIET.bare}'/>")
            await asyncio.sleep(0)
    assert isinstance(session.error, IoError)
    assert b"id='m1'" not in driver.written
    disk.is_full = False
    await session.close(wait_s=0)


# ── Silence ─────────────────────────────────────────────────────────────────────────────────────────────────────


def ack(h: int) -> str:
    return f"<a xmlns='{NS['sm']}' h='{h}'/>"


def fall_silent(session: Cut) -> None:
    """The link is found dead; nobody heals it but the test."""
    session.connection._heal = lambda _: asyncio.Event().wait()  # type: ignore[assignment, return-value, method-assign]
    session.connection._on_silence()
    assert session.phase is Phase.LINGERING


async def test_a_session_is_resumed_from_every_silence_of_a_link_that_had_worked(session: Cut) -> None:
    driver = session.bound()
    for h in (1, 2, 3):
        session.message(f"m{h}")
        await asyncio.sleep(0)
        fall_silent(session)
        assert session.connection.sm is driver.stream.sm, "nothing to resume"
        driver = session.resumed(h - 1)
        driver.hear(ack(h))
    assert set(session.fates().values()) == {"acked"} or not session.fates()


async def test_a_session_that_never_acknowledges_anything_on_its_resumed_stream_is_given_up(session: Cut) -> None:
    session.bound()
    session.message("m1")
    await asyncio.sleep(0)
    fall_silent(session)
    session.resumed(0)
    fall_silent(session)
    assert session.connection.sm is None  # measured on Prosody 0.12


async def test_an_ack_that_covers_nothing_new_is_a_sign_of_life(session: Cut) -> None:
    driver = session.bound()
    session.connection._activity.clear()
    session.on_idle()
    assert driver.written.endswith(f'<r xmlns="{NS["sm"]}"/>'.encode())
    driver.hear(ack(0))
    assert session.connection._activity.is_set()


async def test_without_stream_management_an_idle_link_is_asked_by_a_ping(session: Cut) -> None:
    driver = session.bound()
    driver.stream.sm = None
    session.connection._activity.clear()
    session.on_idle()
    ping = driver.written.rpartition(b"<iq")[2].decode()
    assert "urn:xmpp:ping" in ping
    stanza_id = ping.partition('id="')[2].partition('"')[0]
    driver.hear(f"<iq type='result' id='{stanza_id}'/>")
    assert session.connection._activity.is_set()


# ── Inbound ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stanza_that_is_repeated_while_its_reader_holds_it_is_delivered_once(session: Cut) -> None:
    reader = session.subscribe("message")
    driver = session.bound(start=MODULUS - 1)
    driver.hear(inbound(1) + inbound(2))
    assert (await anext(reader)).id == "in1"
    session.cut()
    driver = session.resumed(MODULUS - 1)
    driver.hear(inbound(1) + inbound(2) + inbound(3))
    assert [(await anext(reader)).id for _ in range(2)] == ["in2", "in3"]
    reader.done()
    driver.hear(f"<r xmlns='{NS['sm']}'/>")
    assert driver.written.endswith(b'<a xmlns="urn:xmpp:sm:3" h="2"/>')


async def test_what_a_reader_finishes_while_the_link_is_cut_counts_when_it_is_back(session: Cut) -> None:
    reader = session.subscribe("message")
    driver = session.bound()
    driver.hear(inbound(1))
    await anext(reader)
    session.cut()
    reader.done()
    sm = session.connection.sm
    assert sm is not None
    driver = session.resumed(0)
    driver.hear((inbound(1) if sm.handled == 0 else "") + inbound(2))
    await anext(reader)
    reader.done()
    driver.hear(f"<r xmlns='{NS['sm']}'/>")
    assert driver.written.endswith(b'<a xmlns="urn:xmpp:sm:3" h="2"/>')


async def test_what_was_finished_out_of_order_before_a_cut_is_acknowledged_after_it(session: Cut) -> None:
    first, second = session.subscribe("message"), session.subscribe("presence")
    driver = session.bound()
    driver.hear(inbound(1) + "<presence from='romeo@example.net'/>")
    await anext(first)
    await anext(second)
    second.done()
    session.cut()
    driver = session.resumed(0)
    driver.hear(inbound(1) + "<presence from='romeo@example.net'/>")
    first.done()
    driver.hear(f"<r xmlns='{NS['sm']}'/>")
    assert driver.written.endswith(b'<a xmlns="urn:xmpp:sm:3" h="2"/>')


@pytest.mark.parametrize("handled", [0, 1, 2**31 - 1, 2**31, MODULUS - 1])
async def test_a_session_of_a_former_process_delivers_from_where_it_stopped(session: Cut, handled: int) -> None:
    reader = session.subscribe("message")
    sm = StreamManagement.restored(Resumption("sm1"), acked=0, sent=0, handled=handled)
    session.connection.restore(sm, 0.0, 0)
    session.inbound.begin(sm.received)
    session.resumed(0).hear(inbound(1))
    session.inbound.bus.end(None)
    assert [stanza.id async for stanza in reader] == ["in1"]
