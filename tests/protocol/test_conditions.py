"""What an error element says: its condition, its text, and numbers that a peer wrote."""

from xml.etree.ElementTree import fromstring

import pytest

from xmppsh import ns
from xmppsh.protocol.conditions import MAX_TEXT, condition_of, number, stanza_error


@pytest.mark.parametrize("text", ["0", "7", "007", str(2**32 - 1)])
def test_a_counter_is_a_decimal_number_below_2_32(text: str) -> None:
    assert number(text) == int(text)


@pytest.mark.parametrize("text", [None, "", "-1", "+1", "1.0", " 1", "0x1", "٣", str(2**32), "9" * 5000])
def test_anything_else_is_no_counter(text: str | None) -> None:
    assert number(text) is None


def test_a_condition_counts_in_its_own_namespace_alone() -> None:
    error = fromstring(f"<error><gone xmlns='urn:x'/><conflict xmlns='{ns.STREAM_ERRORS}'/></error>")
    assert condition_of(error, ns.STREAM_ERRORS) == ("conflict", None)
    assert condition_of(error, ns.SASL) == ("undefined-condition", None)


def test_somebody_else_s_words_are_cut_to_a_sentence() -> None:
    error = fromstring(f"<error><text xmlns='{ns.STANZA_ERRORS}'> {'a' * 1000} </text></error>")
    assert condition_of(error, ns.STANZA_ERRORS) == ("undefined-condition", "a" * MAX_TEXT)


def test_a_stanza_error_tells_who_said_what() -> None:
    stanza = fromstring(
        f"<iq xmlns='{ns.CLIENT}' type='error'><error type='wait'><resource-constraint xmlns='{ns.STANZA_ERRORS}'/>"
        f"<text xmlns='{ns.STANZA_ERRORS}'>later</text></error></iq>"
    )
    error = stanza_error(stanza, "romeo@example.net")
    assert error.condition == "resource-constraint"
    assert "romeo@example.net" in str(error)
    assert "later" in str(error)


def test_an_error_stanza_without_an_error_element_is_an_undefined_condition() -> None:
    assert stanza_error(fromstring(f"<iq xmlns='{ns.CLIENT}' type='error'/>"), "a").condition == "undefined-condition"
