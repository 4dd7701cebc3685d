"""`account`: make it, give it another password, delete it (XEP-0077)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xmppsh import ns
from xmppsh.commands.form_records import FormField, completed, field_record
from xmppsh.config.secrets import first_password, next_password
from xmppsh.errors import StanzaError, UsageError
from xmppsh.model import Jid
from xmppsh.registry.base import command
from xmppsh.registry.params import FILE
from xmppsh.xep import register
from xmppsh.xep.forms import split
from xmppsh.xep.missing import NotOffered, offered, require

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from xmppsh.app.app import App

NOT_SHOWN = "…"  # of a password that --dry-run does not ask for


def _first(app: App, _: Mapping[str, Any]) -> dict[str, str]:
    jid, console = app.account.jid, app.console
    if app.settings.dry_run:
        return {"password": NOT_SHOWN}
    return {"password": first_password(app.settings, jid, console.env, may_prompt=console.may_prompt)}


def _new(app: App, given: Mapping[str, Any]) -> dict[str, str]:
    if app.settings.dry_run:
        return {"password": NOT_SHOWN}
    name, jid, console = given["new_password_file"], app.account.jid, app.console
    path = None if name is None else console.path(name)
    command_line, fd = given["new_password_command"], given["new_password_fd"]
    return {"password": next_password(jid, path, command_line, fd, console.env, may_prompt=console.may_prompt)}


@command("account", "register", ask=_first)
@click.argument("pairs", metavar="[FIELD=VALUE]…", nargs=-1)
async def account_register(app: App, pairs: tuple[str, ...], password: str) -> AsyncIterator[FormField]:
    """Register the account --jid on its server, with the password that would be used to log in.

    Other fields that the server asks for are given as FIELD=VALUE, or prompted for on a terminal; without one they are
    listed, and the exit code is 64.

    Example:  xmppsh -j juliet@example.org account register
    """
    jid = app.account.jid
    server = Jid(None, jid.domainpart)
    own, given = {"username": [jid.localpart or ""], "password": [password]}, split(pairs)
    if taken := own.keys() & given.keys():  # it would be another account, or have another password
        raise UsageError(f"{' and '.join(sorted(taken))} cannot be given here", hint="--jid JID, --password-file FILE")
    async with app.sessions.before_login() as stream:
        if not stream.offered:
            raise NotOffered(f"{server} does not offer {register.WHAT}", hint="ask its operator for an account")
        with offered(register.WHAT, str(server)):
            asked = await register.wanted(stream.requests, server)
        try:
            values = await completed(app, asked.form, own | given)
        except UsageError:
            for one in asked.form.asked:
                yield field_record(one)
            raise
        try:
            await stream.requests.request("set", server, register.making(asked, values))
        except StanzaError as error:
            if error.condition == "conflict":
                error.hint = f"{jid.bare} is taken: choose another name"
            raise


@command("account", "passwd", ask=_new)
@click.option(
    "--new-password-fd", type=click.IntRange(min=0), metavar="N", help="Read the new password from this descriptor."
)
@click.option("--new-password-command", metavar="CMD", help="Run this command; its first line is the new password.")
@click.option("--new-password-file", type=FILE, help="Read the new password from the first line of FILE.")
async def account_passwd(
    app: App,
    new_password_file: str | None,
    new_password_command: str | None,
    new_password_fd: int | None,
    password: str,
) -> None:
    """Change the account's password. On a terminal you are asked for it twice, and it is not shown.

    Wherever the old one is stored (a file, the keyring), it is not changed.

    Example:  xmppsh account passwd --new-password-file ~/.new-password
    """
    server = Jid(None, app.account.jid.domainpart)
    async with app.sessions.one_shot() as session:
        await require(session, server, ns.REGISTER, "the change of a password (XEP-0077)")
        payload = register.changing(session.jid.localpart or "", password)
        await session.request("set", server, payload)


@command("account", "delete")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
async def account_delete(app: App, yes: bool) -> None:
    """Delete the account and everything its server stores for it. This cannot be undone.

    Example:  xmppsh account delete --yes
    """
    jid = app.account.jid.bare
    question = f"Delete {jid}, with its contacts and messages, forever?"
    if not (yes or app.settings.dry_run or await app.console.confirm(question, "--yes")):
        return
    server = Jid(None, jid.domainpart)
    async with app.sessions.one_shot() as session:
        await require(session, server, ns.REGISTER, "the end of an account (XEP-0077)")
        await session.request("set", None, register.removing())
