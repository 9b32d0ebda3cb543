"""From wishes to ?sensor-sampling. Law: what is wished is asked for in as few requests as the device understands.

In bulk where it may (flag B; 5.1, section 7.2), otherwise one after another, many under way at once where replies have
ids. Whoever waits for a wish hears of the device's answer to it, and a refused wish is not asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from ..errors import ConnectionLost, GroupError, ProtocolError, RequestError, RequestTimeout
from ..wire.dialect import means_unknown_sensor
from .client import Client
from .remote_sensor import RemoteSensor
from .sensors import SensorTable
from .wishes import NONE, Sampling, Wishes, batches

__all__ = ["Sampler", "Ticket", "sweep"]


class Ticket:
    """Somebody who waits for what the device says to a wish for some sensors."""

    __slots__ = ("causes", "future", "names", "wish")

    def __init__(self, names: Iterable[str], wish: Sampling) -> None:
        self.names = set(names)
        self.wish = wish
        self.causes: dict[str, Exception] = {}
        self.future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if not self.names:
            self.future.set_result(True)

    def settle(self, name: str, error: Exception | None) -> None:
        """Take the outcome for one sensor."""
        self.names.discard(name)
        if error is not None:
            self.causes[name] = error
        if self.names or self.future.done():
            return
        if not self.causes:
            self.future.set_result(True)
        elif len(self.causes) == 1:
            self.future.set_exception(next(iter(self.causes.values())))
        else:
            self.future.set_exception(GroupError(f"{len(self.causes)} sensors are not sampled", self.causes))

    def postpone(self) -> None:
        """Take note that the device is away: there is nothing to wait for now."""
        if not self.future.done():
            self.future.set_result(False)


class Sampler:
    """Brings the device in line with the wishes.

    Args:
        client: asks the device.
        table: its sensors.
        wishes: what is wished.
        timeout: s for one request.
    """

    def __init__(self, client: Client, table: SensorTable, wishes: Wishes, timeout: float) -> None:
        self._client = client
        self._table = table
        self._wishes = wishes
        self._timeout = timeout
        self._tickets: dict[str, list[Ticket]] = {}
        self._unsure: set[str] = set()  # sensors that the device may sample or not, whatever they say
        self._silent: set[str] = set()  # sensors of which the device did not answer in time, on any connection
        self.due: dict[str, None] = {}  #: sensors to be looked at, in order

    def expect(self, names: Sequence[str], wish: Sampling) -> Ticket:
        """Have these sensors looked at, for which ``wish`` was made, and return what tells the outcome."""
        ticket = Ticket(names, wish)
        for name in names:
            self.due[name] = None
            self._tickets.setdefault(name, []).append(ticket)
        return ticket

    def doubt(self, sensors: Iterable[RemoteSensor]) -> None:
        """Take note that it is not known any more how the device samples these: it is told again, if only to end it."""
        for sensor in sensors:
            if sensor.sampling is not None:
                sensor.sampling = None
                self._unsure.add(sensor.name)

    def forget(self, names: Iterable[str]) -> None:
        """Take note that the device has no such sensors any more."""
        self._unsure.difference_update(names)
        self._silent.difference_update(names)

    def lose(self) -> None:
        """Take note that the device is away."""
        self.due.clear()
        self._unsure.clear()
        tickets, self._tickets = self._tickets, {}
        for waiting in tickets.values():
            for ticket in waiting:
                ticket.postpone()

    async def apply(self) -> None:
        """Ask for all that is due.

        Raises:
            ConnectionLost: what is still due is asked for on the next connection.
            Exception: of some sensors it is unknown how they are sampled; who waits for them gets it as well, and they
                are due again.
        """
        while self.due:
            names, self.due = self.due, {}
            wanted: dict[str, Sampling] = {}
            known, effective = self._table.by_name.get, self._wishes.effective
            # Those last that may keep the others waiting, and without ids cost the connection.
            for name in sorted(names, key=self._silent.__contains__) if self._silent else names:
                sensor = known(name)
                wish = effective(name)
                if sensor is None or (wish == sensor.sampling and name not in self._unsure):
                    self._settle([name], wish or NONE, None)
                else:
                    wanted[name] = wish or NONE
            try:
                await self._ask(wanted)
            except ConnectionLost:
                raise
            except Exception as error:
                for sensor in self._table.find(wanted):
                    if sensor.name in self._unsure or self._wishes.effective(sensor.name) != sensor.sampling:
                        self._settle([sensor.name], wanted[sensor.name], error)
                        self.due[sensor.name] = None
                raise

    async def _ask(self, wanted: dict[str, Sampling]) -> None:
        client = self._client
        bulk = client.dialect.bulk_sampling
        silent: list[RemoteSensor] = []
        groups = batches(wanted, client.limits.bulk_batch if bulk else 1)

        def asking(wish: Sampling, names: list[str]) -> Callable[[], Awaitable[None]]:
            return lambda: self._set(wish, names, silent)

        try:
            await sweep(client, [asking(wish, names) for wish, names in groups])
            await self._first_values(silent)
        except Exception:
            self.doubt(silent)  # to be asked for again, and the value with it
            raise
        for sensor in silent:
            self._settle([sensor.name], sensor.sampling, None)

    async def _set(self, wish: Sampling, names: list[str], silent: list[RemoteSensor]) -> None:
        """Ask for one strategy for some sensors; those that sent no reading then are added to ``silent``."""
        sensors = self._table.find(names)
        before = [sensor.reading for sensor in sensors]
        try:
            await self._client.request(
                "sensor-sampling", ",".join(names), wish.strategy, *wish.params, timeout=self._timeout
            )
        except RequestError as error:
            if len(names) > 1:  # the device takes all or none (5.1, section 7.2): find out which it will not
                await sweep(self._client, [self._one(wish, name, silent) for name in names])
            else:
                self._refused(names[0], wish, error)
            return
        except (RequestTimeout, ProtocolError) as error:
            if not isinstance(error, RequestTimeout) or error.sent:
                self._unsure.update(names)
                self._silent.update(names)
            raise
        await asyncio.sleep(0)  # the reply's batch: some devices tell the first reading behind it
        self._unsure.difference_update(names)
        self._silent.difference_update(names)
        none = wish == NONE
        told: list[str] = []
        for sensor, reading in zip(sensors, before, strict=True):
            sensor.sampling = None if none else wish
            if sensor.reading is reading and not none:
                silent.append(sensor)
            else:
                told.append(sensor.name)
        self._wishes.accept(names, wish)
        self._settle(told, wish, None)

    def _one(self, wish: Sampling, name: str, silent: list[RemoteSensor]) -> Callable[[], Awaitable[None]]:
        return lambda: self._set(wish, [name], silent)

    def _refused(self, name: str, wish: Sampling, error: RequestError) -> None:
        waited_for = name in self._tickets or name in self._wishes.loans
        if wish != NONE:
            # It may be gone since the list was read; the next list has it, if it is back, and it is looked at again.
            self._wishes.refuse(name, wish, error, absent=means_unknown_sensor(error.text))
            if self._wishes.effective(name) != wish:
                self.due[name] = None  # what the same sensor was or is wished to do otherwise
            if not waited_for:
                self._client.trouble.tell("sampling refused", "sensor %s, %s: %s", name, wish.strategy, error)
        else:
            self._unsure.discard(name)  # or it would be told so for ever
        self._settle([name], wish, error)

    async def _first_values(self, sensors: list[RemoteSensor]) -> None:
        """Ask for the values of sensors that a device promised to sample and sent nothing of (C devices do not)."""
        client = self._client
        if len(sensors) > client.limits.max_single_changes:
            polls = [self._poll()]
        else:
            polls = [self._poll(sensor.name) for sensor in sensors]
        await sweep(client, polls)

    def _poll(self, *name: str) -> Callable[[], Awaitable[None]]:
        async def poll() -> None:
            try:
                reply = await self._client.request("sensor-value", *name, timeout=self._timeout)
            except RequestError as error:
                self._client.trouble.tell(
                    "first value", "no first value of %s: %s", "".join(name) or "the sensors", error
                )
                return
            for inform in reply.informs:
                self._table.take(inform)

        return poll

    def _settle(self, names: Iterable[str], wish: Sampling | None, error: Exception | None) -> None:
        """Tell who waits what came of ``wish``; who wished otherwise since it was asked for waits for his own."""
        if not self._tickets:
            return
        for name in names:
            waiting = self._tickets.pop(name, [])
            later = [ticket for ticket in waiting if ticket.wish != wish] if name in self.due else []
            if later:
                self._tickets[name] = later
            for ticket in waiting:
                if ticket not in later:
                    ticket.settle(name, error)


async def sweep(client: Client, calls: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Make many calls that each make a request: ``Limits.max_sweep`` at once, or one by one where there are no ids.

    Raises what the first of those that failed did, once all that were under way have ended.
    """
    width = client.limits.max_sweep if client.dialect.message_ids else 1
    for start in range(0, len(calls), width):
        part = calls[start : start + width]
        if len(part) == 1:
            await part[0]()
            continue
        outcomes = await asyncio.gather(*(call() for call in part), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
