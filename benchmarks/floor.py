"""The least that a program on asyncio's streams can do: answer bytes with bytes, unread. No device can be faster.

It sees how many lines came and how the first begins, and answers each with bytes that were made beforehand.
"""

import asyncio
import time

from .asking import Asking
from .child import Role
from .served import names

__all__ = ["Client", "Server"]

BANNER = (
    b"#version-connect katcp-protocol 5.1-MIB\n"
    b"#version-connect katcp-library floor-1.0 floor-1.0.0\n"
    b"#version-connect katcp-device benchmark-1.0 benchmark-1.0.0\n"
)


class Server(Role):
    """Answers each line.

    Args:
        sensors: lines in the answers to ?sensor-list, ?sensor-value and ?sensor-sampling.
        reply: the answer to anything else but ?watchdog.
        mirror: send back what comes, as it comes, instead.
    """

    def __init__(self, sensors: int = 1, reply: str = "", *, mirror: bool = False) -> None:
        self.mirror = mirror
        self.reply = reply.encode() + b"\n"
        self.writers: set[asyncio.StreamWriter] = set()
        self.have(sensors)

    def have(self, sensors: int) -> None:
        """Make the answers of a device with so many sensors."""
        self.names = names(sensors)
        self.replies = {
            b"?watchdog": b"!watchdog ok\n",
            b"?watchdog[1]": b"!watchdog[1] ok\n",
            b"?sensor-list[9]": self.listing(
                "#sensor-list[9] {} A\\_temperature\\_of\\_the\\_benchmark K integer", f"!sensor-list[9] ok {sensors}"
            ),
            b"?sensor-value[9]": self.listing(
                "#sensor-value[9] 1700000000.123456 1 {} unknown 0", f"!sensor-value[9] ok {sensors}"
            ),
            b"?sensor-sampling[9]": self.listing(
                "#sensor-status 1700000000.123456 1 {} unknown 0",
                f"!sensor-sampling[9] ok {','.join(self.names)} event",
            ),
        }

    def add_cost(self, count: int) -> None:
        """Have more sensors; there is nothing to be measured about it."""
        self.have(len(self.names) + count)

    def set_cost(self, count: int) -> None:
        """Nothing that nobody samples is set here."""

    def listing(self, row: str, reply: str) -> bytes:
        return "".join([*(row.format(name) + "\n" for name in self.names), reply, "\n"]).encode()

    async def start(self) -> int:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.server.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(BANNER)
        self.writers.add(writer)
        reply = self.reply
        while data := await self.read(reader):
            if self.mirror and not data.startswith(b"?watchdog"):
                writer.write(data)
                continue
            if data.startswith(b"?"):
                head = data[: data.find(b"\n")]
                reply = self.replies.get(head.partition(b" ")[0], self.reply)
                if head.startswith(b"?watchdog["):
                    reply = self.replies[b"?watchdog[1]"]
            writer.write(reply * data.count(b"\n"))
            await writer.drain()
        self.writers.discard(writer)
        writer.close()

    @staticmethod
    async def read(reader: asyncio.StreamReader) -> bytes:
        """Return what comes; nothing at the end, be it that the client went without having read all."""
        try:
            return await reader.read(1 << 16)
        except ConnectionError:
            return b""

    async def update(self, count: int, final: int, burst: int) -> float:
        """As a device's sensor that is set ``count`` times; what comes in one turn of the loop leaves in one write."""
        began = time.time()
        line = f"#sensor-status 1700000000.123456 1 {self.names[0]} nominal 0\n".encode()
        block = line * burst
        for number in range(burst, count + 1, burst):
            if number == count:
                block = line * (burst - 1) + line.replace(b"nominal 0", b"nominal %d" % final)
            for writer in self.writers:
                writer.write(block)
            await asyncio.sleep(0)
        return began

    async def sweep(self, passes: int, final: int) -> float:
        """As all of a device's sensors that are set in turn; a hundred lines in one write."""
        began = time.time()
        lines = [f"#sensor-status 1700000000.123456 1 {name} nominal 0\n".encode() for name in self.names]
        for _ in range(passes):
            for at in range(0, len(lines), 100):
                block = b"".join(lines[at : at + 100])
                for writer in self.writers:
                    writer.write(block)
                await asyncio.sleep(0)
        for writer in self.writers:
            writer.write(lines[-1].replace(b"nominal 0", b"nominal %d" % final))
        return began


class Client(Asking):
    """The same for a client: it knows that answers come in order, and takes a line for an answer."""

    async def start(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        for _ in range(BANNER.count(b"\n")):
            await self.reader.readline()

    async def stop(self) -> None:
        self.writer.close()

    async def watchdog(self) -> None:
        self.writer.write(b"?watchdog[1]\n")
        await self.reader.readline()

    async def in_flight(self, seconds: float, requests: int = 100) -> dict[str, float]:
        count, began = 0, time.perf_counter()
        while time.perf_counter() < began + seconds:
            self.writer.write(b"?watchdog[1]\n" * requests)
            for _ in range(requests):
                await self.reader.readline()
            count += requests
        return {"requests": count, "seconds": time.perf_counter() - began}

    async def hear_all(self) -> float:
        while self.heard < self.wanted:
            self.heard += (await self.reader.read(1 << 16)).count(b"\n")
        return time.time()
