"""What the archive proves about a message in doubt: only an origin-id that we made is on no other stanza."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from protocol.playbook import JULIET

from xmppsh.model import Element
from xmppsh.outbox.queue import Entry, Fate
from xmppsh.session import archive as reconcile
from xmppsh.session.archive import by_archive
from xmppsh.session.settle import Step
from xmppsh.xmlio.build import Xml, element
from xmppsh.xmlio.reader import read_element
from xmppsh.xmlio.stanzas import origin_id

OURS = origin_id("made-by-us")


class Archive:
    """An account whose archive holds these messages, each on a page of its own; the oldest first."""

    jid = JULIET

    def __init__(self, *messages: str, default: str = "always", sender: str = "") -> None:
        self.messages, self.default, self.sender = messages, default, sender
        self._results: list[Element] = []

    @contextmanager
    def collecting(self, query_id: str) -> Iterator[list[Element]]:
        self._results, self._query_id = [], query_id
        yield self._results

    async def ask_own(self, _type: str, payload: Xml) -> Element:
        if payload.startswith("<prefs"):
            return answer(f"<prefs xmlns='urn:xmpp:mam:2' default='{self.default}'/>")
        before = payload.partition("<before>")[2].partition("</before>")[0]
        place = int(before or len(self.messages)) - 1
        self._results.append(
            read_element(
                f"<message from='{self.sender or JULIET.bare}'>"
                f"<result xmlns='urn:xmpp:mam:2' queryid='{self._query_id}' id='{place}'>"
                f"<forwarded xmlns='urn:xmpp:forward:0'>{self.messages[place]}</forwarded></result></message>"
            )
        )
        complete = "true" if place == 0 else "false"
        return answer(
            f"<fin xmlns='urn:xmpp:mam:2' complete='{complete}'>"
            f"<set xmlns='http://jabber.org/protocol/rsm'><first>{place}</first></set></fin>"
        )


def answer(content: str) -> Element:
    return read_element(f"<iq type='result'>{content}</iq>")


def archived(content: str = "", stanza_id: str = "") -> str:
    identity = {"xmlns": "jabber:client", "from": str(JULIET), "id": stanza_id or None}
    return element("message", identity, Xml(content))


def in_doubt(content: str = "", stanza_id: str = "") -> Entry:
    xml = element("message", {"id": stanza_id or None}, Xml(content))
    return Entry(1, xml, "message", "made-by-us", "romeo@example.net", Fate.UNCERTAIN)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "SETTLING_S", 0.0)
    monkeypatch.setattr(reconcile, "MIN_SETTLING_S", 0.0)


async def fate(archive: Archive, entry: Entry, *known: str, step: Step = Step.SEVERAL_LOOKS) -> Fate:
    (found,) = await by_archive(archive, [entry], frozenset(known), step)
    return found


async def test_a_message_with_our_origin_id_has_arrived_when_it_is_there_and_has_not_when_it_is_missing() -> None:
    entry = in_doubt(OURS, "the-user-s")
    assert await fate(Archive(archived(OURS, "the-user-s"), archived()), entry) is Fate.ACKED
    assert await fate(Archive(archived()), entry) is Fate.QUEUED
    assert await fate(Archive(archived(), default="roster"), entry) is Fate.UNCERTAIN


@pytest.mark.parametrize("sender", ["mallory@evil.example", str(JULIET), JULIET.domainpart, "romeo@example.net"])
async def test_a_result_from_anybody_else_than_our_own_archive_proves_nothing(sender: str) -> None:
    forged = Archive(archived(OURS), sender=sender)
    assert await fate(forged, in_doubt(OURS)) is Fate.QUEUED


async def test_the_id_that_the_user_gave_proves_nothing() -> None:
    former = archived(origin_id("of-a-former-run"), "the-user-s")
    assert await fate(Archive(former), in_doubt(OURS, "the-user-s")) is Fate.QUEUED
    assert await fate(Archive(archived("", "made-by-us")), in_doubt(OURS, "made-by-us")) is Fate.QUEUED


@pytest.mark.parametrize(
    ("content", "stanza_id"),
    [(origin_id("the-user-s"), "x"), ("", "the-user-s"), ("<body>made-by-us</body>", "the-user-s")],
    ids=["an origin-id", "an id", "an id, and a body that looks like ours"],
)
async def test_what_has_the_user_s_id_alone_has_not_arrived_when_it_is_missing_and_is_uncertain_else(
    content: str, stanza_id: str
) -> None:
    entry = in_doubt(content, stanza_id)
    assert await fate(Archive(archived(content, stanza_id)), entry) is Fate.UNCERTAIN
    assert await fate(Archive(archived(OURS, "another")), entry) is Fate.QUEUED


async def test_what_has_no_id_at_all_is_uncertain() -> None:
    assert await fate(Archive(archived()), in_doubt()) is Fate.UNCERTAIN


async def test_nothing_is_missing_in_an_archive_that_was_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "MAX_PAGES", 3)
    other = archived(origin_id("another"))
    assert await fate(Archive(archived(OURS), other, other), in_doubt(OURS)) is Fate.ACKED
    assert await fate(Archive(archived(OURS), other, other, other), in_doubt(OURS)) is Fate.UNCERTAIN


async def test_an_archive_that_lacks_what_was_acknowledged_before_proves_nothing_about_what_is_missing() -> None:
    kept = Archive(archived(origin_id("before")), archived(origin_id("another")))
    assert await fate(kept, in_doubt(OURS), "before") is Fate.QUEUED
    stopped = Archive(archived(origin_id("old")), archived(origin_id("older")))
    assert await fate(stopped, in_doubt(OURS), "before") is Fate.UNCERTAIN
    assert await fate(Archive(archived(OURS), archived()), in_doubt(OURS), "before") is Fate.ACKED


@pytest.mark.parametrize(
    ("step", "missing"),
    [(Step.ONE_LOOK, Fate.QUEUED), (Step.SEVERAL_LOOKS, Fate.QUEUED), (Step.NO_PROOF, Fate.UNCERTAIN)],
)
async def test_what_is_missing_counts_as_missing_only_when_the_former_stream_has_ended(
    step: Step, missing: Fate
) -> None:
    assert await fate(Archive(archived(OURS)), in_doubt(OURS), step=step) is Fate.ACKED
    assert await fate(Archive(archived(origin_id("another"))), in_doubt(OURS), step=step) is missing
