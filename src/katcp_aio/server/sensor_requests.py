"""The requests about sensors (5.1, section 7.2). Law: validated whole before anything changes or is sent.

What is long is made in turns: other clients are served between them, and a client that does not read waits alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..errors import ConnectionLost, FailReply
from ..limits import Limits
from ..model.sensor import Sensor
from ..model.strategies import Strategy
from ..reports import plain
from ..wire.dialect import UNKNOWN_SENSOR
from .base import DeviceBase
from .context import RequestContext
from .sampling import Sampler
from .turns import Turns, in_turns

__all__ = ["SensorRequests"]

_TOGETHER = 16  # lines made between two looks at the time: 50 us

_ONE_ONLY = "; without a strategy, or without protocol flag B, only one can be named"
_STATUS_HEAD = len(b"#sensor-status")  # what a reply has another head for


class SensorRequests(DeviceBase):
    """Listing, polling and sampling sensors."""

    async def request_sensor_list(self, ctx: RequestContext, name: bytes | None = None) -> int:
        """Describe one sensor, those whose names a /regular expression/ is found in, or all.

        Sends #sensor-list NAME DESCRIPTION UNITS TYPE [PARAMETERS] for each, sorted by name, and replies with their
        number. The parameters are the options of a discrete sensor, or the nominal range of a number, then perhaps its
        warn range.
        """
        sensors = await self.finder.find(name, ctx.client)
        return await ctx.send_lines(_descriptions(ctx.inform_head, sensors, self.descriptions.line), together=_TOGETHER)

    async def request_sensor_value(self, ctx: RequestContext, name: bytes | None = None) -> int:
        """Tell the reading of one sensor, of those whose names a /regular expression/ is found in, or of all.

        Sends #sensor-value TIMESTAMP 1 NAME STATUS VALUE for each, sorted by name, and replies with their number.
        """
        sensors = await self.finder.find(name, ctx.client)
        return await ctx.send_lines(_values(ctx.inform_head, sensors, self.sampling.lines.line), together=_TOGETHER)

    async def request_sensor_sampling(
        self, ctx: RequestContext, names: bytes, strategy: str | None = None, *parameters: bytes
    ) -> tuple[bytes | str, ...]:
        """Set when this client is told of a sensor, or of several with commas between their names; or just tell it.

        The strategies: none; auto, as the device thinks best; period PERIOD; event, at each change; differential
        DIFFERENCE; and not in protocol 4, event-rate SHORTEST LONGEST; differential-rate DIFFERENCE SHORTEST LONGEST.
        Periods are in seconds, but in protocol 4 in milliseconds. The current reading is sent at once as #sensor-status
        TIMESTAMP 1 NAME STATUS VALUE. For several sensors, in protocol 5.1 only, it is all or nothing.
        """
        several = strategy is not None and self.dialect.bulk_sampling
        if several and names.count(b",") >= self.limits.max_subscriptions:
            raise self._too_many()  # a line may have millions, and telling them apart takes seconds
        text = names.decode("utf-8", "backslashreplace")
        async with ctx.client.long_reply:  # a short one does not overtake a long one that the client sent before
            sensors = self._find(text.split(",") if several else [text])
            if strategy is None:
                current = self._sampler(ctx).strategy(sensors[0])
                return (names, *(current.echo if current is not None else (b"none",)))
            made = await self._make(sensors, strategy, parameters, ctx.client)
            sampler = self._sampler(ctx)
            if len(sampler) + len(made) > self.limits.max_subscriptions and not _fits(
                sampler, zip(sensors, made, strict=True), self.limits
            ):
                raise self._too_many()
            await sampler.commit(zip(sensors, made, strict=True), ctx.client)
        return (names, *made[0].echo)

    async def request_sensor_sampling_clear(self, ctx: RequestContext) -> None:
        """Set the strategy of all sensors to none, for this client."""
        async with ctx.client.long_reply:
            if ctx.client.sampler is not None:
                await ctx.client.sampler.clear(ctx.client)

    def _too_many(self) -> FailReply:
        return FailReply(f"a client samples at most {self.limits.max_subscriptions} sensors")

    def _sampler(self, ctx: RequestContext) -> Sampler:
        """Return the client's sampler, made when it is first needed."""
        client = ctx.client
        if client.connection.lost:  # pragma: no cover - it went while a long request of its own was answered
            raise ConnectionLost("the client has gone", device=client.description)
        if client.sampler is None:
            client.sampler = self.sampling.sampler(client.connection)
        return client.sampler

    def _find(self, names: Iterable[str]) -> list[Sensor[Any]]:
        """Return the sensors of these names, each once."""
        names = dict.fromkeys(names)
        found = list(map(self.sensors.get, names))
        if None in found:
            name = list(names)[found.index(None)]
            raise FailReply(UNKNOWN_SENSOR.format(plain(name)) + (_ONE_ONLY if "," in name else ""))
        return found

    async def _make(
        self, sensors: Iterable[Sensor[Any]], strategy: str, parameters: tuple[bytes, ...], turns: Turns
    ) -> list[Strategy]:
        """Return a new strategy for each sensor, not yet started."""
        try:
            make = self.strategies.maker(strategy, parameters, self.dialect, self.limits)
            return await in_turns(map(make, sensors), turns)
        except ValueError as error:
            raise FailReply(str(error)) from None


def _fits(sampler: Sampler, wanted: Iterable[tuple[Sensor[Any], Strategy]], limits: Limits) -> bool:
    """Return whether the bound holds, counting that some sensors are sampled already, or are to be no more."""
    more = sum(strategy.reports and sampler.strategy(sensor) is None for sensor, strategy in wanted)
    return len(sampler) + more <= limits.max_subscriptions


def _descriptions(
    head: bytes, sensors: Iterable[Sensor[Any]], describe: Callable[[Sensor[Any]], bytes]
) -> Iterator[bytes]:
    for sensor in sensors:
        yield head + describe(sensor)


def _values(head: bytes, sensors: Iterable[Sensor[Any]], line: Callable[[Sensor[Any], Any], bytes]) -> Iterator[bytes]:
    for sensor in sensors:
        yield head + line(sensor, sensor.reading)[_STATUS_HEAD:]
