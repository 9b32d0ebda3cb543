"""The commands and devices that say odd things, change, say nothing, or are no devices at all."""

import asyncio
import functools
import io
import json
import sys

import pytest

from katcp_aio import DeviceClient, Limits
from katcp_aio.cli import call, main, make_parser
from katcp_aio.cli.following import SensorView
from katcp_aio.cli.screen import make_screen
from katcp_aio.cli.sensors import make_client
from katcp_aio.testing import FakeDevice, FakeSensor

NAME = "s\x1b[31m"
ODD = {
    NAME: FakeSensor("float", 1.5, (), "a\x1b[2Jb", "C\n\x1b[1m"),
    "in.ms": FakeSensor("float", 2.5, timestamp=1_500_000_000_000.0),
    "never": FakeSensor("float", 3.5, timestamp=1e300),
}


@pytest.fixture
async def odd():
    async with FakeDevice(sensors=ODD) as fake:
        fake.address = await fake.listen()
        fake.target = "{}:{}".format(*fake.address)
        yield fake


@pytest.fixture
def katcp(capsys):
    async def katcp(*arguments):
        code = await asyncio.to_thread(main, arguments)
        return code, *capsys.readouterr()

    return katcp


class Watching:
    """``katcp watch``, and what it has written so far."""

    def __init__(self, capsys, *arguments):
        self._capsys = capsys
        self._task = asyncio.create_task(asyncio.to_thread(main, ["watch", *arguments]))
        self._lines = []

    async def line(self, word):
        """Wait until a line has ``word`` in it, and return all lines until then."""
        async with asyncio.timeout(20):
            while not any(word in line for line in self._lines):
                await asyncio.sleep(0.01)
                self._lines += self._capsys.readouterr().out.splitlines()
        lines, self._lines = self._lines, []
        return lines

    async def end(self):
        assert await self._task == 0


async def test_watch_shows_odd_names_and_times_and_goes_on(odd, katcp):
    code, out, err = await katcp("watch", odd.target, "--seconds", "0.5")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert sorted(line.split() for line in out.splitlines()) == [
        ["02:40:00.000", "s\\x1b[31m", "1.500", "C\\x0a\\x1b[1m", "nominal"],
        ["1500000000000.0", "in.ms", "2.500", "nominal"],
        ["1e+300", "never", "3.500", "nominal"],
    ]


async def test_sensors_shows_odd_names(odd, katcp):
    code, out, err = await katcp("sensors", odd.target, "^s")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split() == ["s\\x1b[31m", "1.500", "C\\x0a\\x1b[1m", "nominal", "a\\x1b[2Jb"]


async def test_odd_times_are_json_for_every_parser(odd, katcp):
    odd.on("sensor-value", informs=[("nan", 1, "never", "nominal", 3.5)])
    _, out, _ = await katcp("sensors", odd.target, "--json", "never")
    assert [sensor["timestamp"] for sensor in json.loads(out, parse_constant=pytest.fail)] == ["nan"]


async def test_odd_times_are_json_for_every_parser_as_they_come(odd, capsys):
    watching = Watching(capsys, odd.target, "--seconds", "1.5", "--json", "never")
    await watching.line("never")
    odd.send(b"#sensor-status nan 1 never nominal 4.5\n")
    (line,) = await watching.line("4.5")
    assert json.loads(line, parse_constant=pytest.fail)["timestamp"] == "nan"
    await watching.end()


async def test_a_replaceable_unit_reads_as_on_the_wire(odd, katcp):
    odd.sensors["unit"] = FakeSensor("lru", "error")
    assert (await katcp("sensors", odd.target, "unit"))[1].splitlines()[1].split()[:2] == ["unit", "error"]
    _, out, _ = await katcp("sensors", odd.target, "unit", "--json")
    assert json.loads(out)[0]["value"] == "error"


async def test_a_sensor_that_the_device_does_not_tell_of_is_unknown(odd, katcp):
    odd.on("sensor-value", informs=[(1, 1, "never", "nominal", 3.5)])
    code, out, err = await katcp("sensors", odd.target, "in")
    assert (code, err) == (0, "")
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [["in.ms", "unknown", "a"]]


@pytest.mark.parametrize("pattern", ["in", "/in/"])
async def test_a_pattern_may_stand_in_slashes(odd, katcp, pattern):
    code, out, _ = await katcp("sensors", odd.target, pattern)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["in.ms"]


async def test_letters_that_the_output_has_not_are_written_otherwise(odd, katcp, monkeypatch):
    odd.sensors["in.ms"].units = "µm"
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert (await katcp("sensors", odd.target, "in"))[0] == 0
    assert b" \\xb5m " in out.buffer.getvalue()


async def test_without_an_output_nothing_is_written(odd, katcp, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert (await katcp("sensors", odd.target))[::2] == (0, "")


@pytest.mark.parametrize("extra", [[], ["--json"]])
async def test_a_reader_that_has_seen_enough_ends_watching(odd, katcp, monkeypatch, extra):
    class Closed(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    assert (await katcp("watch", odd.target, *extra))[::2] == (141, "")


async def test_watching_lasts_as_long_as_was_asked_for_however_long_connecting_took(odd, katcp):
    odd.on("help", delay=0.6)
    code, out, _ = await katcp("watch", odd.target, "--seconds", "0.5", "in.ms")
    assert (code, out.split()[1]) == (0, "in.ms")


async def test_watch_follows_what_a_device_has_after_it_was_changed(odd, capsys):
    watching = Watching(capsys, odd.target, "--seconds", "3", "^in|^new")
    await watching.line("in.ms")
    odd.sensors["in.ms"] = FakeSensor("integer", 7)
    odd.sensors["new"] = FakeSensor("integer", 8)
    odd.sensors["other"] = FakeSensor("integer", 9)
    odd.inform("interface-changed", "sensor-list")
    lines = await watching.line("new")
    assert not any("other" in line for line in lines)
    odd.set("in.ms", 77)
    await watching.line(" 77 ")
    await watching.end()


async def test_watch_goes_on_when_a_devices_clock_is_set_back(odd, capsys):
    watching = Watching(capsys, odd.target, "--seconds", "1.5", "in.ms")
    await watching.line("in.ms")
    odd.set("in.ms", 99.0, timestamp=3.0)
    lines = await watching.line("99.000")
    assert [line.split()[0] for line in lines] == ["00:00:03.000"]
    await watching.end()


async def test_a_sensor_that_goes_before_it_is_followed_ends_nothing(odd):
    async with DeviceClient(*odd.address) as device:
        sensor, gone = device.sensor["never"], asyncio.Event()
        device.on_change(lambda _changes: gone.set())
        del odd.sensors["never"]
        odd.inform("interface-changed", "sensor", "never", "removed")
        await gone.wait()
        looks = iter([False, True])
        await SensorView([sensor], make_screen(None)).follow(lambda: next(looks), "event")


@pytest.mark.parametrize(
    ("words", "sampled", "names"),
    [
        (["--strategy", "event", "in"], (b"event",), {"in.ms"}),
        (["--strategy", "period", "0.1", "in"], (b"period", b"0.1"), {"in.ms"}),
        (["in", "--strategy", "period", "0.1"], (b"period", b"0.1"), {"in.ms"}),
        (["--strategy", "event-rate", "1", "5", "in"], (b"event-rate", b"1", b"5"), {"in.ms"}),
        (["--strategy", "event"], (b"event",), set(ODD)),
        (["--strategy", "own", "in"], (b"own", b"in"), set(ODD)),
    ],
)
async def test_the_pattern_may_stand_behind_a_strategy(odd, katcp, words, sampled, names):
    assert (await katcp("watch", odd.target, "--seconds", "0.5", *words))[0] == 0
    asked = [request.arguments for request in odd.requests.requests("sensor-sampling")]
    asked = [arguments for arguments in asked if arguments[1:] != (b"none",)]
    assert {name for arguments in asked for name in arguments[0].decode().split(",")} == names
    assert {arguments[1:] for arguments in asked} == {sampled}


async def test_watch_follows_a_device_that_has_not_the_usual_strategy(katcp):
    async with FakeDevice("4.0", sensors={"rate": FakeSensor("float", 1.5)}) as old:
        old.on("sensor-sampling", reply=("fail", "unknown strategy"), times=1)
        target = "{}:{}".format(*await old.listen())
        code, out, err = await katcp("watch", target, "--seconds", "0.5")
        assert (code, err) == (0, "")
        assert [line.split()[1:] for line in out.splitlines()] == [["rate", "1.500", "nominal"]]
        assert old.requests.requests("sensor-sampling")[1].arguments == (b"rate", b"auto")
        old.on("sensor-sampling", reply=("fail", "unknown strategy"), times=1)
        code, _, err = await katcp("watch", target, "--strategy", "event-rate", "0.1", "5")
        assert (code, err) == (1, f"katcp watch: {target}: ?sensor-sampling fail: unknown strategy\n")


@pytest.fixture
def parser():
    """Made before there is a loop, as the command does: argparse looks for the texts of other languages."""
    return make_parser()


async def test_a_device_that_does_not_say_goodbye_is_not_waited_for(odd, parser):
    odd.lingering = True
    client = make_client(parser.parse_args(["watch", odd.target]))
    async with client:
        pass
    assert client.limits.close_timeout < 0.1  # s: Ctrl-C is to end it at once


async def test_the_timeout_holds_for_the_lists_of_a_device_too(odd, katcp):
    odd.on("sensor-list", reply=None)
    code, _, err = await katcp("sensors", odd.target, "--timeout", "0.3")
    assert code == 3
    assert err == f"katcp sensors: {odd.target}: its interface was not read within 0.3 s\n"


@pytest.mark.parametrize(
    ("banner", "hint"), [((), ", and it has not greeted as a device: is this its port?"), (None, "")]
)
async def test_who_does_not_answer_a_call_may_be_no_device(katcp, monkeypatch, banner, hint):
    monkeypatch.setattr(call, "Limits", functools.partial(Limits, negotiate_timeout=0.05))
    async with FakeDevice(banner=banner) as fake:
        fake.on("hang", reply=None)
        target = "{}:{}".format(*await fake.listen())
        code, _, err = await katcp("call", target, "--timeout", "0.3", "hang")
    assert (code, err) == (2, f"katcp call: {target}: ?hang: no reply within 0.3 s{hint}\n")


async def test_who_is_no_device_is_told_by_its_first_line(katcp):
    async with FakeDevice(banner=[b"SSH-2.0-OpenSSH_9.6\r\n"]) as fake:
        target = "{}:{}".format(*await fake.listen())
        code, _, err = await katcp("call", target, "--timeout", "0.3", "help")
    told = "not connected within 0.3 s: what came first is no KATCP: SSH-2.0-OpenSSH_9.6"
    assert (code, err) == (3, f"katcp call: {target}: {told}\n")
