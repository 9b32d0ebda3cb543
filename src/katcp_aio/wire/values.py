"""Python types <-> arguments of messages. Law: an annotation is resolved once; afterwards there are only closures.

A :class:`TypeRegistry` knows which Python type is which type of the specification (5.1, section 3), and can be taught
more. :func:`encode` is on the way of every argument of every message: one dictionary lookup by the exact type.
"""

from __future__ import annotations

import enum
import numbers
import types
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NewType, TypeVar, Union
from weakref import WeakSet

from . import compound, valuetype
from .datatypes import Address, Lru, Range, Timestamp
from .dialect import V51, Dialect
from .formats import shown
from .valuetype import ValueType

__all__ = ["Encoders", "TypeRegistry", "decode", "encode", "register_type", "registry"]

T = TypeVar("T")

_MAX_CACHED = 1024  # classes; a program that makes Enum classes for ever must not be held in memory for ever

_BUILTIN: dict[type, Callable[[Any], ValueType[Any]]] = {
    bool: valuetype.boolean_type,
    int: valuetype.integer_type,
    float: valuetype.float_type,
    str: valuetype.text_type,
    bytes: valuetype.bytes_type,
    bytearray: valuetype.bytes_type,
    memoryview: valuetype.bytes_type,
    Timestamp: valuetype.timestamp_type,
    Address: valuetype.address_type,
    enum.Enum: compound.enum_type,
    numbers.Integral: valuetype.integer_type,
    numbers.Real: valuetype.float_type,
}


class Encoders(dict[type, Callable[[Any], bytes]]):
    """Exact type -> the function that writes its values in one dialect; looked for when it is first asked for."""

    __slots__ = ("_dialect", "_registry")

    def __init__(self, registry: TypeRegistry, dialect: Dialect) -> None:
        super().__init__()
        self._registry = registry
        self._dialect = dialect

    def __missing__(self, cls: type) -> Callable[[Any], bytes]:
        """Find the encoder of a class, and remember it. One without any may yet hold a scalar, as numpy's do."""
        try:
            encoder = self._registry.resolve(cls).encoder(self._dialect)
        except TypeError:
            return self._encode_scalar
        if len(self) >= _MAX_CACHED:
            self.clear()
        self[cls] = encoder
        return encoder

    def _encode_scalar(self, value: Any) -> bytes:
        inner = valuetype.unwrap_scalar(value)
        if inner is value:
            self._registry.resolve(type(value))  # raises
        return self[type(inner)](inner)


class TypeRegistry:
    """Which Python type is which type on the wire. Safe to read from any thread.

    Args:
        parent: where to look for what is not registered here; None for the types of the specification only.
    """

    def __init__(self, parent: TypeRegistry | None = None) -> None:
        self._parent = parent
        self._children: WeakSet[TypeRegistry] = WeakSet()
        self._makers: dict[type, Callable[[Any], ValueType[Any]]] = {} if parent else dict(_BUILTIN)
        self._names: dict[str, type] = {}
        self._resolved: dict[type, ValueType[Any]] = {}
        self._encoders: dict[int, Encoders] = {}  # by the identity of a dialect's rules, of which there are three

    def child(self) -> TypeRegistry:
        """Return a registry that knows what this one knows, now and later; what is registered there stays there."""
        child = TypeRegistry(self)
        self._children.add(child)
        return child

    def register(
        self,
        python_type: type[T],
        name: str,
        encode: Callable[[T], bytes],
        decode: Callable[[bytes], T],
        default: Callable[[], T] | None = None,
    ) -> None:
        """Teach a Python type, with its subclasses; it also replaces a type that is known from a parent.

        Args:
            python_type: the class.
            name: its name in ?sensor-list, in usage lines and in error texts; may be one of the specification's.
            encode: value -> argument, unescaped.
            decode: argument -> value; raises ValueError for what it cannot read.
            default: makes the first value of each sensor; without it, sensors need a default of their own.

        Raises:
            ValueError: the type is registered here already.
        """
        if python_type in self._makers:
            raise ValueError(f"{python_type.__name__} is registered already")
        made = valuetype.custom_type(python_type, name, encode, decode, default)
        self._makers[python_type] = lambda _cls: made
        self._names[name] = python_type
        self._forget()

    def _forget(self) -> None:
        """Drop what was derived before a type was registered."""
        self._resolved.clear()
        for encoders in self._encoders.values():
            encoders.clear()
        for child in list(self._children):
            child._forget()  # noqa: SLF001 - the same class

    # --- annotation -> type ---

    def resolve(self, annotation: Any) -> ValueType[Any]:
        """Return the type for an annotation. Strings are for the caller to evaluate, where their names are known.

        Raises:
            TypeError: nothing on the wire corresponds to it.
        """
        if isinstance(annotation, ValueType):
            return annotation
        if isinstance(annotation, type):
            # Only classes are cached: Union and Literal compare equal in any order, but their order has a meaning.
            found = self._resolved.get(annotation)
            if found is None:
                found = self._maker(annotation)(annotation)
                if len(self._resolved) >= _MAX_CACHED:
                    self._resolved.clear()
                self._resolved[annotation] = found
            return found
        return self._resolve_special(annotation)

    def _resolve_special(self, annotation: Any) -> ValueType[Any]:
        """Resolve what is no class: Annotated, Union, Optional, Literal, NewType and ``type`` aliases."""
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is Annotated:
            found = self.resolve(arguments[0])
            for metadata in arguments[1:]:
                if isinstance(metadata, Range):
                    found = compound.bounded_type(found, annotation, metadata)
            return found
        if origin is Union or origin is types.UnionType:
            members = [self.resolve(member) for member in arguments if member is not type(None)]
            return members[0] if len(members) == 1 else compound.union_type(annotation, members)
        if origin is Literal:
            options = [(self.encode(value), value) for value in arguments if value is not None]
            return compound.discrete_type(annotation, "discrete", options)
        if isinstance(annotation, NewType):
            return self.resolve(annotation.__supertype__)
        if hasattr(annotation, "__value__"):  # ``type Alias = ...``, from Python 3.12
            return self.resolve(annotation.__value__)
        raise TypeError(f"no KATCP type for {shown(annotation)}")

    def _maker(self, cls: type) -> Callable[[Any], ValueType[Any]]:
        """Return what makes the type for a class: registered for itself, a base of it, or an ABC of numbers."""
        bases = cls.__mro__
        if issubclass(cls, enum.Enum):  # by name, whatever else its members are
            bases = tuple(base for base in bases if issubclass(base, enum.Enum))
        for base in (*bases, numbers.Integral, numbers.Real):
            if issubclass(cls, base):
                maker = self._lookup(base)
                if maker is not None:
                    return maker
        raise TypeError(f"no KATCP type for {shown(cls)}")

    def _lookup(self, cls: type) -> Callable[[Any], ValueType[Any]] | None:
        maker = self._makers.get(cls)
        return maker if maker is not None or self._parent is None else self._parent._lookup(cls)  # noqa: SLF001

    # --- values ---

    def encoders(self, dialect: Dialect = V51) -> Encoders:
        """Return what writes values in a dialect, by their exact types: ``encoders[type(value)](value)``.

        For who writes many: the same table for good, kept up to date when types are registered.
        """
        found = self._encoders.get(id(dialect.rules))
        if found is None:
            found = self._encoders[id(dialect.rules)] = Encoders(self, dialect)
        return found

    def encode(self, value: object, dialect: Dialect = V51) -> bytes:
        """Return ``value`` as an argument, unescaped, by its own type.

        Raises:
            TypeError: nothing on the wire corresponds to the type.
            ValueError: the value cannot be written: a negative timestamp, text that is no Unicode.
        """
        return self.encoders(dialect)[type(value)](value)

    def decode(self, annotation: Any, raw: bytes, dialect: Dialect = V51) -> Any:
        """Return the value of one argument. Whoever decodes many keeps ``resolve(annotation).decoder(dialect)``.

        Raises:
            TypeError: nothing on the wire corresponds to the annotation.
            ValueError: the argument is none of that type.
        """
        return self.resolve(annotation).decoder(dialect)(raw)

    def from_wire(self, name: str, params: Sequence[bytes] = ()) -> ValueType[Any]:
        """Return the type of another device's sensor, from its type and parameters in #sensor-list.

        Discrete values are read as their text, since their Enum is the device's own. A name of the specification means
        what it says there, whatever was registered under it. A type that is not known here is read as ``bytes``, so
        that its sensor is not lost.
        """
        annotation = _REMOTE.get(name) or self._by_name(name)
        if name == "discrete" and params:
            return compound.remote_discrete_type(params)
        return self.resolve(bytes if annotation is None else annotation)

    def _by_name(self, name: str) -> type | None:
        found = self._names.get(name)
        if found is None and self._parent is not None:
            return self._parent._by_name(name)  # noqa: SLF001
        return found


_REMOTE: dict[str, type] = {
    "integer": int,
    "float": float,
    "boolean": bool,
    "lru": Lru,
    "timestamp": Timestamp,
    "address": Address,
    "string": str,
    "discrete": str,
}

registry = TypeRegistry()  #: the types that every server and client knows
register_type = registry.register
encode = registry.encode
decode = registry.decode
