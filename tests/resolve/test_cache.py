"""The SRV cache: true as long as the TTL, small, and never in the way."""

import json
import stat
from pathlib import Path

import pytest
from support.dns import HOST, Fails, NameServer, serving

from xmppsh.config.kept import MAX_BYTES
from xmppsh.errors import LookupFailed
from xmppsh.model import Jid
from xmppsh.resolve.cache import MAX_ANSWERS, MAX_TTL_S, SrvCache
from xmppsh.resolve.lookup import Answer, Srv
from xmppsh.resolve.options import LookupOptions
from xmppsh.resolve.plan import Plan, draw_plan
from xmppsh.resolve.services import forget

NAME = "_xmpp-client._tcp.example.org"
SERVERS = ((HOST, 53),)
RECORDS = (Srv(1, 2, 5222, "a.example"), Srv(3, 4, 5223, "b.example"))


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """A cache with a clock of the test's own; `complaints` has what was logged."""

    def __init__(self, folder: Path) -> None:
        self.path, self.clock, self.complaints = folder / "state" / "srv.json", Clock(), list[str]()

    def open(self, servers: tuple[tuple[str, int], ...] = SERVERS) -> SrvCache:
        return SrvCache(self.path, servers, lambda _level, text: self.complaints.append(text), self.clock)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def answer(ttl_s: int | None = 300, records: tuple[Srv, ...] = RECORDS, *, exists: bool = True) -> Answer:
    return Answer(records, exists, ttl_s, (), "127.0.0.1")


@pytest.mark.parametrize("given", [answer(), answer(records=()), answer(records=(), exists=False)])
def test_an_answer_comes_back_with_the_time_that_is_left(desk: Desk, given: Answer) -> None:
    desk.open().put(NAME, given)
    desk.clock.now += 100
    found = desk.open().get(NAME)
    assert found == Answer(given.records, given.exists, 200, (), "127.0.0.1")


@pytest.mark.parametrize("seconds", [300, 301, 10_000_000, -1])
def test_behind_its_ttl_or_in_front_of_it_an_answer_is_none(desk: Desk, seconds: int) -> None:
    desk.open().put(NAME, answer())
    desk.clock.now += seconds  # a clock that was set back tells nothing
    assert desk.open().get(NAME) is None


@pytest.mark.parametrize("ttl_s", [None, 0, -5])
def test_an_answer_without_a_ttl_is_not_kept(desk: Desk, ttl_s: int | None) -> None:
    desk.open().put(NAME, answer(ttl_s))
    assert not desk.path.exists()


def test_no_ttl_lasts_longer_than_a_day(desk: Desk) -> None:
    desk.open().put(NAME, answer(2**31 - 1))
    desk.clock.now += MAX_TTL_S
    assert desk.open().get(NAME) is None


def test_other_name_servers_may_say_something_else(desk: Desk) -> None:
    desk.open().put(NAME, answer())
    assert desk.open((("192.0.2.1", 53),)).get(NAME) is None


def test_the_file_is_private(desk: Desk) -> None:
    desk.open().put(NAME, answer())
    assert stat.S_IMODE(desk.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(desk.path.parent.stat().st_mode) == 0o700
    assert [path.name for path in desk.path.parent.iterdir()] == ["srv.json"]


def test_the_file_stays_small(desk: Desk) -> None:
    for number in range(MAX_ANSWERS + 10):
        desk.open().put(f"{number}.example", answer())
        desk.clock.now += 1
    assert len(json.loads(desk.path.read_text())) == MAX_ANSWERS
    assert desk.open().get("9.example") is None
    assert desk.open().get("10.example") is not None
    desk.open().put("huge.example", answer(records=RECORDS * 100))
    assert desk.open().get("huge.example") is None


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b"[" * 100_000, b"\xff\xfe", b'{"a": 1}', b'{"a": {"asked": 1}}', b" " * (MAX_BYTES + 1),
    b'{"a": {"asked": 0, "until": 1e999, "exists": true, "server": "", "records": [[1, 2, 99999, "a"]]}}',
    b'{"a": {"asked": 0, "until": 1e999, "exists": true, "server": "", "records": [[1, 2, 3]]}}',
])  # fmt: skip
def test_a_damaged_file_is_told_once_and_written_anew(desk: Desk, content: bytes) -> None:
    desk.path.parent.mkdir()
    desk.path.write_bytes(content)
    cache = desk.open()
    assert cache.get(NAME) is None
    cache.put(NAME, answer())
    assert len(desk.complaints) == 1
    assert desk.complaints[0].startswith(f"{desk.path} is ignored: ")
    assert desk.open().get(NAME) is not None


@pytest.mark.parametrize("until", ["1e999", "-1e999", "NaN", "1" + "0" * 400, "2000000000"])
def test_a_time_that_cannot_be_keeps_nothing(desk: Desk, until: str) -> None:
    desk.open().put(NAME, answer())
    desk.path.write_text(desk.path.read_text().replace(str(desk.clock.now + 300), until))
    assert desk.open().get(NAME) is None


def test_a_folder_that_cannot_be_written_is_told_and_no_failure(desk: Desk) -> None:
    desk.path.parent.write_text("a file in its place")
    desk.open().put(NAME, answer())
    assert len(desk.complaints) == 1
    assert "not a directory" in desk.complaints[0].lower()


# ── In a plan ───────────────────────────────────────────────────────────────────────────────────────────────────────

ZONE = {f"SRV {NAME}": ["0 0 5222 a.example"], "A a.example": ["192.0.2.1"], "A example.org": ["192.0.2.2"]}


async def drawn(server: NameServer, path: Path) -> Plan:
    lookup = LookupOptions(((HOST, server.port),), cache=path, hosts_file=path.with_name("none"))
    return await draw_plan(Jid.parse("a@example.org"), (), "auto", 2.0, lookup)


@pytest.mark.parametrize("zone", [ZONE, {"A example.org": ["192.0.2.2"]}], ids=["records", "no records"])
async def test_the_second_plan_asks_for_no_srv_records(tmp_path: Path, zone: dict[str, list[str]]) -> None:
    async with serving(NameServer(zone)) as server:
        first = await drawn(server, tmp_path / "srv.json")
        server.asked.clear()
        second = await drawn(server, tmp_path / "srv.json")
        assert [question for question in server.asked if question.startswith("SRV")] == []
    assert second.candidates == first.candidates
    assert (first.remembered, second.remembered) == (False, True)
    assert "remembered for" in second.asked[0]


async def test_what_led_nowhere_is_asked_for_again(tmp_path: Path) -> None:
    async with serving(NameServer(ZONE)) as server:
        await drawn(server, tmp_path / "srv.json")
        lookup = LookupOptions(((HOST, server.port),), cache=tmp_path / "srv.json")
        forget("example.org", lookup, lambda _level, text: print(text))
        assert not (await drawn(server, tmp_path / "srv.json")).remembered


async def test_remembered_names_that_are_gone_are_asked_for_again(tmp_path: Path) -> None:
    async with serving(NameServer(ZONE)) as server:
        await drawn(server, tmp_path / "srv.json")
        server.zone = {f"SRV {NAME}": ["0 0 5222 b.example"], "A b.example": ["192.0.2.3"]}
        plan = await drawn(server, tmp_path / "srv.json")
    assert [candidate.host for candidate in plan.candidates] == ["b.example"]


async def test_a_failure_is_not_remembered(tmp_path: Path) -> None:
    async with serving(NameServer(otherwise=Fails("SERVFAIL"))) as server:
        with pytest.raises(LookupFailed):
            await drawn(server, tmp_path / "srv.json")
        server.otherwise, server.zone = None, ZONE
        assert [candidate.host for candidate in (await drawn(server, tmp_path / "srv.json")).candidates] == [
            "a.example"
        ]
