"""A device of this library that changes at random: whoever follows it ends up with what it has and what it reads."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.device import DeviceClient
from katcp_aio.client.mirror import SensorMirror
from katcp_aio.model.reading import Status
from katcp_aio.model.sensor import Sensor
from katcp_aio.model.sensorset import SensorSet
from katcp_aio.server.device import DeviceServer
from katcp_aio.testing import ManualClock
from katcp_aio.testing import serve as serve_in_memory

NAMES = ["a", "b", "a.b", "a-b"]


class Changing(DeviceServer):
    VERSION = "changing-1.0"
    BUILD_STATE = "changing-1.0.0"


def put(server, name, kind):
    server.sensors.add(Sensor(kind, name, f"A {kind.__name__}"))


actions = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(NAMES), st.sampled_from([int, float, str])),
    st.tuples(st.just("remove"), st.sampled_from(NAMES)),
    st.tuples(st.just("set"), st.sampled_from(NAMES)),
    st.tuples(st.just("lose")),
    st.tuples(st.just("turn"), st.integers(0, 3)),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 1.0, 20.0])),
)


def shown(sensors):
    return {
        name: (sensor.type_name, sensor.description, sensor.reading.status, sensor.reading.value)
        for name, sensor in sensors.items()
    }


async def scenario(clock, protocol, steps):
    server = Changing(protocol=protocol, clock=clock)
    put(server, "a", int)
    here = SensorSet(clock=clock)
    async with serve_in_memory(server) as served:
        client = DeviceClient(
            "device", connector=served.connector, clock=clock, reconnect=Backoff(initial=0.1, settle=0.1)
        )
        with SensorMirror(client, here, strategy="event"):
            async with client:
                for number, (action, *arguments) in enumerate(steps):
                    if action == "add":
                        put(server, *arguments)
                    elif action == "remove":
                        server.sensors.discard(*arguments)
                    elif action == "set" and arguments[0] in server.sensors:
                        sensor = server.sensors[arguments[0]]
                        sensor.value = sensor.type.python(number)
                    elif action == "lose":
                        for connection in server.clients:
                            connection.disconnect("for a test")
                    elif action == "turn":
                        for _ in range(arguments[0]):
                            await asyncio.sleep(0)
                    elif action == "wait":
                        await clock.advance(arguments[0])
                await clock.advance(60)
                assert client.synced
                assert shown(here) == shown(server.sensors)
                assert set(client.sensor) == set(server.sensors)
                for name, sensor in server.sensors.items():
                    sensor.set(sensor.value, Status.WARN)
                    await clock.settle()
                    assert client.sensor[name].status is Status.WARN


@pytest.mark.parametrize("protocol", ["5.1", "5.0", "4.0"])
@settings(max_examples=40, deadline=None)
@given(steps=st.lists(actions, max_size=25))
def test_whatever_happens_all_agree_in_the_end(protocol, steps):
    clock = ManualClock()
    clock.run(scenario(clock, protocol, steps))
