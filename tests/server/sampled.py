"""What the tests of sampling share: sensors, and clients that sample them over connections in memory."""

import asyncio
import logging

from katcp_aio.connection import ConnectionProtocol
from katcp_aio.limits import Limits
from katcp_aio.model.sensor import Sensor
from katcp_aio.model.sensorset import SensorSet
from katcp_aio.model.strategies import make_strategy
from katcp_aio.reports import TroubleLog
from katcp_aio.server.sampling import Sampling
from katcp_aio.testing import memory_pair
from katcp_aio.wire.dialect import V51
from katcp_aio.wire.valuetype import custom_type

START = 1_500_000_000  # wall time of a ManualClock to begin with


class Reader(asyncio.Protocol):
    """The client's end: lines with the time at which they came."""

    def __init__(self, loop):
        self.loop = loop
        self.lines = []
        self._rest = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines += [(round(self.loop.time(), 6), line.decode()) for line in lines]

    @property
    def values(self):
        """(seconds, value) of each line."""
        return [(when, line.split()[-1]) for when, line in self.lines]


class Turns:
    """As a server's client is, but each turn takes a given number of looks."""

    def __init__(self, connection, looks=3):
        self.connection = connection
        self.looks = self.left = looks
        self.turns = 0

    def begin_turn(self):
        self.left = self.looks

    def turn_is_over(self):
        self.left -= 1
        return self.left < 0 or self.connection.paused

    async def end_turn(self):
        self.turns += 1
        await self.connection.drain()
        await asyncio.sleep(0)
        self.begin_turn()


class Ticking:
    """Every look at the time takes longer than a turn may."""

    def __init__(self, clock):
        self.clock = clock

    def time(self):
        return self.clock.time()

    def monotonic(self):
        self.clock.move(0.01)
        return self.clock.monotonic()


class World:
    """Sensors, and clients that sample them."""

    def __init__(self, clock, limits=None, dialect=V51, *, ticking=False):
        self.clock = clock
        self.loop = asyncio.get_running_loop()
        self.limits = limits or Limits()
        self.dialect = dialect
        self.sensors = SensorSet(clock=clock)
        self.trouble = TroubleLog(logging.getLogger("test"), clock.monotonic, 10)
        self.sampling = Sampling(self.sensors, dialect, Ticking(clock) if ticking else clock, self.trouble)
        self.rate = self.sensors.add(Sensor(float, "rate", default=1.0))
        self.connections = []

    def client(self):
        reader = Reader(self.loop)
        memory_pair(ConnectionProtocol(self.limits, on_connection=self.connections.append), reader)
        connection = self.connections[-1]
        sampler = self.sampling.sampler(connection)
        connection.on_lost(sampler.close)
        return sampler, reader

    def subscribe(self, sampler, sensor, strategy, *params):
        made = make_strategy(strategy, [param.encode() for param in params], sensor, self.dialect, self.limits)
        return sampler.subscribe(sensor, made)

    def many(self, count):
        return [self.sensors.add(Sensor(int, f"n-{number:05d}")) for number in range(count)]

    async def end(self):
        for connection in self.connections:
            connection.abort()
        self.sampling.close()
        await self.clock.settle()


def small():
    return Limits(write_high=2000, write_low=500, stall_timeout=30)


async def deaf(world):
    """A client that has stopped reading, its connection full."""
    sampler, reader = world.client()
    await world.clock.settle()
    reader.transport.pause_reading()
    sampler.connection.write(b"#filler " + b"x" * 3000 + b"\n")
    await world.clock.settle()
    assert sampler.connection.paused
    return sampler, reader


class Picky:
    """A type of sensors that notes what it writes, and fails to write a value that it is told to refuse."""

    def __init__(self):
        self.written = []
        self.refused = None
        self.type = custom_type(str, "picky", self.write, bytes.decode, None)

    def write(self, value):
        if value == self.refused:
            raise ZeroDivisionError
        self.written.append(value)
        return value.encode()
