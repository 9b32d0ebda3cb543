"""Rows of many clients at once."""

import contextlib
import resource
import selectors
import socket
import time

from .raw import GREETED, LINGER, Raw, Witness
from .rows import DEVICES, NEVER, Figure, row
from .victim import Victim, until

__all__ = []

KIB = 1 << 10


def more_files() -> None:
    """Let this process, and the devices that it starts, have as many open files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))


def crowd(port: int, count: int, seconds: float) -> tuple[list[socket.socket], int, float]:
    """Connect all at once; return their sockets, how many were greeted, and in how many seconds."""
    socks, greeted = [], 0
    began = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for _ in range(count):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
            socks.append(sock)
            selector.register(sock, selectors.EVENT_READ, bytearray())
        taken = 0.0
        while greeted < count and time.monotonic() - began < seconds:
            for key, _ in selector.select(0.1):
                data = b""
                with contextlib.suppress(OSError):
                    data = key.fileobj.recv(1 << 16)
                key.data.extend(data)
                if not data:
                    selector.unregister(key.fileobj)
                elif GREETED.search(key.data):
                    greeted += 1
                    taken = time.monotonic() - began
                    selector.unregister(key.fileobj)
    return socks, greeted, taken if greeted == count else NEVER


@row("10", "1,000 idle clients", seconds=60.0, sides=DEVICES)
def idle_clients(side: str) -> list[Figure]:
    more_files()
    with Victim(side) as victim:
        victim.connect().ask(b"watchdog")
        time.sleep(0.2)
        base = victim.rss()
        clients = []
        for _ in range(99):  # in tens, as they would come
            clients += [victim.connect(timeout=20) for _ in range(10)]
        for client in clients:
            client.ask(b"watchdog", 20)
        time.sleep(0.5)
        return [Figure("memory for each", (victim.rss() - base) / len(clients) / KIB, "KiB", at_most=12)]


@row("11", "500 connects at once", seconds=40.0, sides=DEVICES)
def connects_at_once(side: str) -> list[Figure]:
    more_files()
    with Victim(side) as victim:
        with Witness(("127.0.0.1", victim.port)) as witness:
            time.sleep(0.2)
            _, greeted, taken = crowd(victim.port, 500, 15.0)
            time.sleep(0.5)
        return [
            Figure("greeted", greeted, at_least=500),
            Figure("all of them", taken, "s", at_most=1.0),
            Figure("other client, worst", witness.worst, "ms", at_most=100),
        ]


@row("12", "2,000 times connect and reset", seconds=40.0, sides=DEVICES)
def resets(side: str) -> list[Figure]:
    with Victim(side) as victim:
        look = victim.connect()
        look.inside()
        files, tasks = victim.files(), look.inside()[0]
        lines = victim.log_lines()
        for _ in range(2000):
            sock = socket.create_connection(("127.0.0.1", victim.port), 10)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            sock.close()
        until(lambda: victim.files() == files, 5.0)
        return [
            Figure("lines logged", victim.log_lines() - lines, at_most=20),
            Figure("tracebacks", victim.tracebacks(), at_most=0),
            Figure("open files left", victim.files() - files, at_most=0),
            Figure("tasks left", look.inside(20)[0] - tasks, at_most=0),
        ]


@row("13", "client 1,001, and 100 clients of a device that may open 64 files", seconds=60.0, sides=DEVICES)
def too_many_clients(side: str) -> list[Figure]:
    more_files()
    return [*client_1001(side), *few_files(side)]


def client_1001(side: str) -> list[Figure]:
    with Victim(side) as victim:
        socks: list[socket.socket] = []
        for _ in range(10):
            socks += crowd(victim.port, 100, 15.0)[0]
        one_more = Raw(socket.create_connection(("127.0.0.1", victim.port), 5))
        told = b""
        try:
            told = one_more.line()
            while True:
                one_more.line(1.0)
        except TimeoutError:
            refused = 0
        except EOFError:
            refused = int(told.startswith(b"#disconnect "))
        return [Figure("client 1,001 told why and closed", refused, at_least=1)]


def few_files(side: str) -> list[Figure]:
    with Victim(side, files=64) as victim:
        lines = victim.log_lines()
        socks, greeted, _ = crowd(victim.port, 100, 1.0)
        cpu = victim.cpu()
        time.sleep(3.0)
        used = (victim.cpu() - cpu) / 3.0
        for sock in socks:
            sock.close()
        recovered = until(lambda: is_served(victim), 10.0)
        return [
            Figure("served of 100 with 64 files", greeted),
            Figure("processor while full", used * 100, "%", at_most=5),
            Figure("lines logged", victim.log_lines() - lines, at_most=20),
            Figure("served again after", recovered, "s", at_most=1.5),
        ]


def is_served(victim: Victim) -> bool:
    try:
        client = victim.connect(timeout=0.5)
        client.ask(b"watchdog", 0.5)
    except (OSError, EOFError):
        return False
    client.close()
    return True
