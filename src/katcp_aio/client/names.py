"""A device's names as Python's. Law: every name can be had by item; an attribute that could mean two raises.

The characters ``.`` and ``-``, which Python's names have not, become ``_``; a name that is a keyword gets one behind
it, and one that starts with a digit gets one before it.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

__all__ = ["Directory", "NameSpace", "attribute_name"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

_FOREIGN = re.compile(r"[^0-9A-Za-z_]")


def attribute_name(name: str) -> str:
    """Return the attribute for a device's name: ``rate.max-safe`` is ``rate_max_safe``, ``class`` is ``class_``."""
    text = _FOREIGN.sub("_", name)
    if text[:1].isdigit():
        return f"_{text}"
    return f"{text}_" if keyword.iskeyword(text) else text


class Directory(Generic[T]):
    """What a device has of one kind, by name; the changeable side of a :class:`NameSpace`.

    Args:
        kind: what the things are called in errors: ``sensor``.
        owner: gives the name of whose things they are.
        make: name -> thing, for things that are made when they are first asked for; without it ``items`` has them all.
    """

    __slots__ = ("_attributes", "_made", "_make", "items", "kind", "owner")

    def __init__(
        self, kind: str, owner: Callable[[], str], make: Callable[[str], T] | None = None, items: Any = None
    ) -> None:
        self.kind = kind
        self.owner = owner
        self.items: Mapping[str, Any] = {} if items is None else items  #: name -> thing, or -> what it is made from
        self._make = make
        self._made: dict[str, T] = {}
        self._attributes: dict[str, list[str]] | None = None

    def changed(self, *names: str) -> None:
        """Take note that :attr:`items` has changed, and that the things with these names are to be made anew."""
        self._attributes = None
        for name in names:
            self._made.pop(name, None)

    def reset(self) -> None:
        """Take note that everything may have changed."""
        self._attributes = None
        self._made.clear()

    def find(self, name: str) -> T:
        """Return the thing of that name.

        Raises:
            KeyError: there is none.
        """
        if self._make is None:
            found: T = self.items[name]
            return found
        if name not in self.items:
            raise KeyError(name)
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = self._make(name)
        return made

    def attributes(self) -> Mapping[str, list[str]]:
        """Return attribute -> the names that it may stand for."""
        if self._attributes is None:
            found: dict[str, list[str]] = {}
            for name in self.items:
                found.setdefault(attribute_name(name), []).append(name)
            self._attributes = found
        return self._attributes


class NameSpace(Generic[T_co]):
    """What a device has of one kind: by item under its own name, and by attribute.

    ``name in space``, ``len(space)`` and iteration (over the names) work as with a mapping. It has no method of its
    own, so that a device may call its requests ``get``, ``items`` or ``clear``.
    """

    __slots__ = ("_directory",)

    def __init__(self, directory: Directory[T_co]) -> None:
        self._directory = directory

    def __getitem__(self, name: str) -> T_co:
        """Return the one of that name; KeyError if there is none."""
        return self._directory.find(name)

    def __getattr__(self, attribute: str) -> T_co:
        """Return the one that goes by this attribute; AttributeError if there is none, or more than one."""
        if attribute == "_directory":  # of one that is being copied, and has nothing yet
            raise AttributeError(attribute)
        directory = self._directory
        names = directory.attributes().get(attribute, ())
        if len(names) == 1:
            return directory.find(names[0])
        if names:
            which = " and ".join(map(repr, names))
            text = (
                f"{directory.kind}s {which} of {directory.owner()} share the attribute {attribute}: use [{names[0]!r}]"
            )
        else:
            text = f"{directory.owner()} has no {directory.kind} {attribute!r}"
            if not directory.items:
                text += ", nor is any other known: is the client connected?"
        raise AttributeError(text, name=attribute, obj=self)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(tuple(self._directory.items))

    def __len__(self) -> int:
        return len(self._directory.items)

    def __contains__(self, name: object) -> bool:
        return name in self._directory.items

    def __dir__(self) -> list[str]:
        """Return the attributes that lead to one thing each, for tab completion."""
        return sorted(attribute for attribute, names in self._directory.attributes().items() if len(names) == 1)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._directory.items)

    def __repr__(self) -> str:
        directory = self._directory
        return f"<{len(self)} {directory.kind}s of {directory.owner()}>"
