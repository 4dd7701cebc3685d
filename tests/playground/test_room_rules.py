"""Who may do what in the lobby: its configuration, affiliations and roles."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playground.clients import RawClient
from playground.test_services import BOB, program_of
from support.program import Program

from xmppsh.playground.server import PlaygroundServer

LOBBY = "lobby@rooms.playground.localhost"
CONFIG = "muc#roomconfig_"


@pytest.fixture
def user(playground: PlaygroundServer, tmp_path: Path) -> Callable[[str], Program]:
    return lambda name: program_of(playground, tmp_path, name)


@pytest.mark.parametrize(
    ("configured", "why", "remedy"),
    [
        (("membersonly=yes",), "is for members only", ("room", "affiliation", LOBBY, BOB, "member")),
        (("moderatedroom=yes",), "you may not say that here", ("room", "affiliation", LOBBY, BOB, "member")),
        (
            ("passwordprotectedroom=yes", "roomsecret=s"),
            "wants a password",
            ("room", "config", LOBBY, f"{CONFIG}passwordprotectedroom=no"),
        ),
    ],
)
async def test_its_owner_says_who_may_enter_and_speak(
    user: Callable[[str], Program], configured: tuple[str, ...], why: str, remedy: tuple[str, ...]
) -> None:
    alice, bob = user("alice"), user("bob")
    assert (await alice.run("room", "config", LOBBY, *(CONFIG + one for one in configured))).code == 0
    refused = await bob.run("send", "--room", LOBBY, "hello")
    assert (refused.code, why in refused.stderr) == (77, True), refused.stderr
    if "roomsecret=s" in configured:
        assert (await bob.run("send", "--room", LOBBY, "hello", "--room-password", "s")).code == 0
    assert (await alice.run(*remedy)).code == 0
    assert (await bob.run("send", "--room", LOBBY, "hello")).code == 0


async def test_nobody_else_configures_it_and_it_stays(user: Callable[[str], Program]) -> None:
    shown = await user("alice").run("room", "config", LOBBY)
    assert f"  {CONFIG}membersonly=0  (boolean)  Lets members in alone\n" in shown.stdout
    for name, command in (
        ("bob", ("room", "config", LOBBY)),
        ("bob", ("room", "affiliation", LOBBY, BOB, "owner")),
        ("alice", ("room", "destroy", LOBBY, "--yes")),
    ):
        assert (await user(name).run(*command)).code == 77


async def test_who_is_kicked_or_banned_is_told_and_why(
    playground: PlaygroundServer, user: Callable[[str], Program]
) -> None:
    join = f"<presence to='{LOBBY}/bo'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    desk = await RawClient.bound(playground, "bob", "desk", join)
    await desk.expect("<subject/>")
    kick = ("room", "role", LOBBY, "bo")
    assert (await user("alice").run(*kick, "visitor")).code == 0
    await desk.expect('role="visitor"')
    assert (await user("alice").run(*kick, "none", "--reason", "off & out")).code == 0
    await desk.expect('<reason>off &amp; out</reason></item><status code="307"/><status code="110"/>')
    desk.send(join)
    await desk.expect("<subject/>")
    assert (await user("alice").run("room", "affiliation", LOBBY, BOB, "outcast")).code == 0
    await desk.expect('<status code="301"/>')
    await desk.close()
    assert (await user("alice").run(*kick, "none")).code == 67
