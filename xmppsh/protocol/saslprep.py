"""SASLprep (RFC 4013): how names and passwords are written before they are hashed.

ASCII, which is nearly everything, needs no table and loads none.
"""

from __future__ import annotations

DELETE = "\x7f"


class NotAllowed(ValueError):
    """The text has a character that no name and no password may have; str() says which kind."""


def saslprep(text: str) -> tuple[str, bool]:
    """The prepared text, and whether the tables of RFC 3454 know all of it.

    A character that Unicode 3.2 had not assigned (an emoji, a capital ß) keeps the text as it is: RFC 4013 would
    refuse it for stored strings, and other clients and the servers take it. Raises NotAllowed for everything else that
    RFC 4013 §2.3 and §2.4 refuse.
    """
    if text.isascii():
        if any(character < " " or character == DELETE for character in text):
            raise NotAllowed("it has a control character")
        return text, True
    return _with_tables(text)


def _with_tables(text: str) -> tuple[str, bool]:
    import stringprep
    import unicodedata

    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    for is_prohibited, what in (
        (stringprep.in_table_c21_c22, "a control character"),
        (stringprep.in_table_c3, "a character of a private area"),
        (stringprep.in_table_c4, "a code point that is not a character"),
        (stringprep.in_table_c5, "half of a surrogate pair"),
        (stringprep.in_table_c6, "a character that is not plain text"),
        (stringprep.in_table_c7, "a character that describes others"),
        (stringprep.in_table_c8, "a character that changes the direction of text"),
        (stringprep.in_table_c9, "a tag character"),
    ):
        if any(map(is_prohibited, prepared)):
            raise NotAllowed(f"it has {what}")
    _check_direction(prepared)
    is_known = not any(map(stringprep.in_table_a1, text))
    return (prepared, True) if is_known else (text, False)


def _check_direction(text: str) -> None:
    """RFC 3454 §6: text from right to left has nothing from left to right, and begins and ends with its own."""
    from stringprep import in_table_d1, in_table_d2

    if any(map(in_table_d1, text)) and not (
        in_table_d1(text[0]) and in_table_d1(text[-1]) and not any(map(in_table_d2, text))
    ):
        raise NotAllowed("it mixes directions of writing")
