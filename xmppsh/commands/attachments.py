"""Files that are uploaded for a message: `send --attach`, `upload`."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from xmppsh.app.progress import Progress
from xmppsh.errors import NoInputError
from xmppsh.tasks import apart
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from xmppsh.app.app import App
    from xmppsh.session.session_port import SessionPort


async def checked_file(app: App, name: str) -> tuple[Path, int]:
    """The file and its size in bytes; raises NoInputError for what cannot be uploaded."""
    path = app.console.path(name)

    def size() -> int:
        with open(path, "rb") as file:
            return os.fstat(file.fileno()).st_size

    try:
        if not await apart(path.is_file):
            raise NoInputError(
                f"{name}: no such file or directory" if not path.exists() else f"{name}: is not a regular file"
            )
        return path, await apart(size)
    except OSError as error:
        raise NoInputError(f"{name}: {os_reason(error)}") from error


async def uploads(app: App, session: SessionPort, files: list[tuple[Path, int]]) -> AsyncGenerator[str]:
    """Upload the files, one after the other, each with its URL. On a terminal a bar shows how far it is."""
    from xmppsh.net.put import put
    from xmppsh.net.tls import TlsPolicy, client_context
    from xmppsh.xep.upload import find_service, slot

    settings, console = app.settings, app.console
    policy = TlsPolicy(settings.path("ca", console.env), insecure=settings.insecure, contents=console.contents)
    service = await find_service(session)
    for path, size in files:
        place = await slot(session, service, path.name, size)
        with Progress(app, path.name, size) as advance:
            await apart(
                partial(
                    put,
                    place.put_url,
                    place.headers,
                    path,
                    size,
                    lambda: client_context(policy, direct=False),
                    settings.timeout,
                    advance,
                )
            )
        yield place.get_url
