"""What waits on the client of a device, cancelled wherever it waits: its sensors are followed as before."""

import asyncio
import functools

import pytest
from tests.chance.cases import Cases
from tests.chance.stage import PROTOCOLS, follows, on_stage, works

from katcp_aio import DeviceClient, InfluxSink, SensorMirror, SensorRecorder
from katcp_aio.client.states import State
from katcp_aio.model.sensorset import SensorSet

__all__ = []

CASES = Cases(on_stage)


@CASES.add
async def close_of_a_device(stage):
    device = await DeviceClient(**stage.options).__aenter__()
    await device.sensor.rate.sample("event")

    async def check():
        await device.close()
        assert device.state is State.CLOSED
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield device.close, check


@CASES.add
async def a_block_of_a_device(stage):
    async def work():
        async with DeviceClient(**stage.options) as device:
            await device.req.echo("x")

    async def check():
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield work, check


@CASES.add
async def wait_synced(stage):
    device = DeviceClient(**stage.options)
    await device.start()

    async def check():
        await device.wait_synced()
        await follows(device, stage)

    yield device.wait_synced, check
    await device.close()


@CASES.add
async def request_by_attribute(stage):
    async with stage.device() as device:
        yield lambda: device.req.echo("x"), lambda: follows(device, stage)


@CASES.add
async def read_a_sensor(stage):
    async with stage.device() as device:

        async def check():
            assert (await device.sensor.rate.read()).value == 0
            await follows(device, stage)

        yield device.sensor.rate.read, check


@CASES.add
async def set_a_sensor(stage):
    async with stage.device() as device:

        async def check():
            await device.sensor.other.set(9)
            assert stage.server.other.value == 9
            await follows(device, stage)

        yield lambda: device.sensor.other.set(8), check


@CASES.add
async def read_by_pattern(stage):
    async with stage.device() as device:
        yield lambda: device.read("/./"), lambda: follows(device, stage)


@CASES.add
async def read_by_name(stage):
    async with stage.device() as device:

        async def check():
            assert list(await device.read(["rate", "other"])) == ["rate", "other"]
            await follows(device, stage)

        yield lambda: device.read(["rate", "other"]), check


@CASES.add
async def sample(stage):
    async with stage.device() as device:

        async def check():
            await asyncio.sleep(1)
            stage.server.rate.value = 5
            await asyncio.sleep(1)
            assert device.sensor.rate.value == 5  # cancelling does not take the wish back
            assert await device.sensor.rate.sample("none")
            stage.server.rate.value = 6
            await asyncio.sleep(1)
            assert device.sensor.rate.value == 5
            await follows(device, stage)

        yield lambda: device.sensor.rate.sample("event"), check


@CASES.add
async def sample_by_pattern(stage):
    async with stage.device() as device:

        async def check():
            await asyncio.sleep(1)
            stage.server.rate.value = stage.server.other.value = 5
            await asyncio.sleep(1)
            assert device.sensor.rate.value == device.sensor.other.value == 5
            await follows(device, stage)

        yield lambda: device.sample("/./", "event"), check


@CASES.add
async def wait_for(stage):
    async with stage.device() as device:
        stage.set_rate(1, 2)

        async def check():
            await follows(device, stage)
            assert not stage.server.clients[0].sampler  # given back: nobody looks at it any more

        yield lambda: device.sensor.rate.wait_for(2, timeout=10), check


@CASES.add
async def wait_for_by_name(stage):
    async with stage.device() as device:
        stage.set_rate(1, 2)
        yield lambda: device.wait_for("rate", 2, timeout=10), lambda: follows(device, stage)


@CASES.add
async def readings(stage):
    async with stage.device() as device:
        stage.set_rate(1, 2)

        async def work():
            async with device.sensor.rate.readings("event") as stream:
                async for reading in stream:
                    if reading.value == 2:
                        return

        async def check():
            await follows(device, stage)
            assert not stage.server.clients[0].sampler

        yield work, check


@CASES.add
async def readings_that_go_on(stage):
    async with stage.device() as device:
        await device.sensor.rate.sample("event")
        stream = device.sensor.rate.readings()
        stage.set_rate(1, 2, 3)
        seen = []

        async def work():
            while len(seen) < 3:
                seen.append((await anext(stream)).value)

        async def check():
            await work()
            assert seen == [1, 2, 3]
            await stream.aclose()
            await works(device)

        yield work, check


@CASES.add
async def a_mirror_of_a_device_that_comes_and_goes(stage):
    mirrored = SensorSet(clock=stage.clock)
    device = DeviceClient(**stage.options)

    async def work():
        with SensorMirror(device, mirrored, prefix="m."):
            async with device:
                stage.server.rate.value = 3
                await asyncio.sleep(1)
                assert mirrored["m.rate"].value == 3

    async def check():
        assert len(mirrored) == 0
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield work, check


@CASES.add
async def recording(stage):
    sent = []

    async def send(lines):
        await asyncio.sleep(0.1)
        sent.append(lines)

    async with stage.device() as device:
        stage.set_rate(1, 2)

        async def work():
            async with SensorRecorder({"m0": device}, InfluxSink(send), match="rate", clock=stage.clock):
                await asyncio.sleep(3)

        async def check():
            count = len(sent)
            await follows(device, stage)  # nobody else does
            assert len(sent) == count

        yield work, check


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", CASES)
def test_whatever_waits_may_be_cancelled_where_it_waits(name, protocol, cancel_everywhere):
    cancel_everywhere(functools.partial(CASES[name], protocol=protocol))
