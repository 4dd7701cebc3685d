"""A peer of `xmppsh listen --format json`: slixmpp as in its tutorial, which prints each message as a line of JSON."""

import asyncio
import json
import os
import ssl
import sys

from slixmpp import ClientXMPP


def tell(record: dict[str, str]) -> None:
    """Print it at once."""
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


async def listen(host: str, port: int, ca: str) -> None:
    """Log in by STARTTLS, be available, print what comes."""
    context = ssl.create_default_context(cafile=ca)
    client = ClientXMPP(os.environ["NAIVE_JID"], os.environ["NAIVE_PASSWORD"], ssl_context=context)
    client.enable_direct_tls = client.enable_plaintext = False
    client.add_event_handler("session_start", lambda _: client.send_presence())
    client.add_event_handler(
        "message",
        lambda message: tell({"from": str(message["from"]), "body": message["body"]}),
    )
    client.connect(host, port)
    await asyncio.Event().wait()


asyncio.run(listen(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
