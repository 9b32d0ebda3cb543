"""A device with two sensors and two requests. Run it, and talk to it: ``telnet 127.0.0.1 5000``, then ``?help``."""

import argparse
import asyncio
import enum
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from katcp_aio import DeviceServer, FailReply, Range, RequestContext, Sensor, request, run


class Mode(enum.Enum):
    """On the wire: idle and calibrating."""

    IDLE = 0
    CALIBRATING = 1


class Pump(DeviceServer):
    """A pump that can be set to a rate, and be calibrated."""

    VERSION = "pump-1.0"  # of the interface: requests and sensors
    BUILD_STATE = "pump-1.0.3"  # of the program

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.rate = self.sensors.add(
            Sensor(float, "rate", "Pump rate", units="Hz", default=1.0, nominal=(0.5, 5.0), warn=(0.1, 10.0))
        )
        self.mode = self.sensors.add(Sensor(Mode, "mode", "Operating mode", default=Mode.IDLE))
        self.uptime = self.sensors.add(Sensor(float, "uptime", "Time since the start", units="s"))

    async def on_start(self) -> None:
        """Start what goes on in the background; if it fails, the device stops and says why."""
        self.add_service_task(self._count_seconds())

    async def _count_seconds(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.uptime.value += 1

    async def request_set_rate(
        self, ctx: RequestContext, rate: Annotated[float, Range(0, 10)], unit: Literal["hz", "rpm"] = "hz"
    ) -> float:
        """Set the pump rate and return the rate in force, in Hz."""
        if self.mode.value is not Mode.IDLE:
            raise FailReply("The pump is being calibrated")
        self.rate.value = rate if unit == "hz" else rate / 60  # the status follows from the ranges
        return self.rate.value

    @request(timeout_hint=30)
    async def request_calibrate(self, ctx: RequestContext) -> AsyncIterator[tuple[int, str]]:
        """Calibrate, reporting each step."""
        self.mode.value = Mode.CALIBRATING
        try:
            for step in range(1, 6):
                await asyncio.sleep(0.1)
                yield step, "done"  # an inform; the reply is `ok 5`
        finally:
            self.mode.value = Mode.IDLE


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int, nargs="?", default=5000)
    run(Pump("127.0.0.1", parser.parse_args().port))  # until SIGINT or SIGTERM
