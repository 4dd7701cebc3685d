"""A peer of `xmppsh send`: slixmpp with its own stream layer, as in its tutorial; it asks for no ack."""

import asyncio
import os
import ssl
import sys

from slixmpp import JID, ClientXMPP


async def send(host: str, port: int, ca: str, to: str, text: str) -> None:
    """Log in by STARTTLS, send, close the stream."""
    context = ssl.create_default_context(cafile=ca)
    client = ClientXMPP(os.environ["NAIVE_JID"], os.environ["NAIVE_PASSWORD"], ssl_context=context)
    client.enable_direct_tls = client.enable_plaintext = False  # else it tries direct TLS first, on a STARTTLS port
    client.connect(host, port)
    await client.wait_until("session_start")
    client.send_message(mto=JID(to), mbody=text, mtype="chat")
    await client.disconnect()


asyncio.run(send(sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]))
