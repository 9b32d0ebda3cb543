"""A client over a bad network: whatever happens to the bytes, each request has one outcome, and it is its own."""

import asyncio
import collections

import pytest

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.client import Client
from katcp_aio.errors import ConnectionLost, RequestTimeout
from katcp_aio.testing import FakeDevice, FaultProxy, Faults

__all__ = []

BACKOFF = Backoff(initial=0.1, longest=1, randomness=0)
NETWORKS = {
    "pieces": Faults(split=3),
    "slow": Faults(split=40, delay=0.2),
    "resets": Faults(split=50, reset_after=2000),
    "closes": Faults(close_after=1500),
    "half-closes": Faults(split=9, half_close_after=1500),
    "black holes": Faults(blackhole_after=1500),
    "all of it": Faults(split=20, delay=0.02, reset_after=4000, half_close_after=4000, blackhole_after=6000),
}


@pytest.mark.parametrize("protocol", ["5.1-MI", "4.0"])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seed", range(2))
async def test_each_request_has_one_outcome(network, protocol, seed, manual_clock):
    async def echo(peer, request):
        await asyncio.sleep(0.01 * (int(request.arguments[0]) % 3))
        return request.arguments

    manual_clock.auto = True
    outcomes = collections.Counter()
    async with FakeDevice(protocol) as device, FaultProxy(device, NETWORKS[network], seed=seed) as proxy:
        device.on("echo", echo)
        client = Client(connector=proxy.connector, reconnect=BACKOFF, clock=manual_clock, heartbeat=5)
        await client.start()

        async def work(worker):
            for number in range(20):
                sent = (worker * 1000 + number, "a b\\c\n" * (number % 5))
                try:
                    answer = await client.request("echo", *sent, returns=(int, str), timeout=60)
                except (ConnectionLost, RequestTimeout) as error:
                    outcomes[type(error).__name__] += 1
                else:
                    assert answer == sent
                    outcomes["ok"] += 1

        await asyncio.gather(*(work(worker) for worker in range(10)))
        await client.close()
    assert outcomes.total() == 200
    assert outcomes["ok"] > 20
    if network in ("pieces", "slow"):
        assert outcomes["ok"] == 200


@pytest.fixture
async def vanished(manual_clock):
    """A client whose device has just vanished, without a word."""
    async with FakeDevice() as device, FaultProxy(device) as proxy:
        client = Client("fake", 1, connector=proxy.connector, reconnect=BACKOFF, clock=manual_clock, heartbeat=5)
        await client.start()
        await client.wait_connected()
        proxy.blackhole(new=False)
        yield client
        await client.close()


async def test_a_device_that_vanished_is_noticed_by_the_heartbeat(vanished, manual_clock):
    await manual_clock.advance(14.9)
    assert not vanished.trouble.counts
    await manual_clock.advance(1.1)
    assert vanished.trouble.counts["connection"] == 1
    await manual_clock.advance(1.1)
    assert vanished.connected
    assert (await vanished.request("watchdog")).ok


async def test_it_is_noticed_also_by_those_who_never_stop_asking(vanished, manual_clock):
    reasons = set()

    async def ask():
        while True:
            try:
                return await vanished.request("watchdog", timeout=3)
            except RequestTimeout:
                pass
            except ConnectionLost as error:
                reasons.add(error.reason)

    asking = [asyncio.create_task(ask()) for _ in range(3)]
    await manual_clock.advance(30)
    assert [(await task).ok for task in asking] == [True] * 3
    assert reasons == {"no sign of life in 10 s"}
    assert vanished.trouble.counts["connection"] == 1


async def test_a_long_request_is_no_sign_of_death(manual_clock):
    async with FakeDevice() as device:
        client = Client(connector=device.connector, clock=manual_clock, heartbeat=5)
        await client.start()
        await client.wait_connected()
        device.on("slow", delay=100)
        device.on("behind-it", reply=None)
        slow = asyncio.create_task(client.request("slow", timeout=200))
        behind = asyncio.create_task(client.request("behind-it", timeout=3))
        await manual_clock.advance(100)
        assert (await slow).ok
        with pytest.raises(RequestTimeout):
            await behind
        assert client.connected
        await client.close()
