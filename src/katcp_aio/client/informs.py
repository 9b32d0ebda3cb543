"""Who is told of which inform. Law: one program's callback that raises concerns neither the others nor the client.

Callbacks get the :class:`Message`. Methods named ``inform_*`` of a :class:`Client` subclass get the arguments instead,
decoded by their annotations; what no one handles goes to ``unhandled_inform``.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable

from ..errors import InvalidReply, UsageError
from ..model.signature import Signature
from ..reports import TroubleLog, report_exception
from ..wire.dialect import Dialect
from ..wire.message import Message
from ..wire.values import TypeRegistry, registry

__all__ = ["InformTable", "inform_methods", "typed_callback"]

Callback = Callable[[Message], object]

_PREFIX = "inform_"


class InformTable:
    """The callbacks of one client by the name of the inform, in the order they were added."""

    __slots__ = ("_callbacks", "_rest")

    def __init__(self, unhandled: Callback | None = None) -> None:
        # Tuples: changing one while it is walked is harmless. Each entry holds one callback, or none once it is ended.
        self._callbacks: dict[str, tuple[list[Callback], ...]] = {}
        self._rest: tuple[list[Callback], ...] = () if unhandled is None else ([unhandled],)

    def add(self, name: str, callback: Callback) -> Callable[[], None]:
        """Have ``callback(message)`` called for each inform ``name``; return a function that ends this and no other.

        Raises:
            UsageError: the callback is a coroutine function, which nobody would await.
        """
        if inspect.iscoroutinefunction(callback):
            raise UsageError(f"the callback for #{name} must be a plain function: {callback!r}")
        entry = [callback]
        self._callbacks[name] = (*self._callbacks.get(name, ()), entry)

        def cancel() -> None:
            entry.clear()
            if left := tuple(filter(None, self._callbacks.get(name, ()))):
                self._callbacks[name] = left
            else:
                self._callbacks.pop(name, None)

        return cancel

    def dispatch(self, inform: Message) -> None:
        """Call who wants to know of ``inform``. Exceptions are logged, as those of all callbacks."""
        for entry in self._callbacks.get(inform.name, self._rest):
            if not entry:
                continue  # ended by one before it
            callback = entry[0]
            try:
                callback(inform)
            except (Exception, asyncio.CancelledError):  # noqa: BLE001 - a program's callback may raise anything
                report_exception("callback %r raised on #%s", callback, inform.name)


def typed_callback(
    function: Callable[..., object],
    name: str,
    dialect: Callable[[], Dialect],
    trouble: TroubleLog,
    types: TypeRegistry = registry,
) -> Callback:
    """Return a callback that decodes an inform's arguments by ``function``'s annotations and passes them on.

    An inform whose arguments do not fit is counted and logged; ``function`` is not called.

    Raises:
        UsageError: ``function`` is no plain function, or has an annotation that nothing on the wire corresponds to.
    """
    signatures: dict[Dialect, Signature] = {}  # times are read differently in version 4

    def signature(spoken: Dialect) -> Signature:
        found = signatures.get(spoken)
        if found is None:
            found = signatures[spoken] = Signature(function, skip=0, registry=types, dialect=spoken, name=name)
        return found

    if signature(dialect()).kind != "plain":
        raise UsageError(f"the handler of #{name} must be a plain function: {function!r}")

    def call(inform: Message) -> None:
        try:
            values = signature(dialect()).bind(inform.arguments)
        except InvalidReply as error:
            trouble.tell("bad inform", "#%s: %s", name, error.text)
            return
        function(*values)

    return call


def inform_methods(owner: object) -> dict[str, Callable[..., object]]:
    """Return the ``inform_*`` methods of ``owner`` by the names of their informs; its class's MRO decides."""
    return {
        attribute.removeprefix(_PREFIX).replace("_", "-"): getattr(owner, attribute)
        for attribute in dir(type(owner))
        if attribute.startswith(_PREFIX) and callable(getattr(type(owner), attribute))
    }
