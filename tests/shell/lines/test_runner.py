"""From a command line of the shell to the words that click gets."""

import pytest

from xmppsh.errors import MalformedJid, UsageError
from xmppsh.registry import COMMANDS
from xmppsh.registry.base import Work
from xmppsh.registry.groups import load
from xmppsh.shell.lines.builtins import BUILTINS, ELSEWHERE
from xmppsh.shell.lines.names import exists, here, is_own
from xmppsh.shell.lines.runner import find, help_text, parse, split_words, text_words


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ('a@b it\'s "so"', ["--", "a@b", 'it\'s "so"']),
        ("a@b  two spaces ", ["--", "a@b", " two spaces "]),
        ("a@b --subject x", ["--", "a@b", "--subject x"]),
        ("a@b", ["--", "a@b"]),
        ('--subject "two words" a@b text', ["--subject", "two words", "--", "a@b", "text"]),
        ("--subject=one a@b text", ["--subject=one", "--", "a@b", "text"]),
        ("--each -n a@b text", ["--each", "-n", "--", "a@b", "text"]),
        ("-vF %b a@b text", ["-vF", "%b", "--", "a@b", "text"]),
        ("-F%b a@b text", ["-F%b", "--", "a@b", "text"]),
        ("-- a@b text", ["--", "a@b", "text"]),
        ('"a@b/my phone" text', ["--", "a@b/my phone", "text"]),
        ("a@b one\ntwo", ["--", "a@b", "one\ntwo"]),
        (r"d\27artagnan@b \o/ \27", ["--", r"d\27artagnan@b", r"\o/ \27"]),
        ("--help", ["--help"]),
        ("", []),
    ],
)
def test_the_text_of_send_is_taken_as_it_stands(tail: str, words: list[str]) -> None:
    assert text_words(load(("send",)), tail) == words


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ("get a@b <query xmlns='x' y=\"z\"/>", ["get", "a@b", "<query xmlns='x' y=\"z\"/>"]),
        ("get a@b '<query/>'", ["get", "a@b", "<query/>"]),
        ("<presence/> <presence/>", ["<presence/> <presence/>"]),
        ("a@b n<3 <3", ["a@b", "n<3", "<3"]),
        ("'two words' x", ["two words", "x"]),
        (r"d\27artagnan@b a\ b 'c\20d' e\\f \5C", [r"d\27artagnan@b", "a b", r"c\20d", r"e\f", r"\5C"]),
    ],
)
def test_xml_behind_a_command_is_taken_as_it_stands(tail: str, words: list[str]) -> None:
    assert split_words(tail) == words


def test_a_command_is_parsed_by_its_own_definition() -> None:
    work = parse("ping", "-c 3 'a@b/my phone' --format json")
    assert isinstance(work, Work)
    assert (work.name, work.options) == ("ping", {"format": "json"})


def test_help_is_given_as_text() -> None:
    text = parse("ping", "--help")
    assert isinstance(text, str)
    assert text.startswith("Usage: /ping [OPTIONS] [TO]")


@pytest.mark.parametrize(
    ("name", "tail", "sentence"),
    [
        ("nope", "", "/nope is not a command"),
        ("", "", "/ is not a command"),
        ("listen", "", "/listen does not run in the shell"),
        ("ping", "'a@b", "/ping: no closing quotation"),
        ("ping", "-c x", "/ping: Invalid value for '-c' / '--count': 'x' is not a valid integer range"),
        ("ping", "a b", r"/ping: Got unexpected extra argument \(b\)"),
        ("send", "", "Missing argument 'TO'"),
    ],
)
def test_a_wrong_line_says_what_is_wrong(name: str, tail: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        parse(name, tail)


@pytest.mark.parametrize("typed", ["pi", "conn", "ru", "accont", "agent stat"])
def test_what_is_proposed_can_be_typed_here(typed: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(*typed.split(" ")[:1], " ".join(typed.split(" ")[1:]))
    proposed = (caught.value.hint or "").partition(" lists")[0].removeprefix("/").split(" ")
    assert proposed[0] in here(()) | BUILTINS.keys()
    assert len(proposed) == 1 or proposed[0] == "help" or proposed[1] in here((proposed[0],))


def test_a_malformed_address_is_named() -> None:
    with pytest.raises(MalformedJid, match="'@b' is not an XMPP address"):
        parse("ping", "@b")


def test_the_list_of_help_has_what_runs_here_and_nothing_else() -> None:
    text = help_text([])
    assert all(f"  {name} " in text for name in ("/to [JID]", "/quit", "/send", "/ping", "/iq", "/raw"))
    assert "/listen" not in text
    assert "/connect" not in text


@pytest.mark.parametrize("name", ["ping", "/ping"])
def test_help_of_one_command_is_its_own(name: str) -> None:
    assert help_text([name]).startswith("Usage: /ping [OPTIONS] [TO]")


@pytest.mark.parametrize(
    ("name", "tail", "own"),
    [("last", "", True), ("last", "20", True), ("last", "a@b", False), ("help", "ping", True), ("to", "a@b", True)],
)
def test_a_name_that_the_shell_and_the_registry_have_is_told_by_what_follows(name: str, tail: str, own: bool) -> None:
    assert is_own(name, tail) is own


def test_a_mistyped_command_of_the_shell_is_answered_with_the_right_one() -> None:
    with pytest.raises(UsageError) as caught:
        parse("quti", "")
    assert caught.value.hint == "/quit"


@pytest.mark.parametrize(
    ("name", "tail", "hint"), [("nonsense", "", "/help lists them"), ("room", "foo", "/help room")]
)
def test_a_word_like_no_command_leads_to_the_shell_s_own_help(name: str, tail: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(name, tail)
    assert (caught.value.hint or "").startswith(hint)


@pytest.mark.parametrize(("name", "hint"), ELSEWHERE.items())
def test_who_types_what_another_program_has_is_told_what_it_is_here(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(name, "")
    assert error.value.hint == hint
    if hint.startswith("/") and not hint.startswith("//"):
        word, _, tail = hint[1:].partition(",")[0].partition(" ")
        assert exists(word)
        assert is_own(word, tail) or find(word, tail)[0] in COMMANDS
