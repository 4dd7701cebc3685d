"""xmppsh: the command-line shell for XMPP."""

__version__ = "0.1.0"
