"""What `doctor` looks at, from the DNS to stream management: a module for each layer, and `examine.py` in order."""
