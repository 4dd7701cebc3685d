"""What `json` reads and writes, for our own small files."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmppsh.brief_json import loads, quoted

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, st.booleans(), st.sampled_from(["", " ", "\n"]))
def test_what_json_writes_is_read_as_it_was(value: object, ascii_alone: bool, around: str) -> None:
    assert loads(around + json.dumps(value, ensure_ascii=ascii_alone) + around) == value


@given(st.text())
def test_a_string_is_quoted_as_json_does(text: str) -> None:
    assert quoted(text) == json.dumps(text)


@pytest.mark.parametrize("text", ["", "{", '{"a": }', "[1,]", "1 2", "nope", '"\n"', "\ufeff{}"])
def test_what_is_no_json_is_refused_as_json_does(text: str) -> None:
    with pytest.raises(json.JSONDecodeError) as ours:
        loads(text)
    with pytest.raises(json.JSONDecodeError) as theirs:
        json.loads(text)
    assert str(ours.value) == str(theirs.value)


@given(st.text(alphabet='{}[]",:01eE.-ntfualsr NI\\'))
def test_any_text_is_read_or_refused_as_by_json(text: str) -> None:
    try:
        wanted: object = json.loads(text)
    except json.JSONDecodeError:
        with pytest.raises(json.JSONDecodeError):
            loads(text)
    else:
        assert repr(loads(text)) == repr(wanted)
