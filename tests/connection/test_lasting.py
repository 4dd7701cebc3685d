"""The real session over cuts, on streams without a network: what it takes, what it settles, what it sends again."""

import asyncio

import pytest
from connection.paper import Cut, ack, inbound
from protocol.playbook import JULIET, NS, stream_at

from xmppsh.errors import StreamError
from xmppsh.outbox.journal import LeftBehind
from xmppsh.outbox.queue import Entry, Fate
from xmppsh.outbox.stored import StoredSession
from xmppsh.protocol.sm import MODULUS, Resumption, StreamManagement
from xmppsh.protocol.table import State
from xmppsh.session.phase import Phase
from xmppsh.xmlio.build import Xml


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
