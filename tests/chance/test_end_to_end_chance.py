"""A device and its client over a bad network: when it has calmed down, the client shows what the device has.

Everything that happens follows from the seed, which the test's name tells: ``pytest "...::test_...[5.1-7]"``.
"""

import asyncio
import collections
import contextlib
import logging
import os
import random

import pytest

from katcp_aio import (
    ConnectionLost,
    DeviceClient,
    DeviceServer,
    FailReply,
    InvalidReply,
    Limits,
    NotConnected,
    RequestContext,
    RequestTimeout,
    Sensor,
    SensorMirror,
)
from katcp_aio.client.backoff import Backoff
from katcp_aio.model.sensorset import SensorSet
from katcp_aio.testing import FaultProxy, Faults, ManualClock, serve

__all__ = []

SEEDS = range(2000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 6)
NAMES = [f"s{number}" for number in range(6)]
STORM = 30.0  # seconds
WORKERS = 6


class Device(DeviceServer):
    VERSION = "chance-1.0"
    BUILD_STATE = "chance-1.0.0"

    async def request_echo(self, ctx: RequestContext, tag: int, seconds: float) -> int:
        """Answer after a while."""
        await asyncio.sleep(seconds)
        return tag

    async def request_rows(self, ctx: RequestContext, tag: int, count: int):
        """Send informs."""
        for row in range(count):
            yield tag, row


def faults(rng):
    """Draw what goes wrong."""
    return Faults(
        split=rng.choice([None, 1, 5, 60]),
        delay=rng.choice([0, 0, 0.02]),
        reset_after=rng.choice([None, None, 3000]),
        close_after=rng.choice([None, None, 3000]),
        half_close_after=rng.choice([None, None, 3000]),
        blackhole_after=rng.choice([None, None, 5000]),
    )


class Scenario:
    def __init__(self, rng, server, proxy, client):
        self.rng = rng
        self.server = server
        self.proxy = proxy
        self.client = client
        self.outcomes = collections.Counter()
        self.holes = False  # there may have been a black hole

    # What the device does

    def change(self):
        """Change something about the sensors."""
        rng, sensors = self.rng, self.server.sensors
        name = rng.choice(NAMES)
        what = rng.random()
        if what < 0.05:
            sensors.add(Sensor(rng.choice([int, float]), name, rng.choice(["A number", "Another"])))
        elif what < 0.1:
            sensors.discard(name)
        elif name in sensors:
            sensors[name].set(rng.randrange(100), rng.choice(list(Sensor.Status)[:4]))

    async def live(self):
        while True:
            await asyncio.sleep(self.rng.expovariate(20))
            self.change()

    async def storm(self):
        """Break what has not broken by itself."""
        while True:
            await asyncio.sleep(self.rng.expovariate(0.2))
            self.holes |= self.proxy.faults.blackhole_after is not None
            self.proxy.faults = faults(self.rng)
            how = self.rng.choice(["reset", "close", "half-close", "stall", "blackhole", "go on"])
            if how == "stall":
                self.proxy.stall(new=False)
            elif how == "blackhole":
                self.proxy.blackhole(new=False)
                self.holes = True
            elif how != "go on":
                self.proxy.end(how)
            elif not self.holes:  # TCP loses all from some byte on, and never some in between
                self.proxy.restore()

    # What the client's user does

    async def ask(self, worker):
        for number in range(1_000_000):
            tag = worker * 1_000_000 + number
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.rng.choice([None, None, 0.3])):  # some lose patience
                    self.outcomes[await self.outcome(tag)] += 1
            await asyncio.sleep(self.rng.uniform(0, 0.2))

    async def outcome(self, tag):
        rng = self.rng
        try:
            what = rng.randrange(5)
            if what < 2:
                assert await self.client.request("echo", tag, rng.choice([0, 0.1, 1]), returns=(int,)) == (tag,)
            elif what == 2:
                count = rng.randrange(5)
                reply = await self.client.request("rows", tag, count)
                assert [inform.arguments for inform in reply.informs] == [
                    (b"%d" % tag, b"%d" % n) for n in range(count)
                ]
            elif what == 3:
                await self.client.read("/s/")
            else:
                await self.look(rng.choice(NAMES))
        except (ConnectionLost, NotConnected) as error:
            return type(error).__name__
        except RequestTimeout:
            return "timeout"
        except (FailReply, InvalidReply) as error:
            if "unknown sensor" not in str(error).lower():  # it was removed meanwhile
                raise
            return "refused"
        return "ok"

    async def look(self, name):
        """Follow one sensor for a while."""
        if name not in self.client.sensor:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3), self.client.sensor[name].readings("event") as readings:
                async for reading in readings:
                    if reading.value == 50:
                        return

    # What is to be so in the end

    def differences(self, sensors, prefix=""):
        """What the client's sensors, or copies of them, show otherwise than the device's."""
        have = {name: (sensors[name].value, sensors[name].status) for name in sensors}
        want = {prefix + name: (sensor.value, sensor.status) for name, sensor in self.server.sensors.items()}
        return {name: (have.get(name), want.get(name)) for name in have | want if have.get(name) != want.get(name)}


async def play(clock, seed, protocol):
    rng = random.Random(seed)
    server = Device(clock=clock, protocol=protocol)
    for name in NAMES[:4]:
        server.sensors.add(Sensor(int, name))
    async with serve(server), FaultProxy(server, faults(rng), seed=seed) as proxy:
        client = DeviceClient(
            connector=proxy.connector,
            clock=clock,
            timeout=5,
            heartbeat=2,
            sync_timeout=4,
            reconnect=Backoff(initial=0.1, longest=1, randomness=0),
            resync=Backoff(initial=0.1, longest=1, randomness=0),
            limits=Limits(late_timeout=2),
        )
        scenario = Scenario(rng, server, proxy, client)
        copies = SensorSet(clock=clock)
        mirror = SensorMirror(client, copies, prefix="copy.", on_loss=rng.choice(["unreachable", "remove"]))
        await client.start()
        assert not await client.sample("/s/", "event")
        tasks = [asyncio.create_task(scenario.ask(worker)) for worker in range(WORKERS)]
        tasks += [asyncio.create_task(scenario.live()), asyncio.create_task(scenario.storm())]
        done, _ = await asyncio.wait(tasks, timeout=STORM)
        for task in done:  # none ends by itself, unless it failed
            task.result()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        proxy.faults = Faults()
        proxy.restore()
        proxy.end(rng.choice(["reset", "close"]))
        await asyncio.sleep(1)
        for _ in range(20):
            scenario.change()
        await client.wait_synced(60)
        await asyncio.sleep(1)
        assert scenario.differences(client.sensor) == {}
        assert scenario.differences(copies, "copy.") == {}
        assert (await client.request("echo", 7, 0, returns=(int,))) == (7,)
        assert len(server.clients) == 1
        assert scenario.outcomes["ok"] > 10
        mirror.close()
        await client.close()
        assert len(copies) == 0
        await asyncio.sleep(10)
        assert server.clients == ()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return scenario.outcomes


@pytest.mark.parametrize("protocol", ["5.1", "5.0", "4.0"])
@pytest.mark.parametrize("seed", SEEDS)
def test_after_the_storm_the_client_shows_what_the_device_has(seed, protocol, caplog):
    caplog.set_level(logging.ERROR, "katcp_aio")  # the trouble itself is expected
    clock = ManualClock(auto=True)
    print(clock.run(play(clock, seed, protocol)))  # noqa: T201 - shown when it fails
    assert [record.getMessage() for record in caplog.records] == []
