"""Types made from others: discrete, bounded, unions. Law: as in valuetype; what they are made of, they only ask."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from ..reports import printable
from . import formats
from .datatypes import Lru, Now, Range
from .dialect import Dialect
from .formats import bad_value, shown, wrong_type, wrong_value
from .valuetype import ValueType, plain, plain_decoder, unwrap_scalar

__all__ = [
    "bounded_type",
    "discrete_type",
    "enum_type",
    "remote_discrete_type",
    "union_type",
    "wire_names",
]


def discrete_type(
    python: Any,
    name: str,
    options: Sequence[tuple[bytes, Any]],
    *,
    params: tuple[bytes, ...] | None = None,
    aliases: Sequence[tuple[bytes, Any]] = (),
) -> ValueType[Any]:
    """Make a type from its options, as (argument, value) pairs in the order in which they are announced.

    ``aliases`` are read as well, but neither announced nor written.
    """
    values = dict(options)
    if len(values) != len(options) or not options:
        names = [wire for wire, _ in options]
        twice = b", ".join(sorted({wire for wire in names if names.count(wire) > 1}))
        trouble = f"has '{printable(twice)}' twice on the wire" if twice else "has no options"
        raise TypeError(f"{shown(python)} {trouble}")
    wires = {(type(value), value): wire for wire, value in options}
    shape = tuple(values) if params is None else params
    usage = "|".join(printable(wire) for wire in values)
    kind = f"{name} {usage}"

    def check(value: object) -> Any:
        try:
            wire = wires.get((type(value), value))
        except TypeError:  # unhashable, so certainly none of them
            wire = None
        if wire is not None:
            return values[wire]
        inner = unwrap_scalar(value)
        if inner is value:
            raise wrong_type(value, kind)
        return check(inner)

    def encode(value: Any) -> bytes:
        wire = wires.get((type(value), value))
        if wire is None:
            raise wrong_type(value, kind)
        return wire

    if all(isinstance(value, enum.Enum) for _, value in options):
        # Members are there once, and for good: their identity is found in a third of the time of their hash.
        members = {id(value): wire for wire, value in options}

        def encode_member(value: Any) -> bytes:
            try:
                return members[id(value)]
            except KeyError:
                pass
            return encode(value)
    else:
        encode_member = encode

    readable = {**dict(aliases), **values}

    def decode(raw: bytes) -> Any:
        try:
            return readable[raw]
        except KeyError:
            raise bad_value(raw, kind) from None

    return ValueType(name, python, shape, usage, options[0][1], 0, check, plain(encode_member), plain_decoder(decode))


def wire_names(members: Iterable[tuple[str, enum.Enum]]) -> list[tuple[bytes, Any]]:
    """Give each member, by its Python name, its own on the wire: ``katcp_value``, or lower case with dashes."""
    options = []
    for name, member in members:
        wire = getattr(member, "katcp_value", None)
        if wire is None:
            wire = name.lower().replace("_", "-")
        if not isinstance(wire, str | bytes):
            raise TypeError(f"katcp_value of {shown(member)} is neither str nor bytes")
        options.append((wire.encode() if isinstance(wire, str) else bytes(wire), member))
    return options


def enum_type(cls: type[enum.Enum]) -> ValueType[Any]:
    """Make the type for an Enum: discrete by name, also where its members are numbers.

    The other names that Python has for a member are read, and never written.
    """
    options = wire_names((member.name, member) for member in cls)
    aliases = wire_names((name, member) for name, member in cls.__members__.items() if name != member.name)
    if issubclass(cls, Lru):
        return discrete_type(cls, "lru", options, params=())
    if issubclass(cls, Now):
        return discrete_type(cls, "timestamp", options, params=())
    return discrete_type(cls, "discrete", options, aliases=aliases)


def bounded_type(inner: ValueType[Any], python: Any, bounds: Range) -> ValueType[Any]:
    """Narrow a type of numbers to a range."""
    if inner.name not in ("integer", "float", "timestamp") or inner.rank == 0:
        raise TypeError(f"{bounds!r} bounds numbers, and {inner.usage} is none")
    usage = f"{inner.usage}:{bounds}"
    kind = f"{inner.usage} in {bounds}"  # for people
    low = -math.inf if bounds.low is None else bounds.low
    high = math.inf if bounds.high is None else bounds.high

    def check(value: object) -> Any:
        checked = inner.check(value)
        if checked is Now.NOW or low <= checked <= high:  # "now" is a time within any range
            return checked
        raise wrong_value(value, kind)

    def make_decoder(dialect: Dialect, lenient: bool) -> Callable[[bytes], Any]:
        decode = inner.decoder(dialect, lenient=lenient)

        def decode_bounded(raw: bytes) -> Any:
            value = decode(raw)
            if value is Now.NOW or low <= value <= high:
                return value
            raise bad_value(raw, kind)

        return decode_bounded

    default: Any = inner.default
    if default not in bounds:
        default = low if default < low else high
        if inner.name == "integer":
            default = math.ceil(low) if default == low else math.floor(high)
        default = check(default)
    return attrs.evolve(
        inner,
        python=python,
        usage=usage,
        default=default,
        check_value=check,
        make_decoder=make_decoder,
        make_first=None,
    )


def union_type(python: Any, members: Sequence[ValueType[Any]]) -> ValueType[Any]:
    """Make the type for a union: the most specific member that can read or hold a value does."""
    ordered = sorted(members, key=lambda member: member.rank)
    names = {member.name for member in members}
    usage = "|".join(dict.fromkeys(member.usage for member in members))
    names -= {"integer"} if names == {"integer", "float"} else set()  # an integer is a float on the wire
    name = names.pop() if len(names) == 1 else "string"

    def choose(value: object) -> tuple[ValueType[Any], Any]:
        wrong: Exception | None = None
        for member in sorted(ordered, key=lambda member: member.python is not type(value)):
            try:
                return member, member.check(value)
            except ValueError as error:
                wrong = error
            except TypeError:
                pass
        raise wrong or wrong_type(value, usage)

    def make_encoder(dialect: Dialect) -> Callable[[Any], bytes]:
        encoders = {id(member): member.encoder(dialect) for member in members}

        def encode(value: Any) -> bytes:
            member, checked = choose(value)
            return encoders[id(member)](checked)

        return encode

    def make_decoder(dialect: Dialect, lenient: bool) -> Callable[[bytes], Any]:
        decoders = [member.decoder(dialect) for member in ordered]
        if lenient:
            decoders += [member.decoder(dialect, lenient=True) for member in ordered]

        def decode(raw: bytes) -> Any:
            for decode_one in decoders:
                try:
                    return decode_one(raw)
                except ValueError:
                    pass
            raise bad_value(raw, usage)

        return decode

    params = tuple(param for member in members for param in member.params)
    first = members[0]
    return ValueType(
        name,
        python,
        params,
        usage,
        first.default,
        max(member.rank for member in members),
        lambda value: choose(value)[1],
        make_encoder,
        make_decoder,
        first.make_first,
    )


def remote_discrete_type(params: Sequence[bytes]) -> ValueType[str]:
    """Make the type for another device's discrete sensor: its values are texts, listed ones when strict."""
    options = [(param, formats.decode_text_leniently(param)) for param in dict.fromkeys(params)]
    strict = discrete_type(str, "discrete", options)

    def make_decoder(dialect: Dialect, lenient: bool) -> Callable[[bytes], str]:
        return formats.decode_text_leniently if lenient else strict.decoder(dialect)

    return attrs.evolve(strict, params=tuple(params), make_decoder=make_decoder)
