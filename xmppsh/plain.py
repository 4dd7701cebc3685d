"""`dataclass` without its price at import.

The standard one compiles four methods for each class while it is imported: measured, a quarter of the time of a cold
`send`. This one compiles `__init__` alone, for a class of which many instances are made; the others need no compiling.
Its classes work with `dataclasses.fields`, `replace` and `asdict`. For types it is the standard one. With slots a class
is made twice: they are for one of which many instances are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses
    from _thread import RLock
    from dataclasses import MISSING, Field, FrozenInstanceError
    from operator import attrgetter
    from types import SimpleNamespace

    FROZEN, NOT_FROZEN = SimpleNamespace(frozen=True), SimpleNamespace(frozen=False)
    FEW = 100  # instances for which compiling does not pay
    _set = object.__setattr__
    _one_thread = RLock()

    def dataclass(cls=None, /, *, frozen=False, slots=False, eq=True, kw_only=False):
        """As `dataclasses.dataclass`, for what is used here: no order, no InitVar, no ClassVar, no __post_init__."""

        def make(plain):
            return _made(plain, frozen=frozen, slots=slots, eq=eq, kw_only=kw_only)

        return make if cls is None else make(cls)

    def _made(cls, *, frozen, slots, eq, kw_only):
        source = cls
        if slots:
            cls = _with_slots(cls)
        _late(cls, "__dataclass_fields__", lambda: _fields_of(cls, source))
        _late(cls, "__match_args__", lambda: () if kw_only else _names(_listed(cls), "init"))
        cls.__dataclass_params__ = FROZEN if frozen else NOT_FROZEN
        left, filled = FEW, None

        def first_init(self, *args, **kwargs):
            nonlocal left, filled
            left -= 1
            filled = filled or _filling(cls, _listed(cls))
            if left <= 0 or (kw_only and args) or not filled(self, args, kwargs):
                cls.__init__ = compiled = _compiled_init(_listed(cls), frozen=frozen, kw_only=kw_only)
                compiled(self, *args, **kwargs)

        cls.__init__ = first_init
        methods = {"__repr__": _repr}
        if eq:
            methods |= _comparing(cls, frozen=frozen)
        if frozen:
            methods |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
        for name, method in methods.items():
            if name not in cls.__dict__ or (name == "__hash__" and cls.__dict__[name] is None):
                setattr(cls, name, method)
        return cls

    class _Late:
        """An attribute of a class that is made when it is first asked for: of most classes a short run never asks."""

        def __init__(self, cls, name, make):
            self._cls, self._name, self._make = cls, name, make

        def __get__(self, instance, owner):
            with _one_thread:
                if self._cls.__dict__[self._name] is self:
                    setattr(self._cls, self._name, self._make())
            return self._cls.__dict__[self._name]

    def _late(cls, name, make):
        setattr(cls, name, _Late(cls, name, make))

    def _fields_of(cls, source):
        """The descriptions of all fields, the inherited ones first. source: the class as it was written."""
        every = {}
        for base in reversed(cls.__mro__[1:]):
            if "__dataclass_fields__" in base.__dict__:
                every.update(base.__dataclass_fields__)
        every.update({name: _field(cls, source, name, hint) for name, hint in source.__annotations__.items()})
        return every

    def _field(cls, source, name, hint):
        """The description of one field; the class keeps its default alone, as a class attribute."""
        given = source.__dict__.get(name, MISSING)
        one = given if isinstance(given, Field) else dataclasses.field(default=given)
        one.name, one.type, one._field_type = name, hint, dataclasses._FIELD
        if given is one and source is cls:
            delattr(cls, name)
            if one.default is not MISSING:
                setattr(cls, name, one.default)
        return one

    def _listed(cls):
        return list(cls.__dataclass_fields__.values())

    def _names(listed, of):
        return tuple(one.name for one in listed if getattr(one, of))

    def _with_slots(cls):
        own, inherited = set(cls.__annotations__), set()
        for base in cls.__mro__[1:]:
            if "__dataclass_fields__" in base.__dict__:
                inherited.update(base.__annotations__)
        left_out = {*own, "__dict__", "__weakref__"}
        namespace = {name: value for name, value in cls.__dict__.items() if name not in left_out}
        slots = tuple(name for name in cls.__annotations__ if name not in inherited)
        made = type(cls)(cls.__name__, cls.__bases__, {**namespace, "__slots__": slots})
        made.__qualname__ = cls.__qualname__
        return made

    def _filling(cls, listed):
        """What gives every field its value; it returns False where the arguments are not those of the class."""
        names, every = [one.name for one in listed if one.init], {one.name for one in listed}
        not_given = every.difference(names)
        defaults = {one.name: one.default for one in listed if one.default is not MISSING}
        factories = {one.name: one.default_factory for one in listed if one.default_factory is not MISSING}
        has_slots = any("__slots__" in base.__dict__ for base in cls.__mro__)
        is_plain = not has_slots and not not_given

        def filled(self, args, kwargs):
            if is_plain and not kwargs and len(args) == len(names):
                self.__dict__.update(zip(names, args, strict=True))
                return True
            values = {**dict(zip(names, args, strict=False)), **kwargs}
            if len(values) < len(args) + len(kwargs) or not not_given.isdisjoint(values):
                return False
            for name, factory in factories.items():
                if name not in values:
                    values[name] = factory()
            values = {**defaults, **values}
            if values.keys() != every:
                return False
            if has_slots:
                for name, value in values.items():
                    _set(self, name, value)
            else:
                self.__dict__.update(values)
            return True

        return filled

    def _compiled_init(listed, *, frozen, kw_only):
        names = {"_set": _set, "_missing": MISSING}
        parameters, lines = ["self", "*"] if kw_only and any(one.init for one in listed) else ["self"], []
        for one in listed:
            name, default, factory = one.name, f"_default_{one.name}", f"_factory_{one.name}"
            names |= {default: one.default, factory: one.default_factory}
            makes = one.default_factory is not MISSING
            value = f"{factory}()" if makes else default
            if one.init:
                optional = "=_missing" if makes else "" if one.default is MISSING else f"={default}"
                parameters.append(name + optional)
                value = f"{value} if {name} is _missing else {name}" if makes else name
            lines.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
        exec(f"def __init__({', '.join(parameters)}):\n " + ("\n ".join(lines) or "pass"), names)
        return names["__init__"]

    def _comparing(cls, *, frozen):
        """Equality, by class and values, and the hash of what cannot change."""
        compared = hashed = None

        def __eq__(self, other):
            nonlocal compared
            if other.__class__ is not self.__class__:
                return NotImplemented
            compared = compared or _values([one for one in _listed(cls) if one.compare])
            return compared(self) == compared(other)

        def __hash__(self):
            nonlocal hashed
            hashed = hashed or _values([one for one in _listed(cls) if one.compare and one.hash is not False])
            return hash(hashed(self))

        return {"__eq__": __eq__, "__hash__": __hash__ if frozen else None}

    def _values(listed):
        return attrgetter(*(one.name for one in listed)) if listed else lambda _: ()

    def _repr(self):
        shown = _names(self.__dataclass_fields__.values(), "repr")
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def _refuse_to_set(_self, name, _value):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def _refuse_to_delete(_self, name):
        raise FrozenInstanceError(f"cannot delete field {name!r}")
