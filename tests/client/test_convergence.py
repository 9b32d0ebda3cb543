"""A device of this library that changes at random: whoever follows it ends up with what it has and what it reads."""

import itertools

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition
from tests.machine import LoopMachine, Seconds, Turns, one_of, run_by_chance, stepping

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.device import DeviceClient
from katcp_aio.client.mirror import SensorMirror
from katcp_aio.model.reading import Status
from katcp_aio.model.sensor import Sensor
from katcp_aio.model.sensorset import SensorSet
from katcp_aio.server.device import DeviceServer
from katcp_aio.testing import serve

__all__ = []

NAMES = ["a", "b", "a.b", "a-b"]

step = stepping(Turns(1), Turns(2), Turns(3), Seconds(0.01), Seconds(1), Seconds(20), every=2)


class Changing(DeviceServer):
    VERSION = "changing-1.0"
    BUILD_STATE = "changing-1.0.0"


def shown(sensors):
    return {
        name: (sensor.type_name, sensor.description, sensor.reading.status, sensor.reading.value)
        for name, sensor in sensors.items()
    }


class ChangingDevice(LoopMachine):
    """A device, a client that follows it, and a copy of what that shows."""

    @initialize(protocol=st.sampled_from(["5.1", "5.0", "4.0"]))
    def begin(self, protocol):
        self.server = Changing(protocol=protocol, clock=self.clock)
        self.put("a", int)
        self.here = SensorSet(clock=self.clock)
        self.values = itertools.count()

    def put(self, name, kind):
        self.server.sensors.add(Sensor(kind, name, f"A {kind.__name__}"))

    def sensors(self):
        return [name for name in NAMES if name in self.server.sensors]

    @step(name=st.sampled_from(NAMES), kind=st.sampled_from([int, float, str]))
    def add(self, name, kind):
        self.note(self.put, name, kind)

    @precondition(sensors)
    @step(name=one_of(sensors))
    def remove(self, name):
        self.note(self.server.sensors.discard, name)

    @precondition(sensors)
    @step(name=one_of(sensors))
    def set(self, name):
        self.note(self.set_next, name)

    def set_next(self, name):
        if name in self.server.sensors:
            sensor = self.server.sensors[name]
            sensor.value = sensor.type.python(next(self.values))

    @precondition(lambda self: self.server.clients)
    @step()
    def lose(self):
        self.note(lambda: [connection.disconnect("for a test") for connection in self.server.clients])

    async def story(self):
        async with serve(self.server) as served:
            client = DeviceClient(
                "device", connector=served.connector, clock=self.clock, reconnect=Backoff(initial=0.1, settle=0.1)
            )
            with SensorMirror(client, self.here, strategy="event"):
                async with client:
                    await self.attempt(self.follow(client))

    async def follow(self, client):
        await self.take_steps()
        await self.clock.advance(60)
        sensors = self.server.sensors
        assert client.synced
        assert shown(self.here) == shown(sensors)
        assert set(client.sensor) == set(sensors)
        for name, sensor in sensors.items():
            sensor.set(sensor.value, Status.WARN)
            await self.clock.settle()
            assert client.sensor[name].status is Status.WARN


def test_whatever_happens_all_agree_in_the_end():
    run_by_chance(ChangingDevice, examples=100, steps=12)
