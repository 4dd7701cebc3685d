"""Test support: real servers on loopback ports and an independent XMPP client to observe them with."""
