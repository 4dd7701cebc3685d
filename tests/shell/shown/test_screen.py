"""What `--color` and NO_COLOR do to the prompt."""

from __future__ import annotations

import pytest
from prompt_toolkit.output import ColorDepth

from xmppsh.config.schema import Color
from xmppsh.shell.shown.screen import color_depth


@pytest.mark.parametrize(
    ("color", "env", "expected"),
    [
        ("auto", {}, ColorDepth.DEFAULT),
        ("auto", {"NO_COLOR": "1"}, ColorDepth.MONOCHROME),
        ("auto", {"NO_COLOR": ""}, ColorDepth.DEFAULT),  # no-color.org: only when it is not empty
        ("always", {"NO_COLOR": "1"}, ColorDepth.DEFAULT),
        ("never", {}, ColorDepth.MONOCHROME),
    ],
)
def test_the_prompt_has_the_colours_that_were_asked_for(
    color: Color, env: dict[str, str], expected: ColorDepth
) -> None:
    assert color_depth(color, env) is expected
