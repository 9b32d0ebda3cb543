"""What the quick rows share: the device under abuse, in the tests' own process."""

import asyncio

import pytest

from katcp_aio import DeviceServer, RequestContext, Sensor


class Victim(DeviceServer):
    """As the scorecard's device."""

    VERSION = "scorecard-1.0"
    BUILD_STATE = "scorecard-1.0.0"

    def __init__(self, *args, sensors=0, **kwargs):
        super().__init__(*args, **kwargs)
        self.slow = 0
        self.fast = self.sensors.add(Sensor(bytes, "fast"))
        for number in range(sensors):
            self.sensors.add(Sensor(int, f"rack.unit.level-{number:06d}"))

    async def request_slow(self, ctx: RequestContext, seconds: float) -> None:
        """Take a while."""
        self.slow += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.slow -= 1

    async def request_big(self, ctx: RequestContext, size: int) -> bytes:
        """Return many bytes."""
        return b"x" * size

    async def request_boom(self, ctx: RequestContext) -> None:
        """Fail in an unforeseen way."""
        raise RuntimeError("password is hunter2")


class Member(asyncio.Protocol):
    """One of a crowd, that only waits to be greeted."""

    def __init__(self):
        self.greeted = asyncio.get_running_loop().create_future()
        self.start = b""

    def data_received(self, data):
        if not self.greeted.done():
            self.start += data
            if b"#version-connect katcp-device " in self.start:
                self.greeted.set_result(None)


@pytest.fixture
def crowd_class():
    return Member


@pytest.fixture
def victim_class():
    return Victim


@pytest.fixture
async def abused(serve, manual_clock, victim_class):
    """Serve a device whose time stands still, and return it with an offender and another client."""

    async def connect(**options):
        served = await serve(victim_class(clock=manual_clock, **options))
        offender, other = served.peer(), served.peer()
        await offender.ask("?watchdog")
        await other.ask("?watchdog")
        return served, offender, other

    return connect
