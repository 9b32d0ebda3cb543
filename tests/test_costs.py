"""A guard against slow-downs that needs no clock: how many functions the hot paths call, for each thing they do.

Counted are calls of this package's own functions, and of built-in ones by them, as a profiler sees them; what asyncio
and the test kit call is not. The counts do not depend on the machine. Each has a ceiling a little above what it was
when it was last looked at; a change that needs more says why, here. How fast it is, ``python -m benchmarks`` tells.
"""

import asyncio
import sys
from pathlib import Path

import pytest

import katcp_aio
from katcp_aio import Client, DeviceClient, DeviceServer, Limits, Message, MessageParser, Sensor, Status, Timestamp
from katcp_aio.testing import connect_in_memory, memory_pair

PACKAGE = str(Path(katcp_aio.__file__).parent)
KIT = str(Path(PACKAGE) / "testing")
MANY = 500  # of each thing, so that what is done once a batch does not count
GROWN = 2000  # sensors of a large device
FLAT = 1.02  # what there is more of may cost so much more
LIMITS = Limits(batch_time=60.0)  # no turn ends for its time, of which a profiled program takes more
# Calls for one of each. The same on CPython 3.11, 3.12 and 3.13, give or take one.
CEILINGS = {
    "?watchdog": 16,
    "?watchdog with an id": 24,
    "?echo of three arguments": 39,
    "typed, plain handler": 34,
    "typed, async handler": 35,
    "update that nobody samples": 5.5,
    "update and subscriber, bursts of 1": 12,
    "update and subscriber, bursts of 20": 7,
    "parsed message": 10,
    "sensor-status inform built and formatted": 19,
    "reply built and formatted": 14,
    "client's request in flight": 36,
    "client's request, one after another": 54,
    "inform given to a callback": 14,
    "update of a followed sensor": 18,
}
GREETING = b"#version-connect katcp-protocol 5.1-MIB\n#version-connect katcp-device costs-1.0\n"


class Calls:
    """Counts calls while it is entered."""

    def __init__(self):
        self.count = 0
        self.ours = {}

    def see(self, frame, event, _argument):
        if event in ("call", "c_call"):
            code = frame.f_code
            ours = self.ours.get(code)
            if ours is None:
                name = code.co_filename
                ours = self.ours[code] = name.startswith(PACKAGE) and not name.startswith(KIT)
            self.count += ours

    def __enter__(self):
        sys.setprofile(self.see)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    def check(self, what, times):
        each = self.count / times
        assert each <= CEILINGS[what], f"{what}: {each:.2f} calls"


class Raw(asyncio.Protocol):
    """The other end: counts lines and, if it is a device, answers each."""

    def __init__(self, answer=None):
        self.answer = answer
        self.lines = 0
        self.wanted = 0
        self.enough = asyncio.Event()
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        if self.answer is not None:
            transport.write(GREETING)

    def data_received(self, data):
        self.lines += data.count(b"\n")
        if self.lines >= self.wanted:
            self.enough.set()
        if self.answer is not None:
            self.transport.write(b"".join(map(self.answer, data.splitlines())))

    def make_protocol(self):
        return self

    def expect(self, lines):
        """Have ``enough`` set after so many lines from now on."""
        self.wanted = self.lines + lines
        self.enough.clear()


class Device(DeviceServer):
    VERSION = "costs-1.0"
    BUILD_STATE = "costs-1.0.0"

    def request_add(self, ctx, a: int, b: float) -> float:
        """Return the sum."""
        return a + b

    async def request_add_async(self, ctx, a: int, b: float) -> float:
        """Return the sum."""
        return a + b

    async def request_echo(self, ctx, *args: bytes) -> tuple[bytes, ...]:
        """Return the arguments."""
        return args


@pytest.fixture
async def device():
    server = Device(limits=LIMITS)
    server.sensors.add(Sensor(int, "level"))
    await server.start(listen=False)
    yield server
    await server.stop()


async def joined(device, *requests):
    """Connect a client, and return it when all that it asked was answered."""
    raw = Raw()
    memory_pair(raw, device.make_protocol())
    await settle()
    for request in requests:
        raw.transport.write(request)
        await settle()
    return raw


async def settle():
    """Let what is under way come to its end."""
    for _ in range(20):
        await asyncio.sleep(0)


REQUESTS = {
    "?watchdog": b"?watchdog",
    "?watchdog with an id": b"?watchdog[%d]",
    "?echo of three arguments": rb"?echo[%d] alpha 12.5 the\_third",
    "typed, plain handler": b"?add[%d] 17 2.5",
    "typed, async handler": b"?add-async[%d] 17 2.5",
}


@pytest.mark.parametrize("what", REQUESTS)
async def test_pipelined_request(device, what):
    raw = await joined(device)
    line = REQUESTS[what] + b"\n"
    raw.expect(MANY)
    with Calls() as calls:
        raw.transport.write(b"".join(line % mid if b"%" in line else line for mid in range(1, MANY + 1)))
        await raw.enough.wait()
    calls.check(what, MANY)


async def test_update_without_subscribers(device):
    sensor = device.sensors["level"]
    with Calls() as calls:
        for value in range(MANY):
            sensor.value = value
    calls.check("update that nobody samples", MANY)


@pytest.mark.parametrize("burst", [1, 20])
async def test_update_and_subscriber(device, burst):
    peers = [await joined(device, b"?sensor-sampling level event\n") for _ in range(50)]
    sensor, updates = device.sensors["level"], 60
    await settle()
    for raw in peers:
        raw.expect(updates)
    with Calls() as calls:
        for value in range(1, updates + 1):
            sensor.value = value
            if value % burst == 0:
                await asyncio.sleep(0)
        for raw in peers:
            await raw.enough.wait()
    calls.check(f"update and subscriber, bursts of {burst}", updates * len(peers))


async def sampled_update(device, sensors):
    """Return the calls for an update that one client samples, of a device with so many sensors, all set in turn."""
    names = [f"level-{number}" for number in range(sensors)]
    for name in names:
        device.sensors.add(Sensor(int, name))
    raw = await joined(device, f"?sensor-sampling {','.join(names)} event\n".encode())
    raw.expect(GROWN)
    with Calls() as calls:
        for place in range(GROWN):
            device.sensors[names[place % sensors]].value = place + 1
            if place % 100 == 99:
                await asyncio.sleep(0)
        await raw.enough.wait()
    raw.transport.close()
    await settle()
    return calls.count / GROWN


async def test_update_costs_no_more_with_more_sensors(device):
    few, many = await sampled_update(device, GROWN // 100), await sampled_update(device, GROWN)
    assert many <= few * FLAT, f"{few:.2f} calls with few sensors, {many:.2f} with many"


async def beside(device, others):
    """Return the calls for a pipelined request, while so many other clients are there."""
    for _ in range(others):
        await joined(device)
    raw = await joined(device)
    await settle()
    raw.expect(MANY)
    with Calls() as calls:
        raw.transport.write(b"?watchdog[7]\n" * MANY)
        await raw.enough.wait()
    return calls.count / MANY


async def test_request_costs_no_more_with_more_clients(device):
    alone, crowded = await beside(device, 0), await beside(device, 100)
    assert crowded <= alone * FLAT, f"{alone:.2f} calls alone, {crowded:.2f} in a crowd"


STATUS = b"#sensor-status 1700000000.123456 1 level nominal %d\n"


def test_parsed_message():
    parser, chunk = MessageParser(), b"".join(STATUS % number for number in range(MANY))
    with Calls() as calls:
        messages = parser.feed(chunk)
    assert len(messages) == MANY
    calls.check("parsed message", MANY)


def test_formatted_inform():
    time, nominal = Timestamp(1700000000.123456), Status.NOMINAL
    with Calls() as calls:
        for number in range(MANY):
            bytes(Message.inform("sensor-status", time, 1, "level", nominal, number))
    calls.check("sensor-status inform built and formatted", MANY)


def test_formatted_reply():
    with Calls() as calls:
        for _ in range(MANY):
            bytes(Message.reply("set-rate", "ok", 2.5, mid=7))
    calls.check("reply built and formatted", MANY)


def canned(line):
    """Answer what a client asks of a device with one sensor."""
    request, _, mid = line.partition(b" ")[0][1:].partition(b"[")
    mid = b"[" + mid if mid else b""
    if request == b"sensor-list":
        return b"#sensor-list%b level A\\_level \\@ integer\n!sensor-list%b ok 1\n" % (mid, mid)
    if request == b"sensor-sampling":
        return STATUS % 0 + b"!sensor-sampling%b ok level event\n" % mid
    if request == b"help":
        return b"!help%b ok 0\n" % mid
    return b"!%b%b ok\n" % (request, mid)


def connector_to(raw):
    async def connector():
        return connect_in_memory(raw)

    return connector


async def test_client_request():
    raw = Raw(canned)
    async with Client("costs", connector=connector_to(raw)) as client:
        await client.request("watchdog")
        with Calls() as calls:
            await asyncio.gather(*(client.request("watchdog") for _ in range(MANY)))
    calls.check("client's request in flight", MANY)


async def test_client_sequential_request():
    raw = Raw(canned)
    async with Client("costs", connector=connector_to(raw)) as client:
        await client.request("watchdog")
        with Calls() as calls:
            for _ in range(MANY):
                await client.request("watchdog")
    calls.check("client's request, one after another", MANY)


async def test_client_inform():
    raw, heard, last = Raw(canned), [], asyncio.Event()
    async with Client("costs", connector=connector_to(raw)) as client:
        client.on_inform("blip", heard.append)
        client.on_inform("last", lambda _: last.set())
        with Calls() as calls:
            raw.transport.write(b"#blip 17 2.5 alpha\n" * MANY + b"#last\n")
            await last.wait()
    assert len(heard) == MANY
    calls.check("inform given to a callback", MANY)


async def test_followed_sensor():
    raw, readings, last = Raw(canned), [], asyncio.Event()
    async with DeviceClient("costs", connector=connector_to(raw)) as client:
        sensor = client.sensor["level"]
        await sensor.sample("event")
        client.on_inform("last", lambda _: last.set())
        sensor.attach(lambda _, reading: readings.append(reading))
        with Calls() as calls:
            raw.transport.write(b"".join(STATUS % number for number in range(MANY)) + b"#last\n")
            await last.wait()
        assert [reading.value for reading in readings] == list(range(MANY))
    calls.check("update of a followed sensor", MANY)
