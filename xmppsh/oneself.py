"""How this program starts itself once more, as a process of its own."""

from __future__ import annotations

import os
import sys


def command() -> tuple[str, ...]:
    """The words that start it; what follows is its command line."""
    place = os.path.dirname(os.path.dirname(__file__))
    return (sys.executable, place) if os.path.isfile(place) else (sys.executable, "-m", "xmppsh")  # in a zipapp, or not
