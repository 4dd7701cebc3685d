"""The dial plan, asked of name servers of the test's own: a zone, and what must come of it.

One row (zones.py) is one zone with one set of options. Either the places to dial are expected, in order, or the error:
exit code, sentence and hint; its layer is always dns. `{dns}` stands for the address of the name server.
"""

import time
from pathlib import Path
from typing import Any

import pytest
from resolve.zones import ROWS, Place, Row
from support.dns import NameServer, serving

from xmppsh.config.values import override
from xmppsh.errors import XmppshError
from xmppsh.model import Candidate, Jid
from xmppsh.resolve.options import LookupOptions
from xmppsh.resolve.plan import Plan, draw_plan

BUSY_S = 10.0  # for the machine; whoever waits for a time-out waits 30 s


async def drawn(row: Row, server: NameServer, folder: Path, **options: Any) -> Plan:
    hosts_file = folder / "hosts"
    hosts_file.write_text(row.hosts_file)
    overrides = tuple(override(text) for text in row.resolve)
    servers = (("127.0.0.1", server.port),)
    lookup = LookupOptions(servers, overrides, row.family, row.proxied, hosts_file=hosts_file)
    plan = await draw_plan(Jid.parse(row.jid), row.hosts, row.tls, row.timeout_s, lookup, **options)
    if plan.error is not None:
        raise plan.error
    return plan


def in_any_order(candidate: Candidate) -> Place:
    return candidate.host, candidate.port, candidate.tls, candidate.source, sorted(candidate.addresses)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_what_comes_of_a_zone(row: Row, tmp_path: Path) -> None:
    async with serving(NameServer(row.zone, row.otherwise, row.follows)) as server:
        words = {"{dns}": server.place, "{hosts}": str(tmp_path / "hosts")}

        def filled(text: str) -> str:
            for word, value in words.items():
                text = text.replace(word, value)
            return text

        begun = time.monotonic()
        if row.code:
            with pytest.raises(XmppshError) as caught:
                await drawn(row, server, tmp_path, patient=row.within_s > 1)
            error = caught.value
            assert (error.exit_code, error.layer, str(error)) == (row.code, "dns", filled(row.says))
            assert row.hint in (error.hint or "")
            assert error.hint
        else:
            # On a busy machine a look-up may take longer than the plan waits for it, which is not what is tested here.
            plan = await drawn(row, server, tmp_path, patient=row.within_s > 1)
            expected = [(*place[:3], filled(place[3]), list(place[4])) for place in row.places]
            assert [in_any_order(candidate) for candidate in plan.candidates] == expected
        assert time.monotonic() - begun < row.within_s + BUSY_S
        if row.asked is not None:
            assert set(server.asked) == row.asked


async def test_of_a_hundred_addresses_sixteen_are_enough(tmp_path: Path) -> None:
    row = Row({"A example.org": [f"192.0.2.{number}" for number in range(1, 101)]})
    async with serving(NameServer(row.zone)) as server:
        plan = await drawn(row, server, tmp_path)
    assert len(set(plan.candidates[0].addresses)) == 16


@pytest.mark.parametrize(("redirect", "given", "by_hand"), [
    (None, "host", True), ("the server's redirect", "server", False), ("--host", "server", False),
    ("", "server", False),
])  # fmt: skip
async def test_a_place_was_given_by_hand_unless_somebody_else_named_it(
    redirect: str | None, given: str, by_hand: bool
) -> None:
    """What the one who named it is called does not matter."""
    plan = await draw_plan(Jid.parse("a@example.org"), [("127.0.0.1", 5222)], "auto", 1.0, redirect=redirect)
    assert (plan.given, plan.steps[0].candidate.searched) == (given, by_hand)
