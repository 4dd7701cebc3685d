"""The program that is measured: where `make bench` says, in an environment with what it needs and nothing else, as
users have it; else the one beside this Python. What test tools add to each start of Python is a tenth of a warm `send`.
"""

import os
import sys
from pathlib import Path

XMPPSH = os.environ.get("XMPPSH_MEASURED") or str(Path(sys.executable).with_name("xmppsh"))
PYTHON = str(Path(XMPPSH).with_name("python"))
