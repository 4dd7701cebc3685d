"""Records that are written at once never wait for the reader, whatever it has left in the pipe."""

import os
import random

import pytest

from xmppsh.output.streams import PAGE_BYTES, OutputStream


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seed", range(20))
def test_what_is_written_at_once_fits_into_the_pipe(seed: int) -> None:
    chance = random.Random(seed)
    reader, writer = os.pipe()
    # With this a write that did not fit would be short, and be tried again for ever.
    os.set_blocking(writer, False)
    stream = OutputStream(writer)
    sizes = [1, 7, 100, PAGE_BYTES // 2 + 1, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1]
    sent = came = 0
    for _ in range(300):
        records = ["x" * (chance.choice(sizes) - 1) + "\n" for _ in range(chance.randrange(1, 60))]
        sent += sum(map(len, records[: stream.write_some(records)]))
        if chance.random() < 0.8:
            came += len(os.read(reader, chance.choice([1, 1000, PAGE_BYTES, 20 * PAGE_BYTES])))
    os.close(writer)
    while rest := os.read(reader, 20 * PAGE_BYTES):
        came += len(rest)
    assert came == sent > 0
    os.close(reader)
