"""`python -m tests.ghosts`, from the folder of the project: what `make ghosts` runs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # as pytest's `pythonpath` does

from support.signals import hand_on_defaults

from ghosts.run import main

hand_on_defaults()
sys.exit(main())
