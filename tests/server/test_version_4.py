"""Conversations as a client of version 4 has them (Rev 4), each line as it goes over the wire."""

import enum
import logging

import pytest

from katcp_aio import Address, DeviceServer, Lru, RequestContext, Sensor, Timestamp, TimestampOrNow

NOW = "1500000000000"  # the manual clock's, in milliseconds


class Mode(enum.Enum):
    IDLE = 0
    FAST_SLEW = 1


class Device(DeviceServer):
    VERSION = "antenna-1.0"
    BUILD_STATE = "antennasimulator-3.5a3"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.azimuth = self.sensors.add(Sensor(float, "acs.azim", "Azimuth", "Deg", nominal=(-230.0, 230.0)))
        self.mode = self.sensors.add(Sensor(Mode, "acs.mode", "Mode"))
        self.sensors.add(Sensor(Lru, "acs.drive", "Drive"))
        self.sensors.add(Sensor(Address, "acs.host", "Host", default=Address("127.0.0.1", 80)))
        self.count = self.sensors.add(Sensor(int, "acs.count", "Counter", nominal=(0, 9), warn=(-5, 99)))

    async def request_at(self, ctx: RequestContext, when: TimestampOrNow) -> Timestamp:
        """Do something at a time."""
        return Timestamp(1.5) if not isinstance(when, Timestamp) else when


@pytest.fixture
async def device(manual_clock):
    return Device(protocol="4.0", clock=manual_clock)


@pytest.fixture
async def peer(serve, device):
    peer = (await serve(device)).peer()
    await peer.expect("#version antenna-1.0", "#build-state antennasimulator-3.5a3")
    return peer


async def test_sensors_are_told_with_ranges_and_types_that_it_knows(peer):
    peer.send("?sensor-list")
    await peer.expect(
        r"#sensor-list acs.azim Azimuth Deg float -230.0 230.0",
        r"#sensor-list acs.count Counter \@ integer -5 99",
        r"#sensor-list acs.drive Drive \@ lru",
        r"#sensor-list acs.host Host \@ string",
        r"#sensor-list acs.mode Mode \@ discrete idle fast-slew",
        "!sensor-list ok 5",
    )
    peer.send("?sensor-value acs.host")
    await peer.expect(f"#sensor-value {NOW} 1 acs.host unknown 127.0.0.1:80", "!sensor-value ok 1")


async def test_sampling_is_in_milliseconds(peer, device, manual_clock):
    peer.send("?sensor-sampling acs.mode period 2000")
    await peer.expect(f"#sensor-status {NOW} 1 acs.mode unknown idle", "!sensor-sampling ok acs.mode period 2000")
    await manual_clock.advance(1.9)
    assert peer.unread == []
    device.mode.value = Mode.FAST_SLEW
    await manual_clock.advance(0.2)
    await peer.expect("#sensor-status 1500000001900 1 acs.mode nominal fast-slew")
    peer.send("?sensor-sampling acs.mode", "?sensor-sampling acs.mode none", "?sensor-sampling acs.mode")
    await peer.expect(
        "!sensor-sampling ok acs.mode period 2000",
        "!sensor-sampling ok acs.mode none",
        "!sensor-sampling ok acs.mode none",
    )
    peer.send("?sensor-sampling acs.azim differential 1.5")
    await peer.message("sensor-sampling")
    device.azimuth.set(2.0, Sensor.Status.INACTIVE)  # a status that it does not know
    await peer.expect("#sensor-status 1500000002100 1 acs.azim unknown 2.0")


async def test_what_it_has_not(peer):
    for name in ("version-list", "request-timeout-hint"):
        assert (await peer.ask(f"?{name}"))[-1].arguments[0] == b"invalid"
        assert (await peer.ask(f"?help {name}"))[-1].arguments[0] == b"fail"
    for strategy in ("event-rate 1 2", "differential-rate 1 2 3"):
        assert (await peer.ask(f"?sensor-sampling acs.azim {strategy}"))[-1].arguments[0] == b"fail"
    assert (await peer.ask("?sensor-sampling acs.azim,acs.mode event"))[-1].arguments[0] == b"fail"


async def test_what_changed_is_told_without_saying_what(peer, device):
    device.sensors.add(Sensor(int, "acs.new"))
    device.add_request("new", lambda ctx: None)
    await peer.ask("?watchdog")
    changes = [message for message in peer.received.items if message.name == "interface-changed"]
    assert [change.arguments for change in changes] == [()]  # once: a client looks at everything each time


async def test_help_does_not_have_it_sample_in_seconds(peer):
    text = (await peer.ask("?help sensor-sampling"))[0].arguments[1].decode()
    assert "in protocol 4 in milliseconds" in " ".join(text.split())
    assert "SECONDS" not in text


async def test_times_in_arguments_and_in_the_log_are_milliseconds(peer, device):
    peer.send("?at 2500", "?at now", "?at soon")
    await peer.expect("!at ok 2500", "!at ok 1500")
    assert (await peer.message("at")).arguments[0] == b"invalid"
    device.log.log(logging.ERROR, "hot")
    level, when, _, text = (await peer.message("log")).arguments
    assert (level, text) == (b"error", b"hot")
    assert float(when) > 1e12
    peer.send("nonsense")
    assert (await peer.message("log")).arguments[1].decode() == NOW


async def test_the_rest_is_as_in_version_5(peer):
    peer.send("?watchdog", "?client-list", "?log-level", "?nosuch", "?halt")
    await peer.expect("!watchdog ok", "#client-list memory", "!client-list ok 1", "!log-level ok warn")
    await peer.expect(r"!nosuch invalid Unknown\_request\_'nosuch'", "!halt ok", r"#disconnect server\_shutting\_down")


async def test_a_server_for_one_client(serve, manual_clock):
    served = await serve(Device(protocol="4.0", multi_client=False, clock=manual_clock))
    first = served.peer()
    await first.ask("?watchdog")
    second = served.peer()
    assert await first.end() == [rb"#disconnect New\_client\_connected\_from\_memory"]
    assert (await second.ask("?client-list"))[-1].arguments[0] == b"invalid"
