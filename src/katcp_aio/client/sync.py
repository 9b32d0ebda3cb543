"""In step with the device. Law: one task asks for what has changed, once for all changes that came before it asked.

After each connect it reads ?help, the timeout hints and ?sensor-list; later what ``#interface-changed`` names, or
everything again where it names nothing. Of a device that has ?sensor-metadata it asks that with the list. A request
that fails is made again after a random, growing delay, so that a broken device is not hammered; what was known before
stays in place meanwhile.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping

import async_timeout

from ..errors import ConnectionLost, ProtocolError, RequestError, RequestTimeout
from ..model.metadata import Metadata
from ..reports import report_exception
from ..wire.dialect import means_unknown
from ..wire.message import Message
from .backoff import Backoff
from .client import Client
from .inventory import Changes, Scope, SensorInfo, compare, read_help, read_hints, read_metadata, read_sensors
from .sampler import Sampler
from .sensors import SensorTable
from .states import State
from .wishes import Wishes

__all__ = ["Synchroniser"]

_METADATA = "sensor-metadata"
_METADATA_SHARE = 0.25  # of the time for one request: nobody is to be late for what he can do without


class Synchroniser:
    """Keeps requests, sensors and sampling of one device up to date.

    Args:
        client: asks the device.
        table: gets the sensors.
        wishes: how they are to be sampled.
        timeout: s for one request: a list of ten thousand sensors takes its time on a small device.
        backoff: delays between attempts that fail.
        on_changes: called with all that changed, once the tables say so too.
        on_synced: called with whether all that is so, when that changes.
    """

    def __init__(
        self,
        client: Client,
        table: SensorTable,
        wishes: Wishes,
        *,
        timeout: float,
        backoff: Backoff,
        on_changes: Callable[[Changes], object],
        on_synced: Callable[[bool], object],
    ) -> None:
        self._client = client
        self._table = table
        self._wishes = wishes
        self._timeout = timeout
        self._backoff = backoff
        self._on_changes = on_changes
        self._on_synced = on_synced
        self._scope = Scope(everything=True)
        self._wake = asyncio.Event()  # something is to be done
        self._reconnected = asyncio.Event()  # no delay counts any more
        self._settled = asyncio.Event()  # in step, or never will be
        self._epoch = 0  # connections made and lost
        self._listed = -math.inf  # when whole lists were read last on this connection (s, monotonic)
        self._metadata_silent = False  # the device is asked for it no more
        self._task: asyncio.Task[None] | None = None
        self.sampler = Sampler(client, table, wishes, timeout)
        self.help: dict[str, str] = {}  #: request -> its help
        self.ready = False  #: the tables are those of the connected device
        self.synced = False  #: and its sensors are sampled as is wished
        self.error: Exception | None = None  #: why they are not, if an attempt failed

    # The outside

    def start(self) -> None:
        """Begin, in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"katcp sync {self._client.description}")

    def cancel(self) -> None:
        """Begin to end the task."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """End the task."""
        self.cancel()
        if self._task is not None and not self._task.done():  # else it may have ended with another loop
            await asyncio.wait([self._task])

    def wake(self) -> None:
        """Have a look at what is due."""
        self._wake.set()

    def look(self, name: str) -> None:
        """Have the sampling of a sensor looked at again."""
        self.sampler.due[name] = None
        self._wake.set()

    async def wait_synced(self) -> bool:
        """Wait until all is in step; False if that will never be."""
        while not self.synced and self._client.state is not State.CLOSED:
            await self._settled.wait()  # a connection may be lost in the turn in which it was in step
        return self.synced

    def shut(self) -> None:
        """Take note that the client is closed, by the program or since its only connection has ended."""
        self._settled.set()
        self._table.shut()
        self.cancel()

    def interface_changed(self, inform: Message) -> None:
        """Take note of #interface-changed, or #device-changed as devices built on the C library call it."""
        self._scope.add(inform.arguments)
        self._scope.widen(self._client.limits.max_single_changes)  # now, for it may take long until they are asked for
        self._wake.set()

    def greeted(self, _inform: Message) -> None:
        """Take note of a greeting that came late: who speaks otherwise than was assumed is read anew, times and all."""
        if self._table.speak(self._client.dialect):
            self._scope = Scope(everything=True)
            self._wake.set()

    def connection_made(self) -> None:
        """Take note that the device is there: it knows nothing of this client, and may be another than before."""
        self._epoch += 1
        self._table.speak(self._client.dialect)  # at once: what is asked while the lists are read has times as well
        self._listed = -math.inf
        self._scope = Scope(everything=True)
        self._reconnected.set()
        self._wake.set()

    def connection_lost(self) -> None:
        """Take note that the device is away."""
        self._epoch += 1
        self._table.lose()
        self.sampler.lose()
        self.ready = False
        self._set_synced(False)

    # The task

    async def _run(self) -> None:
        failures = 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._client.connected:
                continue  # woken again when it is
            self._reconnected.clear()
            try:
                if self._scope:
                    await self._renew()
                await self.sampler.apply()
                if self.ready and not self.synced:
                    self._table.forget_absence()
                    self._set_synced(True)
            except ConnectionLost:
                continue
            except (RequestError, RequestTimeout, ProtocolError) as error:
                await self._failed(error, failures)
                failures += 1
            except Exception:  # noqa: BLE001  # pragma: no cover - a fault of this library must not end the following
                report_exception("%s: keeping in step failed", self._client.description)
                await self._failed(None, failures)
                failures += 1
            else:
                failures = 0
                self.error = None

    async def _renew(self) -> None:
        """Read what may have changed; where that fails, sensors that are known can be sampled all the same."""
        await self._pause()
        try:
            await self._sync()
        except (RequestError, RequestTimeout, ProtocolError):
            if self.ready:
                await self.sampler.apply()
            raise

    async def _pause(self) -> None:
        """Read whole lists at a bounded rate, also from a device that says after each that it has changed again."""
        if self._scope.sensor_list or self._scope.request_list:
            loop = asyncio.get_running_loop()
            wait = self._listed + self._client.limits.resync_interval - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            self._listed = loop.time()

    async def _failed(self, error: Exception | None, failures: int) -> None:
        """Wait before the next attempt; a new connection ends the wait."""
        if error is not None:
            self.error = error.with_traceback(None)
            self._client.trouble.tell("sync", "%s: not in step: %s", self._client.description, error)
        try:
            async with async_timeout.timeout(self._backoff.delay(failures)):
                await self._reconnected.wait()
        except TimeoutError:
            pass
        self._wake.set()

    def _set_synced(self, synced: bool) -> None:
        if synced is not self.synced:
            self.synced = synced
            self._settled.set() if synced else self._settled.clear()
            self._on_synced(synced)

    async def _sync(self) -> None:
        """Ask for what may have changed, and put it in place whole: nobody sees half of an interface."""
        client, table = self._client, self._table
        scope, self._scope = self._scope, Scope()
        scope.widen(client.limits.max_single_changes)
        epoch, done = self._epoch, False
        try:
            requests, hints = await self._requests(scope)
            has_metadata = _METADATA in (self.help if requests is None else requests)
            scope.sensor_list |= has_metadata and _METADATA not in self.help  # what was read before it is without
            sensors = await self._sensors(scope)
            if sensors and has_metadata:
                await self._add_metadata(scope, sensors)
            done = epoch == self._epoch
        finally:
            if not done:
                self._scope.include(scope)
        if not done:
            raise ConnectionLost("connection lost while the interface was read", device=client.description)
        old_rows, old_help = table.rows(), self.help
        if sensors is not None:
            self._put(scope, sensors)
        if requests is not None:
            self.help = requests
            client.timeout_hints.clear()
            client.timeout_hints.update(hints)
        changes = Changes(*compare(old_rows, table.rows()), *compare(old_help, self.help))
        self._resample(scope, changes)
        self.ready = True
        if changes:
            self._on_changes(changes)

    def _resample(self, scope: Scope, changes: Changes) -> None:
        """Have all sensors looked at that the device may have replaced."""
        names = list(self._table.by_name) if scope.sensor_list else [*scope.sensors, *changes.sensors_added]
        self._wishes.forget_refusals(changes.sensors_modified | changes.sensors_removed)
        self.sampler.forget(changes.sensors_removed)
        if self._wishes:
            self.sampler.due.update(dict.fromkeys(names))

    # What to ask

    async def _ask(self, name: str, *argument: str, share: float = 1.0) -> list[Message]:
        """Return the informs of a request; none if the device does not have the request, or what it asks for."""
        try:
            return (await self._client.request(name, *argument, timeout=self._timeout * share)).informs
        except RequestError as error:
            if means_unknown(str(error)):
                return []
            raise

    async def _requests(self, scope: Scope) -> tuple[dict[str, str] | None, Mapping[str, float]]:
        """Return the requests as they are now, and the hints; None if nothing is to be asked."""
        if not scope.request_list and not scope.requests:
            return None, {}
        if scope.request_list:
            found = read_help(await self._ask("help"))
        else:
            found = dict(self.help)
            for name, removed in scope.requests.items():
                found.pop(name, None)
                if not removed:
                    found.update(read_help(await self._ask("help", name)))
        hints = await self._ask("request-timeout-hint") if self._client.dialect.timeout_hints else []
        return found, read_hints(hints)

    async def _sensors(self, scope: Scope) -> dict[str, SensorInfo] | None:
        """Return the rows of all sensors, or of those to be asked for one by one; None if nothing is to be asked."""
        if scope.sensor_list:
            return read_sensors(await self._ask("sensor-list"))
        rows: dict[str, SensorInfo] = {}
        for name, removed in scope.sensors.items():
            if not removed:
                # May bring others, too: C devices answer for all whose names begin so.
                rows.update(read_sensors(await self._ask("sensor-list", name)))
        return rows if scope.sensors else None

    async def _add_metadata(self, scope: Scope, rows: dict[str, SensorInfo]) -> None:
        """Put what ?sensor-metadata tells to the rows. Where that fails, what was known stays, and all else goes on."""
        client, known = self._client, self._table.rows()
        found = {name: known[name].metadata for name in rows if name in known}
        if not self._metadata_silent:
            try:
                found = await self._metadata(scope, rows)
            except (RequestError, RequestTimeout, ProtocolError) as error:
                client.trouble.tell("sensor metadata", "labels of sensors are not known: %s", error)
                # Without ids a reply that never comes costs the connection, so it is not asked for on the next one.
                self._metadata_silent = isinstance(error, RequestTimeout) and not client.dialect.message_ids
        for name, metadata in found.items():
            if name in rows:
                rows[name] = rows[name]._replace(metadata=metadata)

    async def _metadata(self, scope: Scope, rows: Mapping[str, SensorInfo]) -> dict[str, Metadata]:
        """Return what ?sensor-metadata tells of all sensors, or of those to be asked for one by one."""
        trouble = self._client.trouble
        if scope.sensor_list:
            return read_metadata(await self._ask(_METADATA, share=_METADATA_SHARE), trouble)
        found: dict[str, Metadata] = {}
        for name in [name for name in scope.sensors if name in rows]:
            found.update(read_metadata(await self._ask(_METADATA, name, share=_METADATA_SHARE), trouble))
        return found

    def _put(self, scope: Scope, rows: Mapping[str, SensorInfo]) -> None:
        # It dropped the sampling with a sensor that it replaced, also by one that looks the same; or goes on with it.
        self.sampler.doubt(self._table.find(list(self._table.by_name) if scope.sensor_list else scope.sensors))
        if scope.sensor_list:
            self._table.put_all(rows)
            return
        for name in scope.sensors:
            if name in rows:
                self._table.put(rows[name])
            else:
                self._table.drop(name)
