"""Labels and settable sensors, told to programs. Law: beyond the specification, so only where a device wants it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from ..model.metadata import Metadata
from ..model.sensor import Sensor
from ..wire.escapes import escape_all
from .base import DeviceBase
from .context import RequestContext
from .turns import in_turns

__all__ = ["MetadataRequests"]

_TOGETHER = 8  # lines made between two looks at the time: 50 us

_metadata = attrgetter("metadata")


class MetadataRequests(DeviceBase):
    """The request ?sensor-metadata, which is not of the specification, for a device that derives from this as well.

    ``class Pump(MetadataRequests, DeviceServer)`` tells the ``labels`` and ``set_by`` of its sensors to clients that
    ask; a :class:`katcp_aio.DeviceClient` does by itself.
    """

    async def request_sensor_metadata(self, ctx: RequestContext, name: bytes | None = None) -> int:
        """Tell programs more of one sensor, of those whose names a /regular expression/ is found in, or of all.

        Sends #sensor-metadata NAME [set-by=REQUEST] [label:LABEL=TEXT ...] for each that has any, sorted by name, and
        replies with their number.
        """
        sensors = await self.finder.find(name, ctx.client)
        # Looked at first, in turns: those that have none make no line, and between lines only are there turns.
        found = await in_turns(map(_metadata, sensors), ctx.client)
        return await ctx.send_lines(_lines(ctx.inform_head, zip(sensors, found, strict=True)), together=_TOGETHER)


def _lines(head: bytes, rows: Iterable[tuple[Sensor[Any], Metadata]]) -> Iterator[bytes]:
    for sensor, metadata in rows:
        if metadata:
            yield b"%b %b\n" % (head, escape_all((sensor.name.encode(), *metadata.words())))
