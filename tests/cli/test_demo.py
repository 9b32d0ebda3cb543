import io
import os
import re
import signal
import sys

import pytest

from katcp_aio.cli import antenna, demo, main
from katcp_aio.cli.antenna import Drive
from katcp_aio.cli.demo import choose_target, reach
from katcp_aio.cli.following import SensorView


@pytest.mark.parametrize("seconds", [0.01, 0.6, 3.6, 18, 2160])
def test_the_target_is_within_the_limits_of_the_antenna(seconds):
    azimuth, elevation = choose_target(seconds)
    assert 0 <= azimuth <= 180
    assert 15 <= elevation <= 90


@pytest.mark.parametrize("seconds", [1.0, 3.6, 10.0])
def test_the_target_is_as_far_away_as_the_time_allows(seconds):
    drive = Drive(0.0, 10.0, 5.0)
    drive.target = reach(seconds, 10.0, 5.0)
    steps = 0
    while not drive.arrived:
        drive.step(0.001)
        steps += 1
    assert steps * 0.001 == pytest.approx(seconds, abs=0.05)


async def refuse(self, ctx, az: float, el: float):
    """Move, but not today."""
    raise antenna.FailReply("No")


async def go_anywhere(self, ctx, az: float, el: float):
    """Move to where the antenna cannot look."""


@pytest.mark.parametrize("slew", [refuse, go_anywhere])
def test_what_goes_wrong_fails_the_demo(slew, monkeypatch, capsys):
    monkeypatch.setattr(antenna.Antenna, "request_slew", slew)
    assert main(["demo", "--seconds", "0.3"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("katcp demo: ")
    assert err.count("\n") == 1


def test_an_antenna_that_does_not_arrive_fails_the_demo(monkeypatch, capsys):
    monkeypatch.setattr(Drive, "step", lambda self, seconds: setattr(self, "target", self.position))
    assert main(["demo", "--seconds", "1"]) == 1
    assert "arrived at" in capsys.readouterr().err


def test_a_demo_that_hears_nothing_of_its_sensors_fails(monkeypatch, capsys):
    monkeypatch.setattr(SensorView, "_take", lambda self, sensor, reading: None)
    assert main(["demo", "--seconds", "0.3"]) == 1
    assert "no readings of az.position" in capsys.readouterr().err


def test_the_faults_of_the_antenna_are_summed_up(monkeypatch, capsys):
    monkeypatch.setattr(demo, "FAULT_EVERY", 0.01)
    assert main(["demo", "--seconds", "0.5"]) == 0
    faults = re.search(r"^  faults     (.*)$", capsys.readouterr().out, re.MULTILINE)[1]
    assert faults != "none"


def test_serving_tells_where_and_ends_by_a_signal(monkeypatch, capsys):
    serve_forever = antenna.Antenna.serve_forever

    async def interrupted(self):
        os.kill(os.getpid(), signal.SIGTERM)
        await serve_forever(self)

    monkeypatch.setattr(antenna.Antenna, "serve_forever", interrupted)
    assert main(["demo", "--serve"]) == 0
    out, err = capsys.readouterr()
    port = re.search(r"^The antenna listens at 127\.0\.0\.1:(\d+);", out)[1]
    assert f"telnet 127.0.0.1 {port}\n" in out
    assert err == ""


def test_on_a_terminal_there_is_a_table_instead_of_lines(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    for variable in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(variable, raising=False)
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["demo", "--seconds", "0.5"]) == 0
    shown = out.getvalue()
    assert shown.count("az.position") > 3
    assert re.search(r"!slew\[\d+\] ok \d+", shown)
    assert re.search(r"readings   \d+ received", shown)
