"""Random input for every parser of what others write; `test_targets.py` is the short form of `make fuzz`."""
