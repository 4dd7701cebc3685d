"""What the server does wrong when it is told to, and what the program makes of it."""

from pathlib import Path

import pytest
from playground.clients import RawClient, visitor

from xmppsh.errors import UsageError
from xmppsh.playground.faults import Faults
from xmppsh.playground.server import PlaygroundServer

ENABLE = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
MESSAGE = "<message to='bob@playground.localhost'><body>x</body></message>"


@pytest.mark.parametrize("text", ["cut", "cut-after=", "cut-after=0", "cut-after=x", "hole=1", "no-ack=1", "slow"])
def test_what_is_no_fault_is_a_bad_command_line(text: str) -> None:
    with pytest.raises(UsageError, match="--fault"):
        Faults.parse([text])


@pytest.mark.parametrize(
    "fault", ["cut-after=40", *(pytest.param(one, marks=pytest.mark.long) for one in ("hole", "slow=30"))]
)
async def test_a_pipe_through_a_fault_loses_and_doubles_nothing(tmp_path: Path, fault: str) -> None:
    command = (
        "seq 100 | xmppsh pipe --input lines --to bob@playground.localhost &&"
        " xmppsh -j bob@playground.localhost listen --drain --format text -F %b"
    )
    outcome = await visitor(tmp_path).run("playground", "--fault", fault, "--", "bash", "-c", command)
    assert (outcome.code, outcome.stdout.split()) == (0, [str(number) for number in range(1, 101)]), outcome.stderr
    assert "sent 100, acked 100, failed 0" in outcome.stderr


@pytest.mark.long
async def test_a_listener_that_waits_for_a_slow_archive_says_so(tmp_path: Path) -> None:
    command = (
        f"cd {tmp_path}; xmppsh -j bob@playground.localhost/bot listen -q --ready-file ready & bot=$!;"
        " until [ -e ready ]; do sleep 0.05; done;"
        " kill -STOP $bot; xmppsh send bob@playground.localhost/bot hi; kill -KILL $bot; wait $bot;"
        " xmppsh -j bob@playground.localhost/bot listen --drain -F %b"
    )
    outcome = await visitor(tmp_path).run(
        "playground", "--fault", "slow=2000", "--", "bash", "-c", command, deadline_s=90
    )
    assert (outcome.code, outcome.stdout) == (0, "hi\n"), outcome.stderr
    assert "the archive is asked for what came while nobody read: 1 messages so far" in outcome.stderr


async def test_a_listener_whose_presence_is_not_acknowledged_says_what_it_waits_for(tmp_path: Path) -> None:
    outcome = await visitor(tmp_path).run(
        "playground", "--fault", "no-ack", "--", "xmppsh", "listen", "--drain", "-W", "12"
    )
    assert outcome.code == 75
    assert outcome.stderr.count("the server has not confirmed our presence") == 1, outcome.stderr


async def test_what_is_never_acknowledged_is_no_success(tmp_path: Path) -> None:
    command = "xmppsh send bob@playground.localhost hi --timeout 1"
    outcome = await visitor(tmp_path).run("playground", "--fault", "no-ack", "--", "bash", "-c", command)
    assert outcome.code == 79, outcome.stderr


async def test_of_what_is_not_acknowledged_a_window_is_on_the_way_and_no_more(tmp_path: Path) -> None:
    command = "seq 100 | xmppsh pipe --input lines --to bob@playground.localhost --window 3 --timeout 1 --trace trace"
    outcome = await visitor(tmp_path).run(
        "playground", "--fault", "no-ack", "--", "bash", "-c", f"cd {tmp_path}; {command}"
    )
    assert outcome.code == 79, outcome.stderr
    assert (tmp_path / "trace").read_text().count("<body>") == 3
    assert "sent 3, acked 0, failed 0, unconfirmed 3" in outcome.stderr


async def test_a_resumption_tells_what_no_request_for_an_acknowledgement_did(tmp_path: Path) -> None:
    command = "seq 2 | xmppsh pipe --input lines --to bob@playground.localhost --timeout 4"
    outcome = await visitor(tmp_path).run("playground", "--fault", "no-ack", "--", "bash", "-c", command)
    assert outcome.code == 0, outcome.stderr
    assert "sent 2, acked 2, failed 0" in outcome.stderr


async def test_each_recipient_has_its_result_where_nothing_is_acknowledged(tmp_path: Path) -> None:
    command = "xmppsh send bob@playground.localhost --to echo@playground.localhost hi --each --timeout 1"
    outcome = await visitor(tmp_path).run("playground", "--fault", "no-ack", "--", "bash", "-c", command)
    told = [(one["to"].partition("@")[0], one["error"]["code"]) for one in outcome.records]
    assert (outcome.code, told) == (79, [("bob", 79), ("echo", 79)]), outcome.stderr


async def test_the_message_that_fell_into_the_hole_never_came_and_the_next_connection_is_whole() -> None:
    async with PlaygroundServer(faults=Faults(hole=True)) as server:
        client = await RawClient.bound(server, "alice", "sofa", ENABLE)
        client.send(MESSAGE)
        other = await RawClient.bound(server, "bob", "desk", "<presence/>")
        other.send(MESSAGE)
        await other.expect("<body>x</body>")
        assert "alice@" not in other.seen.partition("<body>")[0].rpartition("<message")[2]
        await other.close()


async def test_the_login_at_a_slow_server_is_not_delayed_so_that_no_time_to_connect_runs_out() -> None:
    async with PlaygroundServer(faults=Faults(slow_s=3600)) as server:
        client = await RawClient.authenticated(server, "alice")
        await client.close()
