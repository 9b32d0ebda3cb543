"""The katcp command as a shell sees it: its exit codes and what it writes."""

import os
import re
import runpy
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from katcp_aio.cli import demo, main
from katcp_aio.version import library_version

KATCP = [sys.executable, "-m", "katcp_aio"]
PATIENCE = 30  # seconds, for a busy machine
AS_USUAL = {"PYTHONASYNCIODEBUG": ""}  # which tells of whatever takes long, and that may be anything


@contextmanager
def katcp(*arguments, **options):
    """Run the command in a process of its own; it must have ended when the block ends."""
    source = Path(__file__).parents[2] / "src"
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    env = {**os.environ, "PYTHONPATH": str(source), **AS_USUAL}
    process = subprocess.Popen([*KATCP, *arguments], env=env, **options)
    try:
        yield process
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.communicate()


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"katcp {library_version()}\n"


def test_the_package_runs_as_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["katcp", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("katcp_aio", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"katcp {library_version()}\n"


def test_help_names_the_commands(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "demo" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["no-such"], ["demo", "--port", "99999"], ["demo", "--seconds", "x"], ["demo", "--seconds", "0"]]
)
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 64
    assert capsys.readouterr().err.startswith("usage: katcp")


def test_demo_shows_a_device_and_a_client_at_work(capsys):
    assert main(["demo", "--seconds", "1"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    assert "?slew az:float:[-180,180] el:float:[15,90] [then:stop|track]" in out
    assert re.search(r"^  az\.position +0\.000 +deg ", out, re.MULTILINE)
    assert re.search(r"\?slew invalid.*\bel\b.*5", out)
    assert re.search(r"^  #slew\[\d+\] 0\.0 90\.0$", out, re.MULTILINE)
    assert re.search(r"^  !slew\[\d+\] ok \d+$", out, re.MULTILINE)
    azimuth, elevation = re.search(r"^\?slew (\S+) (\S+), and", out, re.MULTILINE).groups()
    assert float(azimuth) > 0
    assert f"  position   azimuth {float(azimuth):.3f} deg, elevation {float(elevation):.3f} deg\n" in out
    received = int(re.search(r"^  readings   (\d+) received", out, re.MULTILINE)[1])
    assert received > 8  # each sensor, and some of them again


def test_what_goes_wrong_is_one_line_and_an_exit_code(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--port", str(port)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("katcp demo: ")
    assert str(port) in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 141)])
def test_an_end_from_outside_is_told_by_the_exit_code_alone(error, code, monkeypatch, capsys):
    def interrupted(options):
        raise error

    monkeypatch.setattr(demo, "main", interrupted)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", sys.stdout)  # after a broken pipe nothing is written to it any more
        assert main(["demo"]) == code
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_ends_the_demo_at_once():
    with katcp("demo", "--seconds", "600") as process:
        assert any("meanwhile" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)  # and not as long as the demo would have gone on
        err = process.stderr.read()
    assert (process.returncode, err) == (130, "")


def test_a_reader_that_has_seen_enough_is_no_error():
    with katcp("demo", "--seconds", "1") as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (141, "")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_serve_runs_the_antenna_until_told_to_stop(sign):
    with katcp("demo", "--serve", "--port", "0") as process:
        port = int(re.search(r" listens at 127\.0\.0\.1:(\d+)", process.stdout.readline())[1])
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client, client.makefile("rb") as lines:
            client.sendall(b"?stow[1]\n")
            answer = next(line for line in lines if line.startswith(b"!"))
            assert answer == b"!stow[1] ok\n"
        process.send_signal(sign)
        rest, err = process.stdout.read(), process.stderr.read()
    assert (process.returncode, err) == (0, "")
    assert f"telnet 127.0.0.1 {port}" in rest


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_the_table_is_drawn_in_place():
    import pty

    ours, theirs = pty.openpty()
    try:
        with katcp("demo", "--seconds", "1", stdin=theirs, stdout=theirs) as process:
            os.close(theirs)
            shown = b""
            try:
                while chunk := os.read(ours, 65536):
                    shown += chunk
            except OSError:  # how a pseudo-terminal tells that the other side is closed
                pass
    finally:
        os.close(ours)
    assert process.returncode == 0
    assert shown.count(b"az.position") > 3
    assert b"\x1b[" in shown
    assert b"In short" in shown
