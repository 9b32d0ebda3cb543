import asyncio
import itertools
import random

import pytest

from katcp_aio.cli.antenna import Antenna, Drift, Drive
from katcp_aio.testing import ManualClock, serve

NEVER = 1e12  # seconds


@pytest.fixture
async def served(manual_clock):
    async with serve(Antenna(clock=manual_clock, seed=1, fault_every=NEVER)) as served:
        yield served


@pytest.fixture
def antenna(served):
    return served.server


async def ask(served, clock, line, seconds=60.0):
    """Ask, let the time pass that the antenna may need, and return the arguments of informs and reply."""
    answer = asyncio.ensure_future(served.peer().ask(line, timeout=seconds + 1))
    await clock.advance(seconds)
    *informs, reply = await answer
    return [inform.arguments for inform in informs if inform.name == reply.name], reply.arguments


def test_a_drive_keeps_to_its_speed_and_acceleration_and_stops_at_its_target():
    drive = Drive(0.0, top_speed=10.0, acceleration=5.0)
    drive.target = 30.0
    positions, speeds = [0.0], [0.0]
    while not drive.arrived:
        drive.step(0.1)
        positions.append(drive.position)
        speeds.append(drive.speed)
    steps = len(positions) - 1
    assert positions == sorted(positions)
    assert positions[-1] == 30.0
    assert max(speeds) == 10.0
    assert all(after - before <= 0.5 + 1e-9 for before, after in itertools.pairwise(speeds))
    assert steps * 0.1 == pytest.approx(30 / 10 + 10 / 5, abs=0.5)  # the way at full speed, and one ramp


def test_a_drift_follows_its_mean():
    drift = Drift(10.0, noise=0.0, settle=2.0, dice=random.Random(1))
    drift.mean = 20.0
    drift.step(2.0)
    assert drift.value == pytest.approx(20 - 10 / 2.718281828)


async def test_slew_reports_its_way_and_replies_on_arrival(served, antenna, manual_clock):
    informs, reply = await ask(served, manual_clock, "?slew[1] 30 80", seconds=6)
    azimuths = [float(azimuth) for azimuth, _ in informs]
    elevations = [float(elevation) for _, elevation in informs]
    assert reply == (b"ok", b"%d" % len(informs))
    assert azimuths[0] == 0.0
    assert azimuths == sorted(azimuths)
    assert elevations == sorted(elevations, reverse=True)
    assert len(informs) > 10
    assert (antenna.azimuth.value, antenna.elevation.value) == (30.0, 80.0)
    assert (antenna.mode.value.name, antenna.slews.value) == ("STOP", 1)


async def test_slew_takes_as_long_as_the_drives_need(served, antenna, manual_clock):
    answer = asyncio.ensure_future(served.peer().ask("?slew[1] 30 90"))
    await manual_clock.advance(4.5)
    assert not answer.done()
    assert antenna.mode.value.name == "SLEW"
    await manual_clock.advance(1.5)
    assert (await answer)[-1].ok


async def test_slew_and_track_follows_the_sky(served, antenna, manual_clock):
    _, reply = await ask(served, manual_clock, "?slew[1] 10 80 track", seconds=10)
    assert reply[0] == b"ok"
    assert antenna.mode.value.name == "TRACK"
    before = antenna.azimuth.value
    await manual_clock.advance(10)
    assert antenna.azimuth.value == pytest.approx(before + 2.5, abs=0.05)


async def test_tracking_ends_where_the_cable_does(served, antenna, manual_clock):
    await ask(served, manual_clock, "?slew[1] 179.5 80 track", seconds=40)
    assert antenna.mode.value.name == "STOP"
    assert antenna.azimuth.value <= 180
    assert antenna.azimuth.status.name == "WARN"


async def test_stop_makes_the_slew_fail_and_tells_where(served, antenna, manual_clock):
    slew = asyncio.ensure_future(served.peer().ask("?slew[1] 90 45", timeout=60))
    await manual_clock.advance(3)
    _, stopped = await ask(served, manual_clock, "?stop[1]", seconds=1)
    reply = (await slew)[-1]
    assert reply.arguments[0] == b"fail"
    assert b"%.1f" % float(stopped[1]) in reply.arguments[1]
    assert 0 < antenna.azimuth.value < 90
    assert antenna.slews.value == 0


async def test_a_slew_that_was_stopped_has_nothing_to_do_with_the_next_one(served, antenna, manual_clock):
    first, second = served.peer(), served.peer()
    stopped = asyncio.ensure_future(first.ask("?slew[1] 90 45", timeout=60))
    await manual_clock.advance(1)
    await ask(served, manual_clock, "?stop[1]", seconds=0)
    arrived = asyncio.ensure_future(second.ask("?slew[1] 10 89", timeout=60))
    await manual_clock.advance(10)
    assert [(await answer)[-1].arguments[0] for answer in (stopped, arrived)] == [b"fail", b"ok"]
    assert antenna.slews.value == 1


async def test_one_slew_at_a_time(served, manual_clock):
    slew = asyncio.ensure_future(served.peer().ask("?slew[1] 90 45", timeout=60))
    await manual_clock.advance(1)
    _, reply = await ask(served, manual_clock, "?slew[1] 0 90", seconds=0)
    assert reply[0] == b"fail"
    await manual_clock.advance(30)
    assert (await slew)[-1].ok


async def test_limits_are_told(served, manual_clock):
    _, (code, text) = await ask(served, manual_clock, "?slew[1] 30 5", seconds=0)
    assert code == b"invalid"
    assert b"el" in text
    assert b"5" in text


async def test_no_slew_in_a_storm(served, antenna, manual_clock):
    antenna.wind.value = 20.0
    _, (code, text) = await ask(served, manual_clock, "?slew[1] 30 50", seconds=0)
    assert (code, text) == (b"fail", b"Not in a wind of 20 m/s")


async def test_stow_goes_back_up(served, antenna, manual_clock):
    await ask(served, manual_clock, "?slew[1] 20 60")
    _, reply = await ask(served, manual_clock, "?stow[2]")
    assert reply == (b"ok",)
    assert antenna.mode.value.name == "STOW"
    assert (antenna.azimuth.value, antenna.elevation.value) == (0.0, 90.0)


async def test_a_broken_encoder_is_not_believed_until_it_is_mended(served, antenna, manual_clock):
    await ask(served, manual_clock, "?fault[1] encoder 2", seconds=1)
    assert antenna.azimuth.status.name == "FAILURE"
    assert antenna.fault.status.name == "ERROR"
    await manual_clock.advance(2)
    assert antenna.azimuth.status.name == "NOMINAL"
    assert antenna.fault.value.name == "NONE"


async def test_a_broken_cooler_lets_the_receiver_warm_up(served, antenna, manual_clock):
    await ask(served, manual_clock, "?fault[1] cooler 5", seconds=4)
    assert antenna.receiver.status.name == "ERROR"
    await manual_clock.advance(20)
    assert antenna.receiver.status.name == "NOMINAL"


def history(seed, seconds=60):
    """Everything that an antenna measures, from a start of its own."""
    clock = ManualClock()

    async def scenario():
        antenna = Antenna(clock=clock, seed=seed, fault_every=5.0)
        readings = []
        for sensor in antenna.sensors.values():
            sensor.attach(lambda sensor, reading: readings.append((sensor.name, reading)))
        async with serve(antenna):
            await clock.advance(seconds)
        return readings

    return clock.run(scenario())


def test_the_same_seed_gives_the_same_run():
    first = history(3)
    assert first == history(3)
    assert first != history(4)
    assert {reading.value.name for name, reading in first if name == "fault"} == {"NONE", "ENCODER", "COOLER"}
