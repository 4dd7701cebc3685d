"""The menu of the Tab key."""

from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent, get_common_complete_suffix
from prompt_toolkit.document import Document

from xmppsh.registry import COMMANDS
from xmppsh.shell.lines.builtins import BUILTINS
from xmppsh.shell.lines.names import available
from xmppsh.shell.lines.runner import help_text
from xmppsh.shell.shown.people import People
from xmppsh.shell.typing.complete import LineCompleter
from xmppsh.xep.roster import Contact


@pytest.fixture
def people() -> People:
    people = People()
    known = ("nurse@example.org", "o'neil@example.org", r"d\27artagnan@example.org")
    people.set_contacts([Contact("juliet@example.org", "Juliet"), *map(Contact, known)])
    people.rooms["tea@rooms.example.org"] = "me"
    people.presence("tea@rooms.example.org/Guest", "available", "")
    people.presence("tea@rooms.example.org/my friend", "available", "")
    people.presence("juliet@example.org/balcony", "available", "")
    people.bookmarks = ["marked@rooms.example.org"]
    people.services = ["chat.example.org"]
    return people


def menu(people: People, line: str) -> list[str]:
    return [one.text for one in LineCompleter(people).get_completions(Document(line), CompleteEvent())]


def test_every_command_that_runs_here_is_in_it(people: People) -> None:
    shown = {text.strip("/ ") for text in menu(people, "/")}
    assert shown == {*BUILTINS, *(path[0] for path in available())}
    for name in shown - {"!"}:
        assert f"/{name} " in menu(people, f"/{name[:-1]}")


@pytest.mark.parametrize("path", [path for path in COMMANDS if COMMANDS[path].not_in_shell is None], ids=" ".join)
def test_the_options_of_every_command_are_in_it(people: People, path: tuple[str, ...]) -> None:
    assert "--help " in menu(people, f"/{' '.join(path)} --")
    assert "--format " in menu(people, f"/{' '.join(path)} --fo")
    assert menu(people, f"/{' '.join(path)} --pass") == []


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("/ping jul", ["juliet@example.org "]),
        ("/ping -c 3 NUR", ["nurse@example.org "]),
        ("/ping --format j", ["json "]),
        ("/ping --format=j", ["json "]),
        ("/iq g", ["get "]),
        ("/send nur", ["nurse@example.org "]),
        ("/send nurse@example.org jul", []),
        ("/send --subject x jul", ["juliet@example.org "]),
        ("/ping o", ["'o'\\''neil@example.org' "]),
        ("/to jul", ["juliet@example.org "]),
        (r"/to d\2", [r"d\27artagnan@example.org "]),
        ("/last ", []),
        ("/join t", ["tea@rooms.example.org "]),
        ("/join te@", ["te@chat.example.org "]),
        ("/join te@r", []),
        ("/to tea@rooms.example.org/g", ["tea@rooms.example.org/Guest "]),
        ("/to TEA@rooms.example.org/", ["tea@rooms.example.org/Guest ", "'tea@rooms.example.org/my friend' "]),
        ("/send tea@rooms.example.org/gu", ["tea@rooms.example.org/Guest "]),
        ("/ping juliet@example.org/b", ["juliet@example.org/balcony "]),
        ("/room role tea@rooms.example.org ", ["Guest ", "'my friend' "]),
        ("/room role tea@rooms.example.org 'my", ["'my friend' "]),
        ("/room role tea@rooms.example.org Guest mod", ["moderator "]),
        ("/room role other@rooms.example.org ", []),
        ("/room who ", ["marked@rooms.example.org ", "tea@rooms.example.org "]),
        ("/bookmarks remove m", ["marked@rooms.example.org "]),
        ("/bookmarks add te@", ["te@chat.example.org "]),
        ("/xml ", ["on ", "off "]),
        ("/help pi", ["ping "]),
        ("/watch 5 pi", ["ping "]),
        ("/watch 5 /pi", ["/ping "]),
        ("/watch 5 /ping jul", ["juliet@example.org "]),
        ("/outbox re", ["retry "]),
        ("/nope x", []),
        ("a message jul", []),
        ("<pre", ["presence"]),
        ("<message><bo", ["body"]),
        ("<message><body>x</", ["body>"]),
        ("<message><body>x</body></", ["message>"]),
        ('<iq><ping xmlns="', ['urn:xmpp:ping"']),
        ("/iq get a@b <time xmlns='urn", ["urn:xmpp:time'"]),
    ],
)
def test_what_could_stand_there(people: People, line: str, texts: list[str]) -> None:
    assert menu(people, line) == texts


@pytest.mark.parametrize(
    ("line", "chosen"),
    [
        ("/ping 'nur", "/ping nurse@example.org "),
        ('/ping -c 3 "o', "/ping -c 3 'o'\\''neil@example.org' "),
        (r"/ping o\'n", "/ping 'o'\\''neil@example.org' "),
        ("/ping --format='j", "/ping --format=json "),
        ("/outbox 're", "/outbox retry "),
        ("/source 'my fol", "/source 'my folder'"),
        ("/source my\\ folder/", "/source 'my folder/a line'"),
    ],
)
def test_what_is_chosen_takes_the_place_of_the_word_with_its_quotes(
    people: People, line: str, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my folder").mkdir()
    (tmp_path / "my folder" / "a line").touch()
    monkeypatch.chdir(tmp_path)
    (one,) = LineCompleter(people).get_completions(Document(line), CompleteEvent())
    assert line[: len(line) + one.start_position] + one.text == chosen


def test_a_space_in_open_quotes_ends_no_word(people: People) -> None:
    assert menu(people, "/iq 'get ") == []


def test_occupants_complete_while_their_room_is_written_to(people: People) -> None:
    assert menu(people, "gu") == []
    people.current = "tea@rooms.example.org"
    assert menu(people, "gu") == ["Guest: "]
    assert menu(people, "thanks gu") == ["Guest "]


def test_a_name_that_was_given_to_a_line_is_in_it() -> None:
    completer = LineCompleter(People(), lambda: {"pp": "/ping -c 3"})
    (one,) = completer.get_completions(Document("/pp"), CompleteEvent())
    assert (one.text, one.display_meta_text) == ("/pp ", "/ping -c 3")


@pytest.mark.parametrize("line", ["/to ", "/send "])
def test_what_the_rows_of_a_long_menu_have_in_common_is_not_typed_as_if_all_had_it(line: str) -> None:
    people = People()
    people.set_contacts(Contact(f"{'a' if number < 4000 else 'b'}{number}@example.org") for number in range(5000))
    found = list(LineCompleter(people).get_completions(Document(line), CompleteEvent()))
    assert get_common_complete_suffix(Document(line), found) == ""
    assert found[-1].display_meta_text == "there are more: type on"


def test_a_name_of_the_network_cannot_harm_the_menu() -> None:
    people = People()
    people.set_contacts([Contact("a@b", "x\x1b[2J")])
    (one,) = LineCompleter(people).get_completions(Document("/ping a"), CompleteEvent())
    assert "\x1b" not in one.display_meta_text


@pytest.mark.parametrize("name", [*BUILTINS, *(" ".join(path) for path in available())])
def test_every_command_has_help_with_an_example_of_the_shell(name: str) -> None:
    text = help_text(name.split())
    assert "Example:" in text
    assert f"/{name}" in text.partition("Example:")[2]
    assert max(map(len, text.splitlines())) <= 80
