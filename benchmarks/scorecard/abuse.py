"""Rows of a client that asks for too much, or sends what it should not, while another looks on."""

import contextlib
import random
import time

from .raw import Witness
from .rows import DEVICES, NEVER, Figure, row
from .victim import Victim

__all__ = []

MIB = 1 << 20
LOOKS = 3.0  # seconds that the other client looks on


def other(witness: Witness, at_most: float, *, worst: bool = False, when: str = "") -> Figure:
    """What the other client saw."""
    value, which = (witness.worst, "worst") if worst else (witness.p99, "p99")
    note = f"no answer in {witness.patience:g} s" if value == NEVER else ""
    return Figure(f"other client{when}, {which}", value, "ms", at_most=at_most, note=note)


@row("1", "400 requests of 30 s from one client, which then goes", sides=DEVICES)
def slow_requests(side: str) -> list[Figure]:
    with Victim(side) as victim:
        offender, bound = victim.connect(), victim.connect()
        with Witness(("127.0.0.1", victim.port)) as during:
            offender.send(b"".join(b"?slow[%d] 30\n" % mid for mid in range(1, 401)))
            bound.send(b"".join(b"?slow-bound[%d] 30\n" % mid for mid in range(1, 401)))
            time.sleep(LOOKS)
        offender.close()
        bound.close()
        time.sleep(1.0)
        figures = [other(during, 50)]
        try:
            look = victim.connect()
            left = look.inside()[1]
        except (OSError, EOFError):
            return [*figures, Figure("other client after it went", NEVER, "ms", at_most=50, note="no answer in 5 s")]
        with Witness(("127.0.0.1", victim.port)) as after:
            time.sleep(1.0)
        # Of 800 requests, those bound to the client's presence are cancelled; the others are a bounded number.
        return [*figures, other(after, 50, when=" after it went"), Figure("handlers that run on", left, at_most=100)]


@row("2", "300 replies of 100 kB that are not read", sides=DEVICES)
def unread_replies(side: str) -> list[Figure]:
    with Victim(side) as victim:
        offender = victim.connect()
        with Witness(("127.0.0.1", victim.port)) as witness:
            offender.send(b"".join(b"?big[%d] 100000\n" % mid for mid in range(1, 301)))
            time.sleep(LOOKS)
        return [other(witness, 50)]


@row("3", "?sensor-list with a hostile pattern, of 101 sensors", sides=DEVICES)
def hostile_pattern(side: str) -> list[Figure]:
    with Victim(side, sensors=100) as victim:
        offender = victim.connect()
        with Witness(("127.0.0.1", victim.port)) as witness:
            began = time.monotonic()
            try:
                reply = offender.ask(b"sensor-list /^(([a-z0-9.-])+)+!$/")
            except TimeoutError:
                return [Figure("answered", NEVER, "ms", at_most=100, note="no answer in 5 s")]
            taken = (time.monotonic() - began) * 1e3
            time.sleep(0.5)
        # Refused, or found to match nothing; either is an answer.
        answered = reply.startswith((b"!sensor-list fail", b"!sensor-list ok 0"))
        return [
            Figure("answered", taken, "ms", at_most=100),
            Figure("with fail, or none found", int(answered), at_least=1),
            other(witness, 100, worst=True),
        ]


@row("7", "a subscriber that does not read, of a sensor of 5 kB at 2000 Hz", seconds=45.0, sides=DEVICES)
def stalled_subscriber(side: str) -> list[Figure]:
    with Victim(side, rate=2000, size=5000) as victim:
        offender = victim.connect()
        time.sleep(1.0)
        base = victim.rss()
        victim.forget_peak()
        offender.send(b"?sensor-sampling[1] fast event\n")
        with Witness(("127.0.0.1", victim.port)) as witness:
            time.sleep(15.0)
        figures = [
            Figure("memory more at the peak", (victim.peak() - base) / MIB, "MiB", at_most=8),
            other(witness, 20),
        ]
        return [*figures, Figure("newest value on resuming", newest(victim, offender), at_least=1)]


def newest(victim: Victim, offender) -> int:
    """Whether a client that reads again comes to know what the sensor is now."""
    now = victim.connect()
    now.send(b"?sensor-value[1] fast\n")
    line = b""
    while not line.startswith(b"#sensor-value[1]"):
        line = now.line()
    value = int(line.split()[-1].rstrip(b"x"))
    ends = time.monotonic() + 5
    try:
        while time.monotonic() < ends:
            line = offender.line()
            if line.startswith(b"#sensor-status") and int(line.split()[-1].rstrip(b"x")) >= value:
                return 1
    except (OSError, EOFError):
        pass
    return 0


@row("8", "200 replies of 1 MB that are not read, and then are", sides=DEVICES)
def unread_megabytes(side: str) -> list[Figure]:
    with Victim(side) as victim:
        offender = victim.connect()
        offender.send(b"?big[1] 1000000\n")
        offender.swallow(b"\n", 5)  # what one reply takes is not counted
        base = victim.rss()
        victim.forget_peak()
        offender.send(b"".join(b"?big[%d] 1000000\n" % mid for mid in range(1, 201)))
        time.sleep(LOOKS)
        held = victim.peak() - base
        got = 0
        try:
            got = sum(len(offender.reply(b"big[%d]" % mid)) > 1_000_000 for mid in range(1, 201))
        except (OSError, EOFError):
            pass
        return [
            Figure("memory more at the peak", held / MIB, "MiB", at_most=8),
            Figure("replies when it reads", got, at_least=200),
        ]


@row("9", "64 MiB without the end of a line", sides=DEVICES)
def endless_line(side: str) -> list[Figure]:
    with Victim(side) as victim:
        offender = victim.connect()
        base = victim.rss()
        victim.forget_peak()
        before = victim.log_lines()
        offender.sock.settimeout(20)
        with Witness(("127.0.0.1", victim.port)) as witness:
            offender.send(b"?echo[1] ")  # so far, it is a request like any other
            with contextlib.suppress(OSError):  # a device may break it off
                for _ in range(64):
                    offender.sock.sendall(b"x" * MIB)
            time.sleep(0.5)
        logged = victim.log_lines() - before
        held = victim.peak() - base
        informs = 0
        try:
            offender.send(b"\n?watchdog[9]\n")
            line = b""
            while not line.startswith(b"!watchdog[9]"):
                line = offender.line()
                informs += line.startswith(b"#log error")
            serves = 1
        except (OSError, EOFError):
            serves = 0
        return [
            Figure("memory more at the peak", held / MIB, "MiB", at_most=17, note="16 MiB of it are the bound"),
            Figure("lines logged", logged, at_least=1, at_most=1),
            Figure("times told", informs, at_least=1, at_most=1),
            Figure("served afterwards", serves, at_least=1),
            other(witness, 20),
        ]


@row("21", "20,000 random lines", sides=DEVICES)
def random_lines(side: str) -> list[Figure]:
    rng = random.Random(21)
    alphabet = [byte for byte in range(1, 256) if byte not in b"\r\n"]
    junk = b"".join(bytes(rng.choices(alphabet, k=rng.randint(5, 35))) + b"\n" for _ in range(20_000))
    with Victim(side) as victim:
        offender = victim.connect()
        before = len(victim.log())
        with Witness(("127.0.0.1", victim.port)) as witness:
            offender.sock.setblocking(False)
            pump(offender.sock, junk, 15.0)
            time.sleep(0.5)
        logged = len(victim.log()) - before
        return [
            Figure("logged for a byte sent", logged / len(junk), "B", at_most=0.1),
            Figure("tracebacks", victim.tracebacks(), at_most=0),
            other(witness, 50, worst=True),
        ]


def pump(sock, data: bytes, seconds: float) -> None:
    """Send all, and read away what comes meanwhile."""
    view, ends = memoryview(data), time.monotonic() + seconds
    while view and time.monotonic() < ends:
        try:
            view = view[sock.send(view[: 1 << 16]) :]
        except BlockingIOError:
            time.sleep(0.0005)
        try:
            sock.recv(1 << 18)
        except BlockingIOError:
            pass
