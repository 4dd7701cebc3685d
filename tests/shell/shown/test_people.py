"""Who is known in the shell: names for people, and an end to what strangers can make it remember."""

from collections.abc import Sized
from itertools import count

from shell.shown.test_conversation import conversation, message

from xmppsh.shell.shown.conversation import CHAT_STATES, KEPT_SENDERS
from xmppsh.shell.shown.people import MAX_ONLINE, People
from xmppsh.xep.roster import Contact


def held(*owners: object) -> int:
    """How many items they hold."""
    return sum(len(value) for owner in owners for value in vars(owner).values() if isinstance(value, Sized))


def test_strangers_cannot_make_the_shell_remember_ever_more() -> None:
    people, talk, numbers = People(), conversation(), count()

    def flood() -> int:
        for number, _ in zip(numbers, range(MAX_ONLINE + 1), strict=False):
            people.note(f"s{number}@example.net")
            people.presence(f"s{number}@example.net/x", "available", "")
        for number, _ in zip(numbers, range(KEPT_SENDERS + 1), strict=False):
            sender = f"s{number}@example.net/x"
            talk.incoming(message("x", from_=sender), current=None)
            talk.incoming(message(None, from_=sender, payloads=[f"{CHAT_STATES}composing"]), current=None)
        return held(people, talk)

    assert flood() == flood()
    people.set_contact(Contact("romeo@example.org", subscription="both"))
    people.presence("romeo@example.org/x", "available", "away")
    assert people.online["romeo@example.org"] == {"x": "away"}


def test_a_room_has_the_short_name_that_its_prompt_shows() -> None:
    people = People()
    people.rooms["tea@rooms.example.org"] = "me"
    assert people.short("tea@rooms.example.org") == "tea"
    assert people.named("tea") == "tea@rooms.example.org"
    people.set_contact(Contact("tea@example.net", subscription="both"))
    assert people.named("tea") is None
    assert people.short("tea@rooms.example.org") == "tea@rooms.example.org"
    assert people.short("tea@example.net") == "tea@example.net"
    people.forget_room("tea@rooms.example.org")
    assert people.named("tea") == "tea@example.net"


def test_a_name_is_short_again_once_its_other_owner_is_forgotten() -> None:
    people = People()
    for domain in ("example.net", "example.org"):
        people.set_contact(Contact(f"romeo@{domain}", subscription="both"))
    assert people.short("romeo@example.net") == "romeo@example.net"
    people.set_contact(Contact("romeo@example.org", subscription="remove"))
    assert people.short("romeo@example.net") == "romeo"
    assert people.named("romeo") == "romeo@example.net"
