"""The commands that talk to a device, with one that listens in another thread."""

import asyncio
import contextlib
import json
import os
import queue
import socket
import threading

import pytest

from katcp_aio import request
from katcp_aio.cli import main
from katcp_aio.cli.antenna import Antenna


class Device(Antenna):
    async def request_echo(self, ctx, *arguments: bytes) -> tuple[bytes, ...]:
        """Return the arguments."""
        return arguments

    async def on_start(self):
        self.bell = asyncio.Event()
        await super().on_start()

    async def request_wait(self, ctx) -> None:
        """Answer when somebody rings."""
        await self.bell.wait()

    @request(timeout_hint=0.2)
    async def request_wait_briefly(self, ctx) -> None:
        """Say that the answer comes soon, and wait until somebody rings."""
        await self.bell.wait()

    async def request_ring(self, ctx) -> None:
        """End the wait."""
        self.bell.set()
        self.bell.clear()  # the next wait is for the next ring

    async def request_vanish(self, ctx) -> None:
        """Go away without an answer."""
        ctx.client.disconnect("vanished")
        await asyncio.sleep(1)


@contextlib.contextmanager
def listening(**options):
    """Have a device listen in another thread; yield its address."""
    started = queue.Queue()

    async def serve():
        async with Device("127.0.0.1", 0, seed=1, fault_every=1e12, **options) as antenna:
            stop = asyncio.Event()
            started.put((str(antenna.address), asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    address, loop, stop = started.get(timeout=20)
    yield address
    loop.call_soon_threadsafe(stop.set)
    thread.join()


@pytest.fixture(scope="module")
def device():
    with listening() as address:
        yield address


@pytest.fixture
def unused_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "{}:{}".format(*probe.getsockname())


@pytest.fixture
def katcp(capsys):
    def katcp(*arguments):
        code = main(arguments)
        return code, *capsys.readouterr()

    return katcp


def test_call_writes_informs_and_values(katcp, device):
    code, out, err = katcp("call", device, "sensor-value", "slews")
    assert (code, err) == (0, "")
    inform, count = out.splitlines()
    assert inform.split("\t")[1:] == ["1", "slews", "nominal", "0"]
    assert count == "1"


def test_call_takes_the_name_as_one_types_it(katcp, device):
    assert katcp("call", device, "?echo", "a b") == (0, "a b\n", "")


def test_call_writes_many_lines_indented(katcp, device):
    _, out, _ = katcp("call", device, "help", "slew")
    lines = out.splitlines()
    assert lines[0].startswith("slew\tMove to azimuth")
    assert lines[1] == "    ?slew az:float:[-180,180] el:float:[15,90] [then:stop|track]"


def test_call_makes_output_harmless(katcp, device):
    assert katcp("call", device, "echo", "\x1b[2J") == (0, "\\x1b[2J\n", "")


def test_call_takes_numbers_for_arguments_however_they_are_written(katcp, device):
    numbers = ["-30", "-1.5e-3", "-.5", "-1e6"]
    assert katcp("call", device, "echo", *numbers) == (0, "\t".join(numbers) + "\n", "")
    assert katcp("call", device, "echo", "--", "-x") == (0, "-x\n", "")


def test_what_follows_an_option_is_taken_as_if_it_stood_before(katcp, device):
    code, out, _ = katcp("call", device, "echo", "--json", "a", "-1e3")
    assert (code, json.loads(out)["arguments"]) == (0, ["a", "-1e3"])
    code, out, _ = katcp("sensors", device, "--json", "^mode$")
    assert (code, [sensor["name"] for sensor in json.loads(out)]) == (0, ["mode"])


@pytest.mark.parametrize(
    "arguments", [["call", "x:1", "echo", "a", "-b"], ["sensors", "x:1", "a", "b"], ["demo", "--plain", "a"]]
)
def test_what_is_too_much_is_wrong_usage(katcp, arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        katcp(*arguments)
    assert ended.value.code == 64
    assert "unrecognized arguments: " in capsys.readouterr().err


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"a b\t\\", b"", "µm".encode()])
def test_call_loses_no_byte(katcp, device, raw):
    code, out, _ = katcp("call", "--json", device, "echo", os.fsdecode(raw))
    (argument,) = json.loads(out)["arguments"]
    assert code == 0
    assert argument.encode("utf-8", "surrogateescape") == raw


def test_call_in_json(katcp, device):
    code, out, _ = katcp("call", "--json", device, "sensor-value", "slews")
    answer = json.loads(out)
    assert (code, answer["code"], answer["arguments"]) == (0, "ok", ["1"])
    assert [inform[1:] for inform in answer["informs"]] == [["1", "slews", "nominal", "0"]]
    code, out, err = katcp("call", "--json", device, "no-such")
    assert (code, err, json.loads(out)["code"]) == (1, "", "invalid")


def test_call_that_fails_says_why(katcp, device):
    code, out, err = katcp("call", device, "slew", "30", "5")
    assert (code, out) == (1, "")
    assert err.startswith("katcp call: ")
    assert "el" in err
    assert err.count("\n") == 1


def test_call_that_takes_too_long(katcp, device):
    code, _, err = katcp("call", "--timeout", "0.2", device, "wait")
    assert code == 2
    assert "0.2 s" in err
    assert katcp("call", device, "ring")[0] == 0


def test_call_waits_as_long_as_the_device_says(katcp, device):
    code, _, err = katcp("call", device, "wait-briefly")
    assert code == 2
    assert "0.2 s" in err
    assert katcp("call", device, "ring")[0] == 0


def test_call_to_a_device_of_an_older_version(katcp):
    with listening(protocol="4.0") as address:
        assert katcp("call", address, "echo", "a b") == (0, "a b\n", "")


def test_call_to_nobody(katcp, unused_address):
    code, _, err = katcp("call", unused_address, "help")
    assert code == 3
    assert unused_address in err
    assert err.count("\n") == 1


def test_call_to_a_device_that_goes_away(katcp, device):
    code, _, err = katcp("call", device, "vanish")
    assert code == 3
    assert "vanish" in err


def test_sensors_as_a_table(katcp, device):
    code, out, err = katcp("sensors", device, "position")
    assert (code, err) == (0, "")
    head, azimuth, elevation = out.splitlines()
    assert head.split() == ["sensor", "value", "units", "status", "description"]
    assert azimuth.split() == ["az.position", "0.000", "deg", "nominal", "Azimuth"]
    assert elevation.split()[0] == "el.position"


def test_sensors_in_json(katcp, device):
    code, out, _ = katcp("sensors", "--json", device, "^mode$")
    (mode,) = json.loads(out)
    assert code == 0
    assert (mode["name"], mode["value"], mode["type"]) == ("mode", "stow", "discrete")
    assert mode["params"] == ["stop", "slew", "track", "stow"]


@pytest.mark.parametrize("pattern", ["no-such", "("])
def test_sensors_that_match_nothing(katcp, device, pattern):
    code, _, err = katcp("sensors", device, pattern)
    assert code == 1
    assert pattern in err
    assert err.count("\n") == 1


def test_watch_writes_a_line_for_each_change(katcp, device):
    code, out, err = katcp("watch", "--seconds", "0.5", device, "mode|az")
    assert (code, err) == (0, "")
    assert sorted(line.split()[1] for line in out.splitlines()) == ["az.position", "mode"]


def test_watch_in_json_by_a_strategy(katcp, device):
    code, out, _ = katcp("watch", "--json", "--seconds", "0.7", device, "wind", "--strategy", "period", "0.1")
    readings = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert len(readings) >= 2
    assert {reading["sensor"] for reading in readings} == {"wind.speed"}
    assert {reading["status"] for reading in readings} <= {"nominal", "warn"}
    assert all(isinstance(reading["value"], float) for reading in readings)


def test_watch_by_a_strategy_that_there_is_not(katcp, device):
    code, _, err = katcp("watch", device, "--strategy", "now-and-then")
    assert code == 1
    assert "now-and-then" in err


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("nowhere", "nowhere is not HOST:PORT"),
        (":5000", ":5000 is not HOST:PORT"),
        ("host:", "host: is not HOST:PORT"),
        ("host:x", "x is not a port"),
        ("host:-1", "-1 is not a port"),
        ("host:99999", "99999 is not a port"),
    ],
)
def test_addresses_that_are_none(target, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["call", target, "help"])
    assert ended.value.code == 64
    assert capsys.readouterr().err.endswith(f"argument HOST:PORT: {told}\n")


def test_a_time_that_is_no_number(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["watch", "host:5000", "--seconds", "soon"])
    assert ended.value.code == 64
    assert capsys.readouterr().err.endswith("argument --seconds: soon is no number of seconds\n")


def test_only_what_a_call_needs_is_asked_for(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["call", "host:5000"])
    assert ended.value.code == 64
    assert capsys.readouterr().err.endswith("the following arguments are required: REQUEST\n")
