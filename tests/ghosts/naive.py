"""What one writes after reading slixmpp's tutorial: a client with XEP-0198, online until something ends it.

A program of its own, measured for comparison: `naive.py JID HOST PORT CA yes|no`, the last for `resume`, the password
in NAIVE_PASSWORD.
"""

import asyncio
import os
import ssl
import sys

from slixmpp import ClientXMPP


def main(jid: str, host: str, port: str, ca: str, resume: str) -> None:
    """Log in, send presence, stay."""
    client = ClientXMPP(jid, os.environ["NAIVE_PASSWORD"], ssl_context=ssl.create_default_context(cafile=ca))
    client.enable_direct_tls = False
    client.register_plugin("xep_0198", {"allow_resume": resume == "yes"})

    async def start(_: object) -> None:
        client.send_presence()
        await client.get_roster()

    client.add_event_handler("session_start", start)
    client.connect(host, int(port))
    loop: asyncio.AbstractEventLoop = client.loop
    loop.run_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
