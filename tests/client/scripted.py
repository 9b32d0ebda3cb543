"""A scripted device with sensors of several types, and a client that knows it."""

import asyncio
import contextlib

from katcp_aio.client.device import DeviceClient
from katcp_aio.testing import FakeDevice, FakeSensor

DIALECTS = ["5.1-MITB", "5.0-MI", "5.0-M", "4.0"]


def sensors():
    return {
        "rate": FakeSensor("float", 1.5, ("0", "10"), "Pump rate", "Hz"),
        "mode": FakeSensor("discrete", "idle", ("idle", "slew")),
        "dsp.gain": FakeSensor("integer", 7),
        "dsp.level": FakeSensor("integer", 8),
    }


@contextlib.asynccontextmanager
async def pair(protocol="5.1-MITB", *, prepare=None, table=None, **options):
    """Yield a scripted device and a client that knows it."""
    async with FakeDevice(protocol, sensors=sensors() if table is None else table) as fake:
        if prepare is not None:
            prepare(fake)
        async with DeviceClient("fake", connector=fake.connector, **options) as device:
            yield fake, device


def asked(fake, name):
    """Return the arguments of all requests of that name that came, as texts."""
    return [[a.decode() for a in request.arguments] for request in fake.requests.requests(name)]


async def settle():
    """Let everything happen that happens without time going by."""
    await asyncio.get_running_loop().clock.settle()


async def step(fake, *change):
    """Tell the client of a change, and let it get in step again."""
    fake.inform("interface-changed", *change)
    await asyncio.get_running_loop().clock.advance(0.2)  # whole lists are read at a bounded rate
