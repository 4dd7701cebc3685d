"""`login`: try an account, and keep it as a profile of the config file and its password in the keyring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from xmppsh.config.load import document_of, settings_of
from xmppsh.config.paths import writable_config
from xmppsh.config.schema import BY_NAME, Origin
from xmppsh.config.secrets import keep_in_keyring
from xmppsh.errors import UsageError
from xmppsh.registry.base import argument, command

if TYPE_CHECKING:
    from xmppsh.app.app import App
    from xmppsh.config.document import Document
    from xmppsh.model import Jid

DEFAULT = "default"
KEPT = ("host", "resolve", "dns", "tls", "ca", "pin", "cert", "key", "mechanism")  # as the login itself was given them


@command("login")
@argument("account", metavar="JID", type="JID", setting="jid")
@click.option("--as", "name", metavar="NAME", default=DEFAULT, show_default=True, help="The [profile.NAME] to write.")
async def login(app: App, name: str) -> None:
    """Log in once as JID and save the account: as a profile in the config file, with the password in the keyring.

    You are prompted for the password, or it is read by --password-fd, --password-file or --password-command; it is
    never written to the config file. Without a keyring you will be prompted each time. --host, --ca and the like are
    saved in the profile.

    Example:  xmppsh login juliet@example.org
    """
    jid, console = app.account.jid, app.console
    path = writable_config(console.env)
    _changed(app, jid, name)  # a fault is told before the login
    async with app.sessions.one_shot():
        pass
    if app.settings.dry_run:
        return
    from xmppsh.config.edit import alone, write

    with alone(path):
        document = _changed(app, jid, name)
        write(document)
    told = f"{jid.bare} is [profile.{name}] of {document.path}"
    password = app.account.credentials.password
    if password is not None:
        is_kept = keep_in_keyring(jid, password)
        told += "; its password is " + (
            "in the keyring" if is_kept else "asked for each time: there is no keyring here"
        )
    console.warn(told)


def _changed(app: App, jid: Jid, name: str) -> Document:
    document = document_of(app.console.env)
    _refuse_another(document, jid, name)
    return _with_profile(app, document, name)


def _refuse_another(document: Document, jid: Jid, name: str) -> None:
    """Raise UsageError rather than put another account out of force."""
    is_there = name in document.tables.get("profile", {})
    known = settings_of({"profile": name} if is_there else {}, {}, document).jid
    if known is not None and known.bare != jid.bare and (is_there or name == DEFAULT):
        raise UsageError(f"{document.path} has {known.bare} already", hint=f"xmppsh login {jid} --as NAME")


def _with_profile(app: App, document: Document, name: str) -> Document:
    from xmppsh.commands.config import words_of
    from xmppsh.config.edit import changed

    settings, console = app.settings, app.console
    new = changed(document, "jid", str(app.account.jid), name)
    for setting in (BY_NAME[one] for one in KEPT if settings.origin(one) is Origin.OPTION):
        words = words_of(setting, getattr(settings, setting.name))
        if setting.is_path and (path := settings.path(setting.name, console.env)) is not None:
            words = [str(console.path(str(path)).absolute())]  # in the file it would be relative to that
        new = changed(new, setting.key, words if len(words) > 1 else words[0], name)
    return new
