"""How long a session stays online after its program ended, measured; `test_short.py` is the short form."""
