"""What waits on a group of devices, cancelled wherever it waits: all members are there, and work."""

import asyncio
import functools

import pytest
from tests.chance.cases import Cases
from tests.chance.stage import PROTOCOLS, follows, on_stage

from katcp_aio import DeviceClient, DeviceGroup

__all__ = []

CASES = Cases(on_stage)


def group(stage):
    return DeviceGroup({name: DeviceClient(**stage.options) for name in ("m0", "m1")})


def of_a_group(ask):
    """Make a case of what a group is asked."""

    async def case_of_group(stage):
        async with group(stage) as devices:
            await devices.wait_connected()
            stage.set_rate(1, 2)

            async def check():
                results = await devices.request("echo", "x")
                assert len(results.succeeded) == 2
                await asyncio.gather(*(follows(device, stage) for device in devices.values()))

            yield lambda: ask(devices), check

    return case_of_group


CASES.add(of_a_group(lambda devices: devices.request("echo", "x")), "group_request")
CASES.add(of_a_group(lambda devices: devices.req.echo("x")), "group_request_by_attribute")
CASES.add(of_a_group(lambda devices: devices.read("rate")), "group_read")
CASES.add(of_a_group(lambda devices: devices.sample("other", "event")), "group_sample")
CASES.add(of_a_group(lambda devices: devices.wait_for("rate", 2, timeout=10)), "group_wait_for")


@CASES.add
async def a_block_of_a_group(stage):
    async def work():
        async with group(stage) as devices:
            await devices.wait_connected()

    async def check():
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield work, check


@CASES.add
async def group_members(stage):
    async with group(stage) as devices:
        await devices.wait_connected()

        async def work():
            await devices.add("m2", DeviceClient(**stage.options))
            await devices.wait_connected()
            await devices.remove("m2")

        async def check():
            if "m2" in devices:
                await devices.remove("m2")
            await devices.wait_connected()
            assert len((await devices.request("echo", "x")).succeeded) == 2
            await asyncio.sleep(2)
            assert len(stage.server.clients) == 2

        yield work, check


@CASES.add
async def group_start_and_close(stage):
    devices = group(stage)

    async def work():
        await devices.start()
        await devices.wait_connected()
        await devices.close()

    async def check():
        await devices.close()
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield work, check


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", CASES)
def test_whatever_waits_may_be_cancelled_where_it_waits(name, protocol, cancel_everywhere):
    cancel_everywhere(functools.partial(CASES[name], protocol=protocol))
