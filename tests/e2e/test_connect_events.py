"""What the shell shows of nodes: what others publish, in words; of our own nothing, and nothing unread."""

from pathlib import Path

from support.servers import Server
from support.terminal import at_prompt

PUBLISH = (
    "<iq type='set' id='p{0}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='news'>"
    "<item id='item-{0}'><title xmlns='http://www.w3.org/2005/Atom'>{0}</title></item></publish></pubsub></iq>"
)


async def test_what_a_friend_publishes_is_told_in_words(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.contact.send_raw(PUBLISH.format(1))
        await stage.contact.settle()
        await stage.shell.enter(f"/pubsub subscribe {stage.friend} news")
        await stage.shell.shows("news  subscribed")
        await stage.contact.send_raw(PUBLISH.format(2))
        await stage.shell.shows("published item-2 in news")
        assert not any("headline" in line for line in stage.shell.history)


async def test_what_the_account_publishes_itself_is_no_news(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"/bookmarks add tea@{server.conference} --name Tea")
        await stage.shell.prompt()
        await stage.shell.enter("/bookmarks list")
        await stage.shell.shows("Tea")
        await stage.is_alive()
        assert not any("unread" in line or "bookmarks:1" in line for line in stage.shell.history)
