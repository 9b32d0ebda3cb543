"""Rows of a device that is told to stop. Law: it stops in its time, whatever its clients do."""

import socket
import time
from collections import Counter

from .rows import DEVICES, NEVER, Figure, row
from .victim import Victim

__all__ = []

BOUND = 3.5  # seconds: the grace of 3 s, and a little
WAIT = 10.0  # seconds that a device is waited for


def stopped(victim: Victim) -> list[Figure]:
    """Send SIGTERM, and see how long it takes."""
    victim.terminate()
    taken = victim.wait_end(WAIT)
    note = f"still there after {WAIT:g} s" if taken == NEVER else ""
    figures = [Figure("SIGTERM to the end of the process", taken, "s", at_most=BOUND, note=note)]
    if taken < NEVER:
        figures.append(Figure("exit code", victim.process.returncode, at_least=0, at_most=0))
    return figures


@row("4", "SIGTERM while a client does not read a reply of 20 MB", sides=DEVICES)
def deaf_client(side: str) -> list[Figure]:
    with Victim(side) as victim:
        deaf = victim.connect()
        deaf.send(b"?big[1] 20000000\n")
        time.sleep(1.0)
        return stopped(victim)


@row("5", "SIGTERM while a subscriber of a fast sensor does not read", sides=DEVICES)
def deaf_subscriber(side: str) -> list[Figure]:
    with Victim(side, rate=2000, size=5000) as victim:
        deaf = victim.connect()
        deaf.send(b"?sensor-sampling[1] fast event\n")
        time.sleep(1.0)
        return stopped(victim)


@row("6", "SIGTERM with 50 requests in flight, of which half would end within the grace", sides=DEVICES)
def requests_in_flight(side: str) -> list[Figure]:
    with Victim(side) as victim:
        askers = [victim.connect(), victim.connect()]
        for asker in askers:
            for mid in range(1, 26):
                asker.send(b"?slow[%d] %s\n" % (mid, b"1" if mid % 2 else b"60"))
        time.sleep(0.5)
        victim.terminate()
        time.sleep(0.2)
        refused = 0
        try:
            socket.create_connection(("127.0.0.1", victim.port), 1).close()
        except OSError:
            refused = 1
        replies: Counter[bytes] = Counter()
        codes: Counter[bytes] = Counter()
        for number, asker in enumerate(askers):
            try:
                while True:
                    line = asker.line(WAIT)
                    if line.startswith(b"!slow["):
                        head, code, *_ = line.split()
                        replies[b"%d %b" % (number, head)] += 1
                        codes[code] += 1
            except (OSError, EOFError):
                asker.close()
        taken = victim.wait_end(WAIT)
        code = victim.process.returncode
        return [
            Figure("requests with exactly one reply", sum(count == 1 for count in replies.values()), at_least=50),
            Figure("of these ok", codes[b"ok"], at_least=26, note="those that could end in time"),
            Figure("new clients refused at once", refused, at_least=1),
            Figure("last reply to the end of the process", taken, "s", at_most=BOUND),
            Figure("exit code", NEVER if code is None else code, at_least=0, at_most=0),
        ]
