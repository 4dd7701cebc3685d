"""The measured part of a page: what stands between two marks is replaced."""

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def written_into(page: str, measured: str) -> str:
    """The page with new figures. Raises ValueError when it has no place for them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return f"{before}{begin}\n{measured}\n{end}{after}"
