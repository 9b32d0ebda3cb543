"""The clients for code without a loop. Law: the same names and calls, without ``await``, from any thread.

::

    from katcp_aio.blocking import DeviceClient

    with DeviceClient("pump.example", 5000) as pump:
        pump.req.set_rate(2.5)
        print(pump.sensor.rate.read())
        for reading in pump.sensor.rate.readings("event"):
            ...

One event loop in a thread of its own serves all of them, and ends with the last that is closed. So it does not matter
whether the calling thread has a running loop, as in Jupyter. Callbacks (``attach``, ``on_inform``, predicates) run in
the loop's thread: they get the sensor itself, may look at it, and may not make requests.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Self

from decorator import decorate

from .client.client import Client as AsyncClient
from .client.device import DeviceClient as AsyncDeviceClient
from .client.group import DeviceGroup as AsyncDeviceGroup
from .client.names import NameSpace
from .client.remote_sensor import RemoteSensor
from .errors import NotConnected, UsageError
from .portal import Line

__all__ = ["Blocking", "Client", "DeviceClient", "DeviceGroup", "Iteration"]

_END = object()


class Blocking:
    """An object of the asynchronous interface, with every ``await`` done.

    Its attributes are those of that object. Methods that are to be awaited there wait here; ``async for`` is ``for``,
    and ``async with`` is ``with``.
    """

    __slots__ = ("_line", "_target")

    def __init__(self, target: Any, line: Line) -> None:
        self._target = target
        self._line = line

    def __getattr__(self, name: str) -> Any:
        if name in Blocking.__slots__:  # of one that is being copied, and has nothing yet
            raise AttributeError(name)
        target = self._target
        if isinstance(target, NameSpace):  # whose names may change while they are looked up
            return _wrap(self._line.run(getattr, target, name), self._line)
        return _wrap(getattr(target, name), self._line)

    def __dir__(self) -> list[str]:
        return list(self._line.run(dir, self._target))

    def __repr__(self) -> str:
        return f"<blocking {self._target!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blocking) and self._target is other._target

    def __hash__(self) -> int:
        return hash(id(self._target))

    def __getitem__(self, name: str) -> Any:
        return _wrap(self._line.run(self._target.__getitem__, name), self._line)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._line.run(list, self._target))

    def __len__(self) -> int:
        return int(self._line.run(len, self._target))

    def __bool__(self) -> bool:
        return True

    def __contains__(self, name: object) -> bool:
        return bool(self._line.run(self._target.__contains__, name))

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __enter__(self) -> Any:
        return _wrap(self._line.run(self._target.__aenter__), self._line)

    def __exit__(self, *error: object) -> None:
        self._line.run(self._target.__aexit__, *error)


class Iteration(Blocking):
    """What is read by ``async for`` there, to be read by ``for``; leaving the loop closes it."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        try:
            while (item := self._next()) is not _END:
                yield item
        finally:
            if not self._line.inside:  # where the collector may have come by it: being dropped is its end as well
                self.close()

    def __next__(self) -> Any:
        item = self._next()
        if item is _END:
            raise StopIteration
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Read no more. Closing again does nothing."""
        if self._line.loop is not None:
            self._line.run(self._target.aclose)

    def _next(self) -> Any:
        return self._line.run(_next_or_end, self._target)


async def _next_or_end(iterator: Any) -> Any:
    try:
        return await anext(iterator)
    except StopAsyncIteration:
        return _END


def _wrap(value: Any, line: Line) -> Any:
    """Return what stands for ``value`` here; data as it is."""
    if isinstance(value, AsyncClient | AsyncDeviceGroup | RemoteSensor | NameSpace):
        return Blocking(value, line)
    if isinstance(value, type):
        return value
    if hasattr(value, "__anext__"):
        return Iteration(value, line)
    if hasattr(value, "__aenter__"):
        return Blocking(value, line)
    if isinstance(value, list):
        return [_wrap(item, line) for item in value]
    if inspect.isroutine(value):
        return _method(value, line)
    return value


def _method(function: Any, line: Line) -> Any:
    def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return _wrap(line.run(function, *args, **kwargs), line)

    return decorate(function, call, kwsyntax=True)  # with its name, its docstring, and the signature that help() shows


class _Owner(Blocking):
    """Starts and closes what it stands for."""

    __slots__ = ()
    kind: type[Any]

    def __init__(self, *args: Any, **options: Any) -> None:
        target = self.kind(*args, **options)
        super().__init__(target, Line(getattr(target, "description", "the group")))

    def start(self) -> None:
        """Begin to connect, in the background; see the asynchronous class."""
        self._begin(self._target.start)

    def close(self) -> None:
        """End it, for good; the last that is closed ends the thread as well. Closing again does nothing."""
        self._line.check()  # before anything is let go
        try:
            if self._line.loop is not None:
                with contextlib.suppress(UsageError, NotConnected):  # another thread has closed it just now
                    self._line.run(self._target.close)
        finally:
            self._line.shut()

    def __enter__(self) -> Self:
        self._begin(self._target.__aenter__)
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @classmethod
    def connect(cls, *args: Any, **options: Any) -> Self:
        """Return a new one that is connected, as ``with`` does; close it in the end."""
        return cls(*args, **options).__enter__()

    def _begin(self, start: Callable[[], Any]) -> None:
        started = self._line.loop is not None  # a second start is an error, and no end of the first
        try:
            self._line.open()
            self._line.run(start)
            started = True
        finally:
            if not started:
                self.close()


class Client(_Owner):
    """:class:`katcp_aio.Client` without ``await``: the same arguments, attributes and methods."""

    __slots__ = ()
    kind = AsyncClient


class DeviceClient(_Owner):
    """:class:`katcp_aio.DeviceClient` without ``await``: the same arguments, attributes and methods."""

    __slots__ = ()
    kind = AsyncDeviceClient


class DeviceGroup(_Owner):
    """:class:`katcp_aio.DeviceGroup` without ``await``: the same arguments, attributes and methods."""

    __slots__ = ()
    kind = AsyncDeviceGroup
