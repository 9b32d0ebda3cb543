"""Types that one client alone knows, wherever values go out or come in."""

import enum

import pytest

from katcp_aio.client.client import Client
from katcp_aio.client.device import DeviceClient
from katcp_aio.errors import UsageError
from katcp_aio.testing import FakeDevice, FakeSensor
from katcp_aio.wire.values import registry

__all__ = []


class Angle:
    """Degrees; on the wire ``3deg``."""

    def __init__(self, degrees):
        self.degrees = degrees

    def __eq__(self, other):
        return isinstance(other, Angle) and self.degrees == other.degrees

    def __hash__(self):
        return hash(self.degrees)


@pytest.fixture
def types():
    """Types of which no other client knows."""
    child = registry.child()
    child.register(
        Angle,
        "angle",
        encode=lambda value: b"%ddeg" % value.degrees,
        decode=lambda raw: Angle(int(raw.removesuffix(b"deg"))),
        default=lambda: Angle(0),
    )
    return child


@pytest.mark.parametrize("protocol", ["5.1-MITB", "4.0"])
async def test_arguments_values_and_informs(types, protocol):
    told = []

    class Mount(Client):
        def inform_turned(self, to: Angle):
            told.append(to)

    async with FakeDevice(protocol) as fake:
        fake.on("turn", reply=("ok", "4deg"))
        with pytest.raises(UsageError, match="no KATCP type"):
            Mount("fake", connector=fake.connector)
        async with Mount("fake", connector=fake.connector, types=types) as mount:
            assert await mount.request("turn", Angle(3), 1.5, returns=(Angle,)) == (Angle(4),)
            assert fake.requests.requests("turn")[0].arguments == (b"3deg", b"1.5")
            with pytest.raises(TypeError, match=r"as \(Angle,\), and not a type itself"):
                await mount.request("turn", Angle(3), 1.5, returns=Angle)
            assert len(fake.requests.requests("turn")) == 1
            fake.inform("turned", "5deg")
            await mount.request("watchdog")
            assert told == [Angle(5)]


async def test_another_client_does_not_know_them(fake_device):
    async with Client("fake", connector=fake_device.connector) as client:
        with pytest.raises(TypeError, match="no KATCP type"):
            await client.request("turn", Angle(3))


async def test_sensors_and_what_they_are_sampled_by(types, manual_clock):
    manual_clock.auto = True
    async with FakeDevice(sensors={"azimuth": FakeSensor("angle", "7deg")}) as fake:
        async with DeviceClient("fake", connector=fake.connector, types=types) as mount:
            assert (await mount.sensor.azimuth.read()).value == Angle(7)
            assert mount.sensor.azimuth.type.name == "angle"
            await mount.sensor.azimuth.sample("beyond", Angle(2))
            assert fake.requests.requests("sensor-sampling")[0].arguments == (b"azimuth", b"beyond", b"2deg")
        async with DeviceClient("fake", connector=fake.connector) as mount:
            assert (await mount.sensor.azimuth.read()).value == b"7deg"


async def test_an_option_is_waited_for_as_this_client_writes_it(types, manual_clock):
    class Mode(enum.Enum):
        SLEW = 1

    types.register(Mode, "mode", encode=lambda mode: b"mode-%d" % mode.value, decode=Mode)
    manual_clock.auto = True
    async with (
        FakeDevice(sensors={"mode": FakeSensor("discrete", "mode-1", ("mode-0", "mode-1"))}) as fake,
        DeviceClient("fake", connector=fake.connector, types=types) as mount,
    ):
        assert (await mount.wait_for("mode", Mode.SLEW, timeout=1)).value == "mode-1"


async def test_a_parameter_of_sampling_that_cannot_be_told_from_others_is_refused_at_once(types, manual_clock):
    class Loose(Angle):
        __hash__ = None

    manual_clock.auto = True
    async with (
        FakeDevice(sensors={"azimuth": FakeSensor("angle", "7deg")}) as fake,
        DeviceClient("fake", connector=fake.connector, types=types) as mount,
    ):
        with pytest.raises(TypeError, match="unhashable"):
            await mount.sensor.azimuth.sample("beyond", Loose(2))
        await mount.sensor.azimuth.sample("event")
