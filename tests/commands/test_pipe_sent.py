"""What `pipe` remembers: the last stanzas by their id, those of batches too, and whom they were for."""

import pytest

from xmppsh.commands.pipe.sent import MAX_REMEMBERED, Remembered, Sent


def batch(first: int, count: int, size: int = 0) -> list[bytes]:
    body = b"x" * size
    return [b"\n<message id='i%d' to='a%d@b'>%b</message>" % (n, n % 3, body) for n in range(first, first + count)]


@pytest.mark.parametrize("size", [0, 2000])
def test_a_message_of_a_batch_is_found_with_its_line_and_the_oldest_are_forgotten(size: int) -> None:
    sent = Remembered()
    for number in range(0, MAX_REMEMBERED + 200, 100):
        sent.add_batch(number + 1, batch(number, 100, size))
    sent.add("asked", Sent(20_000, "c@d", is_request=True))
    assert sent.find("i50") is None
    for number in (201, MAX_REMEMBERED + 199):
        found = sent.find(f"i{number}")
        assert found is not None
        assert (found.line, found.to, found.is_request) == (number + 2, f"a{number % 3}@b", False)


def test_who_was_written_to_is_told_the_last_one_first_and_each_once() -> None:
    sent = Remembered()
    sent.add("p", Sent(1, "c@d", is_request=False))
    sent.add_batch(2, batch(0, 7))
    sent.add_batch(9, batch(1, 1))
    assert list(sent.addresses()) == ["a1@b", "a0@b", "a2@b", "c@d"]


def test_an_id_that_the_input_repeats_may_be_answered_as_often_and_by_whom_it_went_to() -> None:
    sent = Remembered()
    for to in ("a@b", "a@b", "c@d"):
        sent.add("same", Sent(1, to, is_request=False))
    sent.add_batch(2, batch(1, 1))
    same, once = sent.find("same"), sent.find("i1")
    assert same is not None
    assert once is not None
    assert [(found.awaited, found.to) for found in (same, once)] == [(3, None), (1, "a1@b")]
