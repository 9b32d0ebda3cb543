"""The server with clients that behave as the operators' old tools in C do, and as telnet and nc, over TCP.

None of them waits for the greeting, or knows of message ids; lines end as they please; replies are told apart by name.
"""

import asyncio
import contextlib
import logging

import pytest

from katcp_aio import DeviceServer, FailReply, Sensor

__all__ = []

PATIENCE = 10  # s, for a busy machine


class Pump(DeviceServer):
    VERSION = "pump-1.0"
    BUILD_STATE = "pump-1.0.0"

    def __init__(self, **options):
        super().__init__("127.0.0.1", 0, **options)
        self.rate = self.sensors.add(Sensor(float, "rate", "Pump rate", "Hz"))
        self.mode = self.sensors.add(Sensor(str, "mode", "Mode"))
        for sensor, value in ((self.rate, 1.5), (self.mode, "idle")):
            sensor.set(value, Sensor.Status.NOMINAL, 1234.5)

    async def request_slow(self, ctx):
        """Take a moment."""
        await asyncio.sleep(0.05)
        return "done"

    async def request_join(self, ctx, *texts: str):
        """Join texts."""
        return "+".join(texts)

    async def request_refuse(self, ctx):
        """Refuse."""
        raise FailReply("no such thing")


@pytest.fixture(params=["5.1", "4.0"])
async def pump(request):
    async with Pump(protocol=request.param) as pump:
        yield pump


@contextlib.asynccontextmanager
async def connected(pump):
    reader, writer = await asyncio.open_connection("127.0.0.1", pump.address.port)
    try:
        async with asyncio.timeout(PATIENCE):
            yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def lines_until(reader, start):
    """Return the lines that come up to one that begins so, that one included."""
    lines = []
    while not (lines and lines[-1].split()[0] == start):
        lines.append(await reader.readline())
        assert lines[-1].endswith(b"\n"), lines
    return lines


async def command(pump, line):
    """Send one request, at once, and leave when a reply of its name has come, as kcpcmd does; return its exit code."""
    name = line.split()[0]
    async with connected(pump) as (reader, writer):
        writer.write(line + b"\n")
        lines = await lines_until(reader, b"!" + name[1:])
    code = 0 if lines[-1].split()[1] == b"ok" else 1
    return code, [line for line in lines if line.split()[0][1:] == name[1:]]


async def test_one_command_and_gone(pump):
    assert await command(pump, b"?watchdog") == (0, [b"!watchdog ok\n"])
    assert await command(pump, rb"?join a \@ c\_d \@") == (0, [b"!join ok a++c\\_d+\n"])
    assert await command(pump, b"?slow") == (0, [b"!slow ok done\n"])
    assert await command(pump, b"?refuse") == (1, [b"!refuse fail no\\_such\\_thing\n"])
    assert (await command(pump, b"?nothing"))[0] == 1
    code, lines = await command(pump, b"?sensor-value rate")
    assert (code, lines[0].split()[2:]) == (0, [b"1", b"rate", b"nominal", b"1.5"])
    assert float(lines[0].split()[1]) == 1234.5 * pump.dialect.time_scale
    code, lines = await command(pump, b"?help")
    assert lines[-1] == b"!help ok %d\n" % (len(lines) - 1)


async def test_a_leaver_costs_nobody_anything(pump, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            async with connected(pump) as (_, writer):
                writer.write(b"?help\n?slow\n?watchdog\n")
        assert await command(pump, b"?watchdog") == (0, [b"!watchdog ok\n"])
    assert not caplog.records


async def test_waiting_for_a_sensor_relies_on_the_first_status(pump):
    async with connected(pump) as (reader, writer):
        writer.write(b"?sensor-sampling rate event\n")
        lines = await lines_until(reader, b"!sensor-sampling")
        (status,) = [line.split() for line in lines if line.startswith(b"#sensor-status ")]
        assert status[2:] == [b"1", b"rate", b"nominal", b"1.5"]
        pump.rate.set(2.5, Sensor.Status.WARN)
        assert (await reader.readline()).split()[4:] == [b"warn", b"2.5"]


async def test_a_gateway_subscribes_to_one_sensor_after_another(pump):
    async with connected(pump) as (reader, writer):
        writer.write(b"?sensor-list\n")
        rows = [line.split() for line in await lines_until(reader, b"!sensor-list") if line.startswith(b"#sensor-list")]
        named = [row[1] for row in rows if row[2] != rb"\@"]  # it drops those without a description
        assert {b"rate", b"mode"} <= set(named)
        shown = {}
        for name in named:
            writer.write(b"?sensor-sampling %b event\n" % name)
            for line in await lines_until(reader, b"!sensor-sampling"):
                if line.startswith(b"#sensor-status "):
                    shown[line.split()[3]] = line.split()[5]
        assert (shown[b"rate"], shown[b"mode"]) == (b"1.5", b"idle")
        pump.mode.value = "slew"
        assert (await reader.readline()).split()[3:] == [b"mode", b"nominal", b"slew"]


async def test_who_follows_the_log_asks_for_it_in_words_of_its_own_and_goes_on_where_they_are_refused(pump):
    async with connected(pump) as (reader, writer):
        writer.write(b"?log-limit info\n")
        (*_, reply) = await lines_until(reader, b"!log-limit")
        if reply.split()[1] != b"ok":
            writer.write(b"?log-level info\n")
            assert (await lines_until(reader, b"!log-level"))[-1] == b"!log-level ok info\n"
        pump.log.info("the pump is warm")
        (line,) = await lines_until(reader, b"#log")
        assert line.split()[1] == b"info"
        assert rb"the\_pump\_is\_warm" in line


@pytest.mark.parametrize("end", [b"\r\0\n", b"\r\n", b"\n", b"\r"], ids=repr)
async def test_typed_or_piped_into_telnet(pump, end, caplog):
    async with connected(pump) as (reader, writer):
        writer.write(b"?join a b" + end + end + b"?watchdog" + end)
        lines = await lines_until(reader, b"!watchdog")
        assert lines[-2:] == [b"!join ok a+b\n", b"!watchdog ok\n"]
    assert not caplog.records


async def test_piped_into_nc_which_ends_its_side_at_once(pump):
    async with connected(pump) as (reader, writer):
        writer.write(b"?slow\n?watchdog\n?sensor-value mode\n")
        writer.write_eof()
        lines = (await reader.read()).splitlines()  # up to the end, which comes when all is answered
    assert [
        line.split()[0] for line in lines if not line.startswith(b"#version") and not line.startswith(b"#build")
    ] == [
        b"!slow",
        b"!watchdog",
        b"#sensor-value",
        b"!sensor-value",
    ]


async def test_replies_keep_the_order_of_the_requests_for_those_who_know_no_other_way(pump):
    async with connected(pump) as (reader, writer):
        writer.write(b"?join first\n?slow\n?join second\n?nothing\n?watchdog\n")
        lines = await lines_until(reader, b"!watchdog")
    replies = [line.split()[:3] for line in lines if line.startswith(b"!")]
    assert [(reply[0], reply[-1]) for reply in replies][:3] == [
        (b"!join", b"first"),
        (b"!slow", b"done"),
        (b"!join", b"second"),
    ]
    assert replies[3][:2] == [b"!nothing", b"invalid"]
