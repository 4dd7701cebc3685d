"""Each parser takes any input, or refuses it by an error of its own, within a second."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS, Target


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_random_input_is_read_or_refused(target: Target) -> None:
    piece = st.sampled_from(target.pieces) | st.binary(max_size=6)

    @settings(max_examples=60, deadline=1000, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(st.lists(piece, max_size=24).map(b"".join))
    def read(data: bytes) -> None:
        target.read(data)

    read()
