"""What came, kept in order. Law: a recorder never decides, it remembers; the assertions ask it.

::

    recorder = Recorder()
    client.on_inform("log", recorder)                  # anything that takes a callback: on_inform, Sensor.attach, ...
    await recorder.wait(2)                             # until two have come
    recorder.assert_inform("log", "warn", ..., "pump", "dry")    # ... stands for any one argument

"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..model.reading import Reading, Status
from ..wire.message import Message, MessageType
from ..wire.values import encode
from .patience import Waiters, within

__all__ = ["PATIENCE", "Recorder", "listed", "matches"]

PATIENCE = 5.0  #: seconds that the kit waits for something, in the loop's time, unless told otherwise
_SHOWN = 20  # items in the text of a failure


def matches(message: object, kind: MessageType, name: str | None, arguments: tuple[object, ...] = (...,)) -> bool:
    """Return whether ``message`` is a message of that type and name, with these arguments.

    Args:
        name: None for any.
        arguments: Python values, compared as the wire has them. ``...`` stands for any one argument, and as the last
            for any number of them.
    """
    if not isinstance(message, Message) or message.type is not kind or name not in (None, message.name):
        return False
    expected, found = list(arguments), list(message.arguments)
    if expected[-1:] == [...]:
        expected.pop()
        found = found[: len(expected)]
    return len(expected) == len(found) and all(
        want is ... or encode(want) == have for want, have in zip(expected, found, strict=True)
    )


class Recorder:
    """Remembers what it is called with. Belongs to one event loop as soon as something waits for it.

    A call with one argument is remembered as that, a call with several (``callback(sensor, reading)``) as a tuple.

    Args:
        keep: ``keep(*what)`` says whether to remember it; everything, unless given.

    Attributes:
        items: all that came, in order. To be read, and cleared with :meth:`clear`.
    """

    def __init__(self, *, keep: Callable[..., bool] | None = None) -> None:
        self.items: list[Any] = []
        self._keep = keep
        self._waiters = Waiters()

    def __call__(self, *what: Any) -> None:
        """Remember ``what``."""
        if self._keep is not None and not self._keep(*what):
            return
        self.items.append(what[0] if len(what) == 1 else what)
        self._waiters.wake()

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]

    def __repr__(self) -> str:
        return f"<Recorder {listed(self.items)}>"

    def clear(self) -> None:
        """Forget what came so far."""
        self.items.clear()

    async def wait(
        self, count: int = 1, where: Callable[[Any], bool] | None = None, *, timeout: float = PATIENCE
    ) -> list[Any]:
        """Wait until ``count`` items have come, since the start or the last :meth:`clear`, and return these.

        Args:
            where: counts only the items for which it is true.
            timeout: seconds of the loop's time.

        Raises:
            TimeoutError: they did not; it tells what did come.
        """
        found: list[Any] = []

        def enough() -> bool:
            found[:] = [item for item in self.items if where is None or where(item)]
            return len(found) >= count

        async with within(timeout, lambda span: f"{len(found)} of {count} came {span}; all: {listed(self.items)}"):
            await self._waiters.until(enough, timeout)
        return found[:count]

    # In the field's words

    def requests(self, name: str | None = None) -> list[Message]:
        """Return the requests that came, of one name or all."""
        return [item for item in self.items if matches(item, MessageType.REQUEST, name)]

    def replies(self, name: str | None = None) -> list[Message]:
        """Return the replies that came, of one name or all."""
        return [item for item in self.items if matches(item, MessageType.REPLY, name)]

    def informs(self, name: str | None = None) -> list[Message]:
        """Return the informs that came, of one name or all."""
        return [item for item in self.items if matches(item, MessageType.INFORM, name)]

    def readings(self, sensor: str | None = None) -> list[Any]:
        """Return the readings that came from ``Sensor.attach(recorder)``, of one sensor by name or of all."""
        return [item[1] for item in self.items if _is_reading(item, sensor)]

    def assert_request(self, name: str, *arguments: object) -> Message:
        """Fail unless a request with these arguments came, and return the first; see :func:`matches`."""
        return self._assert(MessageType.REQUEST, name, arguments)

    def assert_reply(self, name: str, *arguments: object) -> Message:
        """Fail unless a reply with these arguments came, return code included, and return the first."""
        return self._assert(MessageType.REPLY, name, arguments)

    def assert_inform(self, name: str, *arguments: object) -> Message:
        """Fail unless an inform with these arguments came, and return the first."""
        return self._assert(MessageType.INFORM, name, arguments)

    def assert_reading(self, sensor: str, value: object, status: str | Status | None = None) -> Reading[Any]:
        """Fail unless ``Sensor.attach(recorder)`` brought such a reading of the sensor, and return the first.

        Args:
            status: None for any.

        Raises:
            AssertionError: none did; it tells those that came.
        """
        readings: list[Reading[Any]] = self.readings(sensor)
        word = status.value if isinstance(status, Status) else status
        for reading in readings:
            if reading.value == value and word in (None, reading.status.value):
                return reading
        wanted = f"{value!r}" if word is None else f"{word} {value!r}"
        raise AssertionError(f"no {wanted} of {sensor} among {listed(readings)}")

    def assert_nothing(self, name: str | None = None) -> None:
        """Fail if a message of that name came, or a reading of that sensor; without a name, if anything did."""
        found = [item for item in self.items if name is None or _is_named(item, name)]
        if found:
            raise AssertionError(f"expected nothing{f' named {name}' if name else ''}, and there came {listed(found)}")

    def _assert(self, kind: MessageType, name: str, arguments: tuple[object, ...]) -> Message:
        for item in self.items:
            if matches(item, kind, name, arguments):
                assert isinstance(item, Message)  # noqa: S101 - for the type checker
                return item
        values = ["..." if value is ... else repr(value) for value in arguments] or ["without arguments"]
        wanted = " ".join([f"{kind.value}{name}", *values])
        raise AssertionError(f"no {wanted} among {listed(self.items)}")


def _is_reading(item: Any, sensor: str | None) -> bool:
    """Return whether ``Sensor.attach(recorder)`` brought it, from the sensor of that name, if one is given."""
    if isinstance(item, Message) or not isinstance(item, tuple) or len(item) != 2:
        return False
    return isinstance(item[1], Reading) and sensor in (None, item[0].name)


def _is_named(item: Any, name: str) -> bool:
    return item.name == name if isinstance(item, Message) else _is_reading(item, name)


def listed(items: list[Any]) -> str:
    """Return the items as text, the last ones if there are many."""
    shown = "; ".join(map(_shown, items[-_SHOWN:]))
    more = f"({len(items) - _SHOWN} before) " if len(items) > _SHOWN else ""
    return f"{more}{shown}" if items else "nothing"


def _shown(item: Any) -> str:
    return bytes(item)[:-1][:200].decode("utf-8", "backslashreplace") if isinstance(item, Message) else repr(item)
