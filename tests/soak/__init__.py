"""Long runs of the real program under faults, against real servers; `test_short.py` is the short form of each."""
