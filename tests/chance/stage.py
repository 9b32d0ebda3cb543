"""A device in memory and clients of it, for cases of what waits on a client."""

import asyncio
import contextlib

from katcp_aio import DeviceClient, DeviceServer, Limits, MetadataRequests, RequestContext, Sensor, request
from katcp_aio.client.backoff import Backoff
from katcp_aio.testing import connect_in_memory, serve

LIMITS = Limits(late_timeout=1)
PROTOCOLS = ["5.1", "4.0"]  # with message ids and without


class Device(MetadataRequests, DeviceServer):
    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"

    def __init__(self, clock, protocol):
        super().__init__(clock=clock, protocol=protocol)
        self.rate = self.sensors.add(Sensor(int, "rate"))
        self.other = self.sensors.add(Sensor(int, "other", set_by="set-other"))

    async def request_echo(self, ctx: RequestContext, word: str) -> str:
        """Say it again, after a while."""
        await asyncio.sleep(0.1)
        return word

    async def request_set_other(self, ctx: RequestContext, other: int):
        """Set the sensor, after a while."""
        await asyncio.sleep(0.1)
        self.other.value = other

    @request(cancel_on_disconnect=True)
    async def request_ages(self, ctx: RequestContext):
        """Answer when nobody believes in it any more."""
        await asyncio.sleep(1000)

    async def request_rows(self, ctx: RequestContext, count: int):
        """Send informs, one every tenth of a second."""
        for row in range(count):
            await asyncio.sleep(0.1)
            yield row


class Stage:
    """A device in memory, with clients of it."""

    def __init__(self, clock, served):
        self.clock = clock
        self.served = served
        self.server = served.server
        self.options = {
            "connector": self.connect,
            "clock": clock,
            "limits": LIMITS,
            "reconnect": Backoff(initial=0.5, randomness=0),
        }

    async def connect(self):
        await asyncio.sleep(0.05)  # as reaching a device takes
        return connect_in_memory(self.server)

    @contextlib.asynccontextmanager
    async def device(self):
        async with DeviceClient(**self.options) as device:
            yield device

    def later(self, seconds, function, *arguments):
        asyncio.get_running_loop().call_later(seconds, function, *arguments)

    def set_rate(self, *values):
        """Have the sensor read these values, one a second."""
        for number, value in enumerate(values, 1):
            self.later(number, setattr, self.server.rate, "value", value)


async def works(client):
    """Each request still gets its own reply."""
    assert await asyncio.gather(*(client.request("echo", word, returns=(str,)) for word in "abc")) == [
        ("a",),
        ("b",),
        ("c",),
    ]


async def follows(device, stage):
    """Sensors are still followed, and nobody else follows them."""
    stage.server.rate.value = 77
    await device.sensor.rate.wait_for(77, timeout=5)
    await works(device)
    await asyncio.sleep(1)


def on_stage(function):
    """Return the case that a function of a stage plays; its protocol is the first of :data:`PROTOCOLS` by default."""
    made = contextlib.asynccontextmanager(function)

    @contextlib.asynccontextmanager
    async def played(clock, protocol=PROTOCOLS[0]):
        async with serve(Device(clock, protocol)) as served, made(Stage(clock, served)) as parts:
            yield parts

    return played
