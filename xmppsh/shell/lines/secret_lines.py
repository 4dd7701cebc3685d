"""Lines of the shell that no file may keep: those with a password, or with what a login is made of."""

from __future__ import annotations

import re

from xmppsh import ns

# A command about the account, an option or a field that tells a password, and XML that carries one, or what a login is
# made of.
_SECRET = re.compile(
    r"^/account\b|--[\w-]*password|(?:password|secret)\w*=|XMPPSH_PASSWORD"
    r"|<(?:[\w.-]+:)?(?:password|auth|response|initial-response|token)\b"
    rf"|{ns.OLD_AUTH}|{ns.REGISTER}",
    re.IGNORECASE,
)


def is_secret(line: str) -> bool:
    """Is this a line that no file may keep?"""
    return _SECRET.search(line) is not None
