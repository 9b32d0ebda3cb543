"""Clients that are raw sockets, well-behaved or not. Law: they know the protocol's lines and nothing of any library."""

import contextlib
import multiprocessing
import re
import socket
import struct
import time
from typing import Any, Self

__all__ = ["Raw", "Witness"]

CHUNK = 1 << 18
LINGER = struct.pack("ii", 1, 0)  # closing resets
NEVER = float("inf")
GREETED = re.compile(rb"#version-connect katcp-device [^\n]*\n")
fork = multiprocessing.get_context("fork")


class Raw:
    """One connection, blocking."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.rest = b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def connect(cls, address: tuple[str, int], *, timeout: float = 5.0) -> Self:
        """Connect, and hear the greeting."""
        raw = cls(socket.create_connection(address, timeout))
        while not raw.line(timeout).startswith(b"#version-connect katcp-device"):
            pass
        return raw

    def send(self, data: bytes) -> None:
        self.sock.settimeout(30.0)
        self.sock.sendall(data)

    def line(self, timeout: float = 5.0) -> bytes:
        """Return the next line.

        Raises:
            TimeoutError: none came.
            EOFError: the connection ended.
        """
        ends = time.monotonic() + timeout
        while b"\n" not in self.rest:
            left = ends - time.monotonic()
            if left <= 0:
                raise TimeoutError("no line")
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(CHUNK)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError(self.rest)
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def reply(self, name: bytes, timeout: float = 5.0) -> bytes:
        """Return the next reply to ``name`` (its id included), past all else."""
        ends = time.monotonic() + timeout
        while True:
            line = self.line(max(0.0, ends - time.monotonic()))
            if line.startswith(b"!" + name) and line[len(name) + 1 : len(name) + 2] in (b" ", b""):
                return line

    def ask(self, request: bytes, timeout: float = 5.0) -> bytes:
        """Make a request, and return the reply."""
        self.send(b"?" + request + b"\n")
        return self.reply(request.partition(b" ")[0], timeout)

    def swallow(self, until: bytes, timeout: float) -> int:
        """Read until ``until`` has come, and return the bytes that came."""
        ends, count, tail = time.monotonic() + timeout, len(self.rest), self.rest[-200:]
        while until not in tail:
            self.sock.settimeout(max(0.001, ends - time.monotonic()))
            data = self.sock.recv(CHUNK)
            if not data:
                raise EOFError(tail)
            count += len(data)
            tail = tail[-200:] + data
        self.rest = b""
        return count

    def inside(self, timeout: float = 5.0) -> tuple[int, int, int]:
        """Tasks, slow handlers and objects inside the device."""
        tasks, slow, objects = map(int, self.ask(b"inside", timeout).split()[2:])
        return tasks, slow, objects

    def reset(self) -> None:
        """Close with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        self.sock.close()

    def close(self) -> None:
        self.sock.close()


class Witness:
    """Another client, in a process of its own, that asks ?watchdog all the time. Use around the harm.

    Args:
        address: of the device.
        patience: seconds without an answer, after which it gives up.

    Attributes:
        waits: how long each answer took, in milliseconds, sorted; the last is infinite if one never came.
    """

    def __init__(self, address: tuple[str, int], patience: float = 5.0, pause: float = 0.002) -> None:
        self._mine, theirs = fork.Pipe()
        self._process = fork.Process(target=witness, args=(address, patience, pause, theirs), daemon=True)
        self.patience = patience
        self.waits: list[float] = []

    def __enter__(self) -> Self:
        self._process.start()
        if not self._mine.poll(10):
            raise RuntimeError("the other client cannot connect")
        self._mine.recv()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # it has given up, and gone
            self._mine.send(None)
        if self._mine.poll(self.patience + 5):
            self.waits = sorted(self._mine.recv())
        self._process.join(1)
        self._process.kill()
        self._process.join()

    @property
    def worst(self) -> float:
        return self.waits[-1]

    @property
    def p99(self) -> float:
        return self.waits[len(self.waits) * 99 // 100] if self.waits[-1] < NEVER else NEVER


def witness(address: tuple[str, int], patience: float, pause: float, told: Any) -> None:
    """Be the witness, until told to end."""
    raw = Raw.connect(address)
    for _ in range(20):
        raw.ask(b"watchdog")
    told.send(None)
    waits = []
    while not told.poll(pause):
        before = time.monotonic()
        try:
            raw.ask(b"watchdog", patience)
        except (OSError, EOFError):  # a timeout is one
            waits.append(NEVER)
            break
        waits.append((time.monotonic() - before) * 1e3)
    told.send(waits or [NEVER])
