"""Rows of what must not get out: bytes that move a terminal, what is inside, and commands of strangers."""

import contextlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .networks import namespace
from .raw import Raw
from .rows import DEVICES, OURS, Figure, Skip, row
from .running import ROOT
from .victim import Victim

__all__ = []

CONTROLS = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
FORGED = "FORGED"
NASTY = rb"\e[2J\n" + b"FORGED\\_ERROR\\r" + "\u2028\u202e\x9b".encode() + rb"\0"
NASTY_LINES = [
    b"?no-such %b" % NASTY,
    b"?slow %b" % NASTY,
    b"?sensor-value %b" % NASTY,
    b"?sensor-sampling %b event" % NASTY,
    b"?sensor-list /%b(/" % NASTY,
    b"?log-level %b" % NASTY,
    b"?\x1b[2Jname x",
    b"?x\x1b]0;title\x07 y",
    b"!reply %b" % NASTY,
    b"#inform %b" % NASTY,
    b"?boom[\x1b]",
    b"?boom",
    "\u2028FORGED".encode(),
    b"\x9b2J",
]


def controls(text: bytes) -> int:
    """How many characters there are that a log or a terminal must never see."""
    return len(CONTROLS.findall(text.decode("utf-8", "surrogateescape")))


@row("22", "control characters in names, arguments and values", sides=DEVICES)
def control_characters(side: str) -> list[Figure]:
    with Victim(side) as victim:
        offender = victim.connect()
        for line in NASTY_LINES:
            offender.send(line + b"\n")
        offender.send(b"?watchdog[99]\n")
        offender.reply(b"watchdog[99]")
        log = victim.log()
        forged = sum(line.lstrip().startswith(FORGED.encode()) for line in log.splitlines())
        figures = [
            Figure("raw control characters in the log", controls(log), at_most=0),
            Figure("forged lines in the log", forged, at_most=0),
        ]
    return [*figures, *command_line()] if side == OURS else figures


def command_line() -> list[Figure]:
    """What our command shows of a device whose sensors say such things."""
    code = (
        "import asyncio\n"
        "from katcp_aio.testing import FakeDevice, FakeSensor\n"
        "async def main():\n"
        "    nasty = '\\x1b[2J\\nFORGED\\r\\u2028\\u202e\\x9b'\n"
        "    sensor = FakeSensor('string', nasty, description=nasty, units=nasty)\n"
        "    async with FakeDevice(sensors={'nasty': sensor}) as device:\n"
        "        device.on('nasty', reply=('ok', nasty))\n"
        "        print((await device.listen())[1], flush=True)\n"
        "        await asyncio.sleep(20)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as device:
        try:
            port = int(device.stdout.readline())
            shown = b""
            for command in (["sensors", f"127.0.0.1:{port}"], ["call", f"127.0.0.1:{port}", "nasty"]):
                done = subprocess.run(
                    [sys.executable, "-m", "katcp_aio", *command],
                    cwd=ROOT,
                    capture_output=True,
                    timeout=15,
                    check=False,
                )
                shown += done.stdout + done.stderr
        finally:
            device.kill()
    forged = sum(line.startswith(FORGED.encode()) for line in shown.splitlines())
    return [
        Figure("shown by the katcp command", int(FORGED.encode() in shown), at_least=1),
        Figure("raw control characters there", controls(shown), at_most=0),
        Figure("forged lines there", forged, at_most=0),
    ]


@row("23", "a handler that raises, with a password in its error", sides=DEVICES)
def handler_raises(side: str) -> list[Figure]:
    with Victim(side) as victim:
        client = victim.connect()
        reply = client.ask(b"boom")
        leaks = sum(word in reply for word in (b"hunter2", b"Traceback", b".py", b"/", b"\\n"))
        return [
            Figure("answered fail", int(reply.startswith(b"!boom fail")), at_least=1),
            Figure("secret, traceback, path, lines in it", leaks, at_most=0),
            Figure("length of the reply", len(reply), "B"),
            Figure("traceback in the log", int(b"hunter2" in victim.log()), at_least=1),
        ]


@row("24", "?halt by a stranger; TLS with the wrong certificates", seconds=60.0, sides=DEVICES)
def strangers(side: str) -> list[Figure]:
    figures = []
    with namespace() as net, Victim(side, host="0.0.0.0") as victim:
        stranger = net.connect(victim.port)
        reply = stranger.ask(b"halt")
        figures.append(Figure("?halt from elsewhere refused", int(reply.startswith(b"!halt fail")), at_least=1))
        time.sleep(0.5)
        figures.append(Figure("the device goes on", int(victim.process.poll() is None), at_least=1))
    if side != OURS:
        return [*figures, Figure("TLS", 0, at_least=1, note="has none")]
    return [*figures, *certificates()]


def certificates() -> list[Figure]:
    """Connect with each kind of wrong certificate."""
    with authority() as folder, Victim(OURS, tls=folder) as victim:
        address = ("127.0.0.1", victim.port)
        slow = socket.create_connection(address, 5)  # begins no handshake, and is in nobody's way
        began = time.monotonic()
        good = served(address, folder, "good.pem")
        errors = {name: served(address, folder, name) for name in ("", "other.pem", "expired.pem")}
        slow.settimeout(15)
        with contextlib.suppress(OSError):
            while slow.recv(1000):
                pass
        cut = time.monotonic() - began
        log = victim.log()
        return [
            Figure("TLS, the right certificate served", int(good), at_least=1),
            Figure("none, another's, or an expired one served", sum(errors.values()), at_most=0),
            Figure("handshake that never comes cut after", cut, "s", at_least=9, at_most=11),
            Figure("tracebacks", log.count(b"Traceback"), at_most=0),
        ]


def served(address: tuple[str, int], folder: str, certificate: str) -> bool:
    """Whether a client with that certificate gets an answer."""
    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    if certificate:
        context.load_cert_chain(f"{folder}/{certificate}")
    try:
        with (
            socket.create_connection(address, 5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as s,
        ):
            return Raw(s).ask(b"watchdog").endswith(b"ok")
    except (OSError, EOFError):
        return False


@contextlib.contextmanager
def authority() -> Iterator[str]:
    """Write certificates into a folder, good and bad."""
    try:
        import trustme
    except ImportError:
        raise Skip("trustme is not installed") from None
    ours, other = trustme.CA(), trustme.CA()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours.cert_pem.write_to_path(folder / "ca.pem")
        expired = datetime.now(UTC) - timedelta(days=1)
        for file, made in {
            "server.pem": ours.issue_cert("localhost"),
            "good.pem": ours.issue_cert("operator.example"),
            "other.pem": other.issue_cert("operator.example"),
            "expired.pem": ours.issue_cert("operator.example", not_after=expired),
        }.items():
            made.private_key_and_cert_chain_pem.write_to_path(folder / file)
        yield name
