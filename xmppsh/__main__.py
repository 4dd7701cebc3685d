"""`python -m xmppsh`."""

from xmppsh.cli.__main__ import main

main()
