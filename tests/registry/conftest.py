"""The program in a home of its own, without server and account."""

from pathlib import Path

import pytest
from support.program import Program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)
