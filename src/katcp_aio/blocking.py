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

import asyncio
import concurrent.futures
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

from .client.client import Client as AsyncClient
from .client.device import DeviceClient as AsyncDeviceClient
from .client.group import DeviceGroup as AsyncDeviceGroup
from .client.names import NameSpace
from .client.remote_sensor import RemoteSensor
from .errors import NotConnected, UsageError

__all__ = ["Blocking", "Client", "DeviceClient", "DeviceGroup", "Iteration"]

_END = object()

_BEGIN = 5.0
"""How long the thread of the loop may take until it runs, in seconds, before one that was interrupted while it was
started counts as never started."""


class _Portal:
    """The loop and its thread, for as long as somebody needs them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: set[_Line] = set()  # who needs it; a set, so that letting go is right whatever was interrupted
        self._thread: threading.Thread | None = None
        self._ready: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self._stop = asyncio.Event()

    def acquire(self, line: _Line) -> asyncio.AbstractEventLoop:
        """Have the loop running for ``line``, and return it."""
        with self._lock:
            self._lines.add(line)
            if self._thread is None:
                self._stop, self._ready = asyncio.Event(), concurrent.futures.Future()
                # A daemon: a program that forgets to close a client must still be able to end.
                self._thread = threading.Thread(
                    target=self._run, args=(self._ready, self._stop), name="katcp blocking", daemon=True
                )
                self._thread.start()
            return self._ready.result()

    def release(self, line: _Line) -> None:
        """Need the loop no more; the last one ends the thread, and waits for that. Doing it again does nothing."""
        with self._lock:
            self._lines.discard(line)
            thread, ready = self._thread, self._ready
            if self._lines or thread is None:
                return
            concurrent.futures.wait([ready], _BEGIN)  # Ctrl-C may have come while the thread was being started
            begun = not ready.cancel()
            if begun and ready.exception() is None:
                ready.result().call_soon_threadsafe(self._stop.set)
            self._thread = None
            if begun:  # pragma: no branch - Ctrl-C while the thread was being started
                thread.join()

    @staticmethod
    def _run(ready: concurrent.futures.Future[asyncio.AbstractEventLoop], stop: asyncio.Event) -> None:
        """Run the loop. It is made in its own thread: where it is, Ctrl-C never comes between two lines."""

        async def main() -> None:
            ready.set_result(asyncio.get_running_loop())
            await stop.wait()

        if not ready.set_running_or_notify_cancel():  # pragma: no cover - Ctrl-C while the thread was being started
            return
        try:
            with asyncio.Runner() as runner:  # not run(): where there is no loop, nobody would await main()
                runner.run(main())
        except Exception as error:
            if ready.done():  # pragma: no cover - a fault of the loop itself
                raise
            ready.set_exception(error)  # a machine without a free file descriptor has no loop to give


class _Line:
    """One client's way to the loop."""

    __slots__ = ("_lock", "loop", "who")

    def __init__(self, who: str) -> None:
        self.who = who
        self.loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def open(self) -> None:
        with self._lock:
            if self.loop is None:
                self.loop = _portal.acquire(self)

    def shut(self) -> None:
        with self._lock:
            self.loop = None
            _portal.release(self)

    def check(self) -> None:
        """Raise UsageError in the loop's own thread, which cannot wait for itself."""
        if self.loop is not None and _running_loop() is self.loop:
            raise UsageError(f"{self.who}: a callback runs in the loop's thread, where nothing may block")

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function in the loop's thread, wait for what it returns where that is to be awaited, and return that.

        A signal that raises, as Ctrl-C does, ends the waiting, and what was waited for is cancelled.
        """
        loop = self.loop
        if loop is None:  # nothing goes on in any other thread: what needs no loop can be done here
            result = function(*args, **kwargs)
            if inspect.iscoroutine(result):
                result.close()
                raise UsageError(f"{self.who} is not started, or closed")
            return result
        self.check()

        outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            # Not run_coroutine_threadsafe: Ctrl-C before it returns would leave a call that nobody can cancel.
            loop.call_soon_threadsafe(_begin, outcome, function, args, kwargs)
            return outcome.result()
        except concurrent.futures.CancelledError:
            raise NotConnected("closed while waiting", device=self.who) from None
        finally:
            outcome.cancel()  # does nothing to one that is done


def _begin(
    outcome: concurrent.futures.Future[Any], function: Callable[..., Any], args: Any, kwargs: dict[str, Any]
) -> None:
    """Call a function, in the loop's thread, and await its result in a task that ends with ``outcome``."""
    if outcome.cancelled():
        return
    loop = asyncio.get_running_loop()

    async def call() -> Any:
        found = function(*args, **kwargs)
        return await found if inspect.isawaitable(found) else found

    def given_up(outcome: concurrent.futures.Future[Any]) -> None:
        if outcome.cancelled():
            loop.call_soon_threadsafe(task.cancel)

    def ended(task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            outcome.cancel()
        if not outcome.set_running_or_notify_cancel():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(task.result())

    task = loop.create_task(call())
    task.add_done_callback(ended)
    outcome.add_done_callback(given_up)


_portal = _Portal()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Blocking:
    """An object of the asynchronous interface, with every ``await`` done.

    Its attributes are those of that object. Methods that are to be awaited there wait here; ``async for`` is ``for``,
    and ``async with`` is ``with``.
    """

    __slots__ = ("_line", "_target")

    def __init__(self, target: Any, line: _Line) -> None:
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


def _wrap(value: Any, line: _Line) -> Any:
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


def _method(function: Any, line: _Line) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return _wrap(line.run(function, *args, **kwargs), line)

    signature = getattr(function, "__signature__", None)
    if signature is not None:
        call.__signature__ = signature  # type: ignore[attr-defined]
    return call


class _Owner(Blocking):
    """Starts and closes what it stands for."""

    __slots__ = ()
    kind: type[Any]

    def __init__(self, *args: Any, **options: Any) -> None:
        target = self.kind(*args, **options)
        super().__init__(target, _Line(getattr(target, "description", "the group")))

    def start(self) -> None:
        """Begin to connect, in the background; see the asynchronous class."""
        self._begin(self._target.start)

    def close(self) -> None:
        """End it, for good; the last that is closed ends the thread as well. Closing again does nothing."""
        self._line.check()  # before anything is let go
        try:
            if self._line.loop is not None:
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
