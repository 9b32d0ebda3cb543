"""The server with katcp-python's clients, over TCP, in each version of the protocol."""

import asyncio
import enum
import json

import pytest

from katcp_aio.errors import FailReply
from katcp_aio.model.sensor import Sensor
from katcp_aio.server.device import DeviceServer
from katcp_aio.wire.values import Address, Timestamp

__all__ = []

LONG_AGO = 1234.5
PATIENCE = 50  # s, for a busy machine


class Mode(enum.Enum):
    IDLE = 0
    FAST_SLEW = 1


class Pump(DeviceServer):
    VERSION = "pump-1.0"
    BUILD_STATE = "pump-1.0.0"

    def __init__(self, **options):
        super().__init__("127.0.0.1", 0, **options)
        for sensor, value in (
            (Sensor(float, "rate", "Pump rate", "Hz", nominal=(0, 100)), 1.5),
            (Sensor(int, "starts", "Starts"), 3),
            (Sensor(bool, "on", "Whether it runs"), True),
            (Sensor(Mode, "mode", "Mode"), Mode.FAST_SLEW),
            (Sensor(str, "label", "Label"), "a b"),
            (Sensor(Timestamp, "since", "Start"), Timestamp(2345.5)),
            (Sensor(Address, "peer", "Peer"), Address("127.0.0.1", 5)),
        ):
            sensor.set(value, Sensor.Status.NOMINAL, LONG_AGO)
            self.sensors.add(sensor)

    async def request_set_rate(self, ctx, rate: float) -> float:
        """Set the rate."""
        self.sensors["rate"].value = rate
        return rate

    async def request_steps(self, ctx, n: int):
        """Report each step."""
        for step in range(n):
            yield step

    async def request_refuse(self, ctx):
        """Refuse."""
        raise FailReply("no such thing")

    async def request_echo(self, ctx, *arguments: bytes):
        """Return the arguments."""
        return arguments

    async def request_grow(self, ctx):
        """Get a sensor and a request more."""
        self.sensors.add(Sensor(int, "late", "A late one"))
        self.add_request("late-request", self.late)

    async def late(self, ctx):
        """Come late."""


@pytest.mark.parametrize("protocol", ["4.0", "5.0", "5.1"])
async def test_its_clients_find_and_use_everything(program, protocol):
    async with Pump(protocol=protocol) as pump, program("look.py", "127.0.0.1", pump.address.port) as looking:
        async with asyncio.timeout(PATIENCE):
            out, err = await looking.communicate()
        assert looking.returncode == 0, err.decode()
    found = json.loads(out)

    plain = found["plain"]
    assert plain["protocol"].startswith(protocol)
    assert ("katcp-device" in plain["versions"]) is (protocol != "4.0")
    assert plain["echo"] == [["ok", bytes(range(256)).decode("latin-1"), ""], []]
    assert plain["steps"] == [["ok", "3"], [["0"], ["1"], ["2"]]]
    assert plain["refused"] == [["fail", "no such thing"], []]
    assert plain["bad"][0][0] in ("fail", "invalid")
    assert plain["unknown"][0][0] == "invalid"
    time, rate, period = ("1234500", "1.5", "2500") if protocol == "4.0" else ("1234.5", "1.5", "2.5")
    reply, [[timestamp, *rest]] = plain["value"]
    assert (reply, float(timestamp), rest) == (["ok", "1"], float(time), ["1", "rate", "nominal", rate])
    assert plain["period"][0][:3] == ["ok", "rate", "period"]
    assert float(plain["period"][0][3]) == float(period)
    assert [reply[0][1] for reply in plain["many"]] == [f"{number:.1f}" for number in range(20)]

    resource = found["resource"]
    assert {"set_rate", "steps", "refuse", "echo", "help", "sensor_list", "watchdog"} <= set(resource["requests"])
    assert set(resource["sensors"]) >= {"rate", "starts", "on", "mode", "label", "since", "peer"}
    kinds = {"float", "integer", "boolean", "discrete", "string", "timestamp"}
    kinds |= set() if protocol == "4.0" else {"address"}  # which is a string to version 4
    assert kinds <= set(resource["types"].values())
    assert (resource["units"], resource["description"]) == ("Hz", "Pump rate")
    assert "Set the rate." in resource["help"]
    values = resource["values"]
    assert values["mode"] == [LONG_AGO, "nominal", "fast-slew"]
    assert values["since"] == [LONG_AGO, "nominal", "2345.5"]
    assert values["peer"][2] == ("127.0.0.1:5" if protocol == "4.0" else "('127.0.0.1', 5)")
    assert resource["reply"] == [True, ["ok", "7.25"]]
    assert resource["reached"]
    assert 7.25 in resource["seen"]
    assert resource["late"] == ["integer", True]
