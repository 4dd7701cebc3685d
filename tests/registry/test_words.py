"""Plain command lines are read without click, and click would have read the same."""

import shlex

import pytest

from xmppsh.cli.main import parse
from xmppsh.config.schema import SETTINGS
from xmppsh.registry import COMMANDS
from xmppsh.registry.base import Command, Declared, Work
from xmppsh.registry.clicked import click_command
from xmppsh.registry.words import PLAIN, plain_work

PLAIN_LINES = """
send bob@example.net hello
send bob@example.net hello there -- -x --to
send bob@example.net - --wait delivered:5s --each
send bob@example.net --wait=sent --to a@example.net --to=b@example.net --subject= hello
send xmpp:bob@example.net?message;body=hi
send --lines --batch 2 bob@example.net --control strip --type headline --nick -n --room
send hello --to-file people.txt --lang en --lang de -v -v --no-sm --format json
send bob@example.net hello -j alice@example.net --host h:5223 --host other --resume-max 0 -4 --dns 1.2.3.4
send bob@example.net hello -F %b --quiet --connect-timeout 1m --pre --empty --queue
-v send bob@example.net hello
-j alice@example.net --format=json send bob@example.net hello
-j alice@example.net -v -v --host h:5223 --host other send bob@example.net hello -j carol@example.net -v --host last
--agent no --timeout 5s ping
-j send ping
alice@example.net send bob@example.net hello
-q --host h:5223 alice@example.net -v --host other send bob@example.net hello
alice@example.net -j carol@example.net ping
xmpp:alice@example.net ping
alice@example.net/home iq get example.net <ping/>
ping
ping bob@example.net/home -i 2
ping -q --insecure --format=json
iq get example.net <ping/>
iq set bob@example.net - --xpath string(.)
connect
connect alice@example.net --vi -q
connect --jid alice@example.net bob@example.net -e --no-receipts
connect --show away --status here --no-presence --host h:5223
"""
LEFT_TO_CLICK = """
send
send --to bob@example.net
send bob@example.net --help
send bob@example.net hello --nosuch
send bob@example.net hello --subj x
send bob@example.net hello --wait never
send bob@example.net hello --lines=yes
send bob@example.net hello --subject
send bob@example.net hello --to a@@b
send bob@example.net hello --type nosuch
send bob@example.net hello --timeout never
send bob@example.net hello -vv
send bob@example.net -V
send bob@example.net hello -fjson
alice@@b send bob@example.net hello
alice@example.net bob@example.net send bob@example.net hello
-j alice@example.net version send
--nosuch send bob@example.net hello
-- send bob@example.net hello
- send bob@example.net hello
-j send
alice@example.net
iq
iq put example.net <ping/>
iq get example.net <ping/> more
ping -c 3
connect alice@example.net more
connect a@@b
connect --priority 5
connect --show asleep
connect --accept-subscriptions
connect --accept-subscriptions=*@example.net
version example.net
"""


@pytest.mark.parametrize("line", PLAIN_LINES.strip().splitlines())
def test_a_plain_command_line_means_the_same_to_us_and_to_click(line: str) -> None:
    words = shlex.split(line)
    plain, work = plain_work(words), parse(words)
    assert isinstance(work, Work)
    assert plain is not None
    assert dict(plain.arguments) == dict(work.arguments)
    assert {name: type(value) for name, value in plain.arguments.items()} == {
        name: type(value) for name, value in work.arguments.items()
    }
    assert dict(plain.options) == dict(work.options)
    assert (plain.name, plain.spec) == (work.name, work.spec)


@pytest.mark.parametrize("line", LEFT_TO_CLICK.strip().splitlines())
def test_what_is_not_plain_is_left_to_click(line: str) -> None:
    assert plain_work(shlex.split(line)) is None


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_read_without_click_is_declared_without_it_and_no_option_stands_there_twice(name: str) -> None:
    command: Command = getattr(__import__(COMMANDS[name,].module, fromlist=[name]), name)
    assert all(isinstance(one, Declared) for one in command.parameters)
    assert {one.name for one in command.parameters if isinstance(one, Declared)} <= {
        one.name for one in click_command(command).params
    }
    names = [name for one in command.parameters if isinstance(one, Declared) and one.is_option for name in one.names]
    names += [name for setting in SETTINGS for name in (setting.short, setting.option) if name]
    assert len([name for name in names if name.startswith("-")]) == len({name for name in names if name[:1] == "-"})
