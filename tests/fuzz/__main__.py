"""`python -m tests.fuzz [INPUTS] [SEED]`, from the folder of the project: what `make fuzz` runs. It prints its figures.

No input may crash its parser, take longer than a second, or let the memory grow by more than 64 MB; the seed and the
input of a failure are printed, and go into a test of their own.
"""

import random
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # as pytest's `pythonpath` does

from fuzz.targets import TARGETS, Target

MAX_S, MAX_KIB = 1.0, 64 * 1024


def fuzz(target: Target, inputs: int, seed: int) -> float:
    """Give a parser so many inputs; the longest time that one took of the processor, in seconds."""
    chance, longest_s = random.Random(f"{seed} {target.name}"), 0.0
    for _ in range(inputs):
        count = chance.randrange(40)
        pieces = [chance.choice(target.pieces) if chance.random() < 0.8 else chance.randbytes(3) for _ in range(count)]
        data, began = b"".join(pieces), time.thread_time()
        try:
            target.read(data)
        except BaseException:
            print(f"{target.name}, seed {seed}: {data!r}", flush=True)
            raise
        longest_s = max(longest_s, time.thread_time() - began)
    return longest_s


def main() -> int:
    """Fuzz each target; 1 when one was too slow or took too much memory."""
    inputs, seed = ([int(word) for word in sys.argv[1:]] + [100_000, random.randrange(10**6)][len(sys.argv) - 1 :])[:2]
    failed = False
    for target in TARGETS:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.monotonic()
        longest_s = fuzz(target, inputs, seed)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        failed |= longest_s > MAX_S or grown > MAX_KIB
        rate = inputs / (time.monotonic() - began)
        facts = f"{inputs} inputs, {rate:.0f}/s, longest {longest_s * 1000:.1f} ms, memory +{grown / 1024:.1f} MB"
        print(f"{target.name:14} {facts} (seed {seed})", flush=True)
    return int(failed)


sys.exit(main())
