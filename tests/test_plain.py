"""`plain.dataclass` does what the standard one does."""

import dataclasses
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, field, fields, replace
from typing import Any

import pytest

from xmppsh import plain

MAKERS: list[Any] = [pytest.param(dataclasses.dataclass, id="standard"), pytest.param(plain.dataclass, id="ours")]


@pytest.fixture(params=[1, plain.FEW], autouse=True, ids=["compiled", "not compiled"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many instances are made before `__init__` is compiled."""
    monkeypatch.setattr(plain, "FEW", request.param)


def _point(make: Any, **how: Any) -> Any:
    @make(**how)
    class Point:
        x: int
        y: int = 2
        secret: str = field(default="s", repr=False, hash=False)
        tags: list[int] = field(default_factory=list, hash=False)
        kind: str = field(default="point", init=False, metadata={"json": False})

        def sum(self) -> int:
            return self.x + self.y

    return Point


def _facts(point: Any) -> list[object]:
    one = point(1)
    same = point(x=1, y=2)
    return [
        [(f.name, f.type, f.init, f.repr, dict(f.metadata)) for f in fields(point)],
        point.__match_args__,
        one == same,
        one == point(1, 3),
        one == (1, 2),
        one.tags is same.tags,
        asdict(replace(one, y=9)),
        one.sum(),
        repr(one).rpartition(".")[2],
        point.__qualname__,
        hasattr(one, "__dict__"),
    ]


@pytest.mark.parametrize("how", [{}, {"frozen": True}, {"slots": True}, {"frozen": True, "slots": True}], ids=str)
def test_a_class_is_what_the_standard_one_makes_of_it(how: dict[str, bool]) -> None:
    standard, ours = (_facts(_point(make, **how)) for make in (dataclasses.dataclass, plain.dataclass))
    assert ours == standard


@pytest.mark.parametrize("make", MAKERS)
def test_what_is_frozen_can_be_hashed_and_not_changed(make: Any) -> None:
    frozen, thawed = _point(make, frozen=True, slots=True), _point(make)
    assert hash(frozen(1)) == hash(frozen(1, secret="other"))
    with pytest.raises(FrozenInstanceError):
        frozen(1).x = 3
    with pytest.raises(FrozenInstanceError):
        del frozen(1).x
    with pytest.raises(TypeError):
        hash(thawed(1))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "call",
    [lambda c: c(), lambda c: c(1, z=2), lambda c: c(1, kind="x"), lambda c: c(1, x=1), lambda c: c(1, 2, "s", [], 5)],
    ids=["one is missing", "an unknown one", "one that is not to be given", "one twice", "one too many"],
)
def test_wrong_arguments_are_a_type_error(make: Any, call: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError):
        call(_point(make, frozen=True))


@pytest.mark.parametrize("make", MAKERS)
def test_a_subclass_has_the_fields_of_its_base_first(make: Any) -> None:
    @make(frozen=True, slots=True)
    class Base:
        a: int

        def double(self) -> int:
            return 2 * self.a

    class Undecorated(Base):
        __slots__ = ()

    @make(frozen=True, slots=True)
    class More(Base):
        b: int = 5

    assert [one.name for one in fields(More)] == ["a", "b"]
    assert (More(1).b, More(1, 2).double()) == (5, 2)
    assert Undecorated(1) == Undecorated(1) != Base(1)
    match More(3, 4):
        case More(a, b):
            assert (a, b) == (3, 4)


@pytest.mark.parametrize("make", MAKERS)
def test_what_a_class_defines_itself_stays(make: Any) -> None:
    @make(frozen=True)
    class Named:
        name: str

        def __repr__(self) -> str:
            return self.name

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

    assert (repr(Named("n")), Named("n") == 3, hash(Named("n"))) == ("n", True, 7)


@pytest.mark.parametrize("make", MAKERS)
def test_keywords_alone_and_no_fields_at_all(make: Any) -> None:
    @make(frozen=True, kw_only=True)
    class Settings:
        a: int = 1

    @make(frozen=True, slots=True)
    class Nothing:
        """An event without facts."""

    assert Settings(a=2) != Settings()
    with pytest.raises(TypeError):
        Settings(2)
    assert Nothing() == Nothing()
    assert hash(Nothing()) == hash(Nothing())
