"""What `--dry-run` does beside printing what would be sent: it finds the faults of command line and config."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh.config.secrets import find_password, password_setting
from xmppsh.errors import ConnectError, SaslError
from xmppsh.model import Credentials

if TYPE_CHECKING:
    from xmppsh.commands.app import App


def check_account(app: App) -> None:
    """Raise what logging in would fail with before it dials: UsageError, ConfigError, NoInputError.

    What would be sent is known without an account, too. There need be no password, and nobody is asked for it:
    a --password-command may ask its user, and is not run.
    """
    from xmppsh.net.tls import client_context

    if app.settings.jid is None:
        return
    settings, options = app.settings, app.options_for(app.jid, Credentials())
    if not settings.anonymous and settings.cert is None and password_setting(settings) != "password_command":
        with suppress(SaslError):
            find_password(settings, app.jid, app.env, may_prompt=False)
    if options.tls != "off":
        client_context(options.policy, direct=False)


async def check_plan(app: App) -> None:
    """Raise what is wrong with where would be dialled; with -v that is shown on stderr, or why nobody knows it."""
    from xmppsh.commands.explain import plan_of, shown

    settings = app.settings
    if settings.jid is None or not (settings.verbose or settings.tls == "off"):
        return  # --tls off alone is refused for some places, and without asking anybody for them
    try:
        plan = await plan_of(app)
    except ConnectError as error:
        app.log(1, str(error))
        return
    if settings.verbose:
        for number, step in enumerate(plan.steps, 1):
            app.write_error(shown(app, plan, number, step) + "\n")
