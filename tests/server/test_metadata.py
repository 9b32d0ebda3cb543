"""?sensor-metadata, on devices that have it."""

import pytest

from katcp_aio import READ_ONLY, DeviceServer, MetadataRequests, Sensor

__all__ = []


class Device(MetadataRequests, DeviceServer):
    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.sensors.add(Sensor(float, "rate", labels={"rack": "3", "place": "left side"}, set_by="set-rate"))
        self.sensors.add(Sensor(int, "count"))
        self.sensors.add(Sensor(int, "level", labels={"rack": "4"}))


@pytest.mark.parametrize("protocol", ["5.1", "4.0"])
async def test_tells_of_sensors_that_have_any(manual_clock, greeted, protocol):
    peer = await greeted(Device(clock=manual_clock, protocol=protocol))
    level = "#sensor-metadata level label:rack=4"
    rate = r"#sensor-metadata rate set-by=set-rate label:rack=3 label:place=left\_side"
    for asked, expected in [
        ("", [level, rate]),
        (" rate", [rate]),
        (" count", []),
        (" /e/", [level, rate]),
        (" /^l/", [level]),
        (" //", [level, rate]),
    ]:
        peer.send(f"?sensor-metadata{asked}")
        await peer.expect(*expected, f"!sensor-metadata ok {len(expected)}")
    peer.send("?sensor-metadata nope")
    await peer.expect(r"!sensor-metadata fail Unknown\_sensor\_'nope'")


async def test_with_an_id(manual_clock, greeted):
    peer = await greeted(Device(clock=manual_clock))
    peer.send("?sensor-metadata[7] level")
    await peer.expect("#sensor-metadata[7] level label:rack=4", "!sensor-metadata[7] ok 1")


async def test_is_there_where_it_is_asked_for_only(manual_clock, greeted, device_class):
    peer = await greeted(device_class(clock=manual_clock))
    peer.send("?sensor-metadata")
    await peer.expect(r"!sensor-metadata invalid Unknown\_request\_'sensor-metadata'")


def test_changes_nothing():
    assert "sensor-metadata" in READ_ONLY
