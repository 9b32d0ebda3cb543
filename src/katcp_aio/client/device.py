"""A device with its requests and sensors. Law: it is a client, and what it shows is what the device last said.

The parts: ``sync.py`` keeps in step, ``sensors.py`` has the sensors, ``wishes.py`` and ``sampler.py`` their sampling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Self

import async_timeout

from ..errors import FailReply, InvalidReply, NotConnected, ProtocolError
from ..model.matching import expression
from ..model.reading import Reading
from ..wire.dialect import INTERFACE_CHANGED
from .backoff import Backoff
from .callbacks import Callbacks
from .client import Client
from .following import Condition
from .host import Host
from .inventory import Changes
from .link import reason_of
from .names import Directory, NameSpace
from .negotiation import GREETING
from .remote_sensor import RemoteSensor
from .requests import RequestFunction, request_function
from .sampler import sweep
from .sensors import SensorTable
from .states import State
from .sync import Synchroniser
from .timeouts import DEFAULT, Default
from .wishes import Sampling, Wishes

__all__ = ["DeviceClient"]

_BACKOFF = Backoff(initial=1.0, longest=60.0)

#: sensors: one by its name, several by ``/a regular expression/`` found in their names, or a list of names
Which = str | re.Pattern[str] | Iterable[str]


class DeviceClient(Client):
    """A client that knows the requests and sensors of its device, and stays in step with them.

    Inside ``async with`` it is connected and has read the device's interface. ``req`` and ``sensor`` have the requests
    and sensors by attribute (``device.req.set_rate``) and by item (``device.sensor["rate.max"]``).

    Args:
        host, port, options: as of :class:`Client`.
        sync_timeout: s for each request that reads the interface or sets up sampling.
        resync: delays between attempts to read it that fail.
    """

    def __init__(
        self,
        host: str = "",
        port: int = 0,
        *,
        sync_timeout: float = 30.0,
        resync: Backoff = _BACKOFF,
        **options: Any,
    ) -> None:
        super().__init__(host, port, **options)
        self._sync_timeout = sync_timeout
        self._on_changes: Callbacks[Changes] = Callbacks("changes")
        self._on_synced: Callbacks[bool] = Callbacks("synced")
        self._wishes = Wishes()
        services = Host(self, self._wishes, self.sample, self._look)
        self._table = SensorTable(services, self.dialect, self.trouble, self.types)
        self._sync = Synchroniser(
            self,
            self._table,
            self._wishes,
            timeout=sync_timeout,
            backoff=resync,
            on_changes=self._tell_changes,
            on_synced=self._on_synced.call,
        )
        self._sensors: Directory[RemoteSensor] = Directory("sensor", self._name, items=self._table.by_name)
        self._requests: Directory[RequestFunction] = Directory("request", self._name, self._make_request)
        self.sensor: NameSpace[RemoteSensor] = NameSpace(self._sensors)  #: the device's sensors
        self.req: NameSpace[RequestFunction] = NameSpace(self._requests)  #: its requests, as coroutine functions
        self._was_connected = False
        self.on_state(self._state_changed)
        self.on_inform("sensor-status", self._table.take)
        for name in sorted(INTERFACE_CHANGED):
            self.on_inform(name, self._sync.interface_changed)
        for name in GREETING:
            self.on_inform(name, self._sync.greeted)

    def _name(self) -> str:
        return self.description

    def _look(self, name: str) -> None:
        self._sync.look(name)

    def _make_request(self, name: str) -> RequestFunction:
        return request_function(self, name, self._sync.help[name])

    # From start to end

    async def start(self) -> None:
        """Begin to connect and to read the device's interface, in the background.

        Raises:
            UsageError: it was started or closed before.
        """
        await super().start()
        if self.state is not State.CLOSED:  # by a callback
            self._sync.start()

    async def close(self) -> None:
        """End the connection, as :meth:`Client.close`; the sensors stay as they were, unreachable."""
        self._link.check_loop()
        self._sync.cancel()
        try:
            await super().close()
        finally:
            await self._sync.stop()

    @property
    def synced(self) -> bool:
        """Whether requests and sensors are those of the connected device, and are sampled as was wished."""
        return self._sync.synced

    @property
    def sync_error(self) -> Exception | None:
        """Why the last attempt to read the device's interface failed, if it did."""
        return self._sync.error

    async def wait_synced(self, timeout: float | Default | None = DEFAULT) -> None:
        """Wait until :attr:`synced`. Cancelling it is safe.

        Args:
            timeout: s; the client's own unless given; None: any time.

        Raises:
            NotConnected: not in time, or never will be; says why, and ``__cause__`` is the last error.
        """
        limit = self.timeout if isinstance(timeout, Default) else timeout
        late = None
        try:
            async with async_timeout.timeout(limit):
                if await self._sync.wait_synced():
                    return
        except TimeoutError:
            late = f"{'its interface was not read' if self.connected else 'not connected'} within {limit:g} s"
        error = self.sync_error if self.connected else self.last_error
        reason = self._link.doubt if error is None else reason_of(error)
        why = f"{late or 'not connected'}: {reason}" if reason else late or "closed"
        raise NotConnected(why, device=self.description) from error

    async def __aenter__(self) -> Self:
        """Connect and read the interface, each within its timeout. Raises as :meth:`wait_synced`, and closes then."""
        await super().__aenter__()
        synced = False
        try:
            await self.wait_synced(self._sync_timeout)
            synced = True
        finally:
            if not synced:
                await self.close()
        return self

    def _state_changed(self, state: State) -> None:
        if state is State.CONNECTED:
            self._was_connected = True
            self._sync.connection_made()
        elif self._was_connected:
            self._was_connected = False
            self._sync.connection_lost()
        if state is State.CLOSED:
            self._sync.shut()

    # Changes

    def on_change(self, callback: Callable[[Changes], object]) -> Callable[[], None]:
        """Have ``callback(changes)`` called when requests or sensors changed; return a function that ends this.

        It is called once for all that changed together, after ``req`` and ``sensor`` have; what the first connection
        brings counts as added. A callback that raises is logged.
        """
        return self._on_changes.add(callback)

    def on_synced(self, callback: Callable[[bool], object]) -> Callable[[], None]:
        """Have ``callback(synced)`` called when :attr:`synced` changes; return a function that ends this."""
        return self._on_synced.add(callback)

    def _tell_changes(self, changes: Changes) -> None:
        self._sensors.changed()
        self._requests.items = self._sync.help
        self._requests.changed(*changes.requests_removed, *changes.requests_modified)
        self._on_changes.call(changes)

    # Sensors

    def matching(self, which: Which | None = None) -> list[RemoteSensor]:
        """Return the sensors that there are of ``which``: all, one, several, or those that match a pattern.

        Raises:
            ValueError: a text in slashes that is no regular expression.
        """
        if which is None:
            return list(self._table.by_name.values())
        pattern = _pattern(which)
        if pattern is None:
            return self._table.find([which] if isinstance(which, str) else list(which))  # type: ignore[arg-type]
        return [sensor for name, sensor in self._table.by_name.items() if pattern.search(name)]

    async def read(
        self, which: Which | None = None, *, timeout: float | Default | None = DEFAULT
    ) -> dict[str, Reading[Any]]:
        """Poll sensors, and return their readings by name. One request, wherever the device allows that.

        Args:
            which: a name, ``"/a regular expression/"``, names, or None for all.
            timeout: s for each request.

        Raises:
            FailReply: there is no sensor of a name that was given, or one cannot be read.
            ValueError: a text in slashes that is no regular expression.
            RequestTimeout, ConnectionLost, NotConnected: as of any request.
        """
        pattern = None if which is None else _pattern(which)
        if which is None or pattern is not None:
            return await self._read_many(pattern, timeout)
        names = [which] if isinstance(which, str) else list(which)  # type: ignore[arg-type]
        readings: dict[str, Reading[Any]] = {}
        if len(names) > self.limits.max_single_changes:  # all that there are cost less than many of them
            readings = await self._poll(None, timeout)

        async def read_one(name: str) -> None:
            found = await self._poll(name, timeout)
            if name not in found:
                raise ProtocolError(f"{self.description}: ?sensor-value {name} brought no reading of it")
            readings[name] = found[name]

        left = [name for name in names if name not in readings]
        await sweep(self, [lambda name=name: read_one(name) for name in left])  # type: ignore[misc]
        return {name: readings[name] for name in names}

    async def _read_many(
        self, pattern: re.Pattern[str] | None, timeout: float | Default | None
    ) -> dict[str, Reading[Any]]:
        if pattern is None:
            return await self._poll(None, timeout)
        try:
            # Servers in Python take expressions, though the specification has none; others say so.
            found = await self._poll(f"/{pattern.pattern}/", timeout)
        except (FailReply, InvalidReply):
            found = await self._poll(None, timeout)
        return {name: reading for name, reading in found.items() if pattern.search(name)}

    async def _poll(self, which: str | None, timeout: float | Default | None) -> dict[str, Reading[Any]]:
        reply = await self.request("sensor-value", *([] if which is None else [which]), timeout=timeout)
        return self._table.take_all(reply.informs)

    async def sample(self, which: Which, strategy: str, *params: object) -> bool:
        """Have the device send readings of sensors by a strategy from now on; see :meth:`RemoteSensor.sample`.

        What is wished by name holds for a sensor that the device does not have yet, too, and what is wished by pattern
        for all that it will ever have. The device may still be away. Many sensors cost one request, where the device
        takes that, or else many under way at once.

        Returns whether the strategy is in force; False while the device is away, or without a sensor of that name.

        Raises:
            FailReply, InvalidReply: the device refused for the one sensor; the wish is dropped, but not if the device
                says that it has no such sensor, which may come again.
            GroupError: it refused for several; ``causes`` has the errors by sensor.
            RequestTimeout: it did not answer in time; the wish stays.
            ValueError, TypeError: a pattern or parameter that cannot be.
        """
        wish = Sampling(strategy, params)
        wish.check(self.dialect, self.types)
        pattern = _pattern(which)
        if pattern is not None:
            self._wishes.set_pattern(pattern, wish)
            names = [name for name in self._table.by_name if pattern.search(name)]
        else:
            names = [which] if isinstance(which, str) else list(which)  # type: ignore[arg-type]
            for name in names:
                self._wishes.set(name, wish)
        if not self._sync.ready:
            return False
        known = [name for name in names if name in self._table.by_name]
        ticket = self._sync.sampler.expect(known, wish)
        self._sync.wake()
        return await ticket.future and len(known) == len(names)

    async def wait_for(self, name: str, condition: Condition, timeout: float | None = None) -> Reading[Any]:
        """Wait until a sensor meets a condition; see :meth:`RemoteSensor.wait_for`. KeyError if there is none."""
        return await self.sensor[name].wait_for(condition, timeout)


def _pattern(which: Which) -> re.Pattern[str] | None:
    """Return the regular expression, if it is one."""
    if isinstance(which, re.Pattern):
        return which
    if isinstance(which, str) and len(which) > 1 and which[0] == which[-1] == "/":
        return expression(which)
    return None
