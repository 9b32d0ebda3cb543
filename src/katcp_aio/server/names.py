"""Names that a server needs for itself. Law: whoever takes one by accident is told so at that very line.

A device's author derives from the server and adds attributes. A ``self.sensors = []`` would take all sensors away, and
a ``self.start = time()`` the method, without a word until much later.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from typing import Any, Final

from ..errors import UsageError

__all__ = ["OwnNames"]

_LIBRARY: Final = __name__.partition(".")[0]
#: Set once, when the server is built: others hold on to them.
_FIXED: Final = frozenset(
    {
        "clock",
        "descriptions",
        "dialect",
        "finder",
        "handlers",
        "limits",
        "log",
        "sampling",
        "sensors",
        "strategies",
        "trouble",
        "types",
    }
)
#: Set when the server is built, so that an attribute of the class would never be seen; may be set again.
_SET: Final = frozenset(
    {"access", "audit", "debug", "device_row", "library_row", "log_level", "logger", "loop", "serial", "versions"}
)


class OwnNames:
    """A class that keeps its names: those of attributes which are set once, of its methods and of its properties.

    A method may be overridden, in a class or in one instance, by what can be called; a property by a property.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Look at a class that derives from this one. Raises UsageError if it takes a name."""
        super().__init_subclass__(**options)
        ours = next(kind for kind in cls.__mro__ if _is_the_librarys(kind))
        for kind in itertools.takewhile(lambda kind: kind is not ours, cls.__mro__):  # mix-ins among them
            for name, value in vars(kind).items():
                if name in _FIXED or name in _SET or not _may_override(getattr(ours, name, None), value, name):
                    raise _taken(kind, name)

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute. Raises UsageError if that would take away one of the server's own."""
        kind = type(self)
        if (name in _FIXED and name in self.__dict__) or not _may_override(getattr(kind, name, None), value, name):
            raise _taken(kind, name)
        super().__setattr__(name, value)


def _may_override(old: object, new: object, name: str) -> bool:
    """Return whether ``new`` may stand where ``old`` is found now."""
    if isinstance(old, property):
        return not _is_the_librarys(old.fget) or isinstance(new, property | functools.cached_property)
    if inspect.isfunction(old) and _is_the_librarys(old):
        return callable(new) or isinstance(new, staticmethod | classmethod) or name.startswith("request_")
    return True


def _is_the_librarys(thing: object) -> bool:
    return str(getattr(thing, "__module__", "")).partition(".")[0] == _LIBRARY


def _taken(kind: type, name: str) -> UsageError:
    return UsageError(f"{kind.__name__}.{name}: the server has an attribute of that name itself; call yours another")
