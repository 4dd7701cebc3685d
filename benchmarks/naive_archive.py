"""A peer of `xmppsh history export`: slixmpp's own iterator over the archive, one JSON object a message.

Arguments: host, port, CA file, and how many messages to ask for at once. slixmpp's example for archives asks for 10,
which is also its default; who has measured asks for more.
"""

import asyncio
import json
import os
import ssl
import sys
from typing import Any

from slixmpp import ClientXMPP


async def export(host: str, port: int, ca: str, page: int) -> None:
    """Log in, print the whole archive, close the stream."""
    context = ssl.create_default_context(cafile=ca)
    client = ClientXMPP(os.environ["NAIVE_JID"], os.environ["NAIVE_PASSWORD"], ssl_context=context)
    client.enable_direct_tls = client.enable_plaintext = False
    client.register_plugin("xep_0313")
    client.connect(host, port)
    await client.wait_until("session_start")
    plugin: Any = client["xep_0313"]
    pages: Any = plugin.retrieve(iterator=True, rsm={"max": page}, reverse=False)
    if asyncio.iscoroutine(pages):
        pages = await pages
    async for page in pages:
        for found in page["mam"]["results"]:
            message = found["mam_result"]["forwarded"]["stanza"]
            sys.stdout.write(json.dumps({"from": str(message["from"]), "body": message["body"]}) + "\n")
    await client.disconnect()


asyncio.run(export(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
