"""A device of canned answers, for the clients to talk to. Law: it answers faster than any of them can ask."""

import asyncio
import time

from .child import Role
from .floor import BANNER
from .served import names

__all__ = ["Device"]

MID = b"[0]"  # stands in canned answers for the message id
UNKNOWN = b"!%b[0] invalid Unknown\\_request\n"
REQUESTS = ("client-list", "halt", "help", "sensor-list", "sensor-sampling", "sensor-value", "version-list", "watchdog")
HIGH = 1 << 18  # bytes written at once


class Conversation(asyncio.Protocol):
    """One client."""

    def __init__(self, device: "Device") -> None:
        self.device = device
        self.rest = b""
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.device.conversations.add(self)
        transport.write(BANNER)

    def connection_lost(self, exc: Exception | None) -> None:
        self.device.conversations.discard(self)
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.transport.write(b"".join(map(self.device.answer, lines)))

    async def flood(self, lines: list[bytes]) -> None:
        """Write as fast as the client takes it."""
        for at in range(0, len(lines), 1000):
            self.transport.write(b"".join(lines[at : at + 1000]))
            await self.writable.wait()
            await asyncio.sleep(0)


class Device(Role):
    """Answers by the request's name.

    Args:
        sensors: how many it claims to have, all integers.
    """

    def __init__(self, sensors: int = 0) -> None:
        self.names = [name.encode() for name in names(sensors)]
        self.conversations: set[Conversation] = set()
        self.servers: list[asyncio.Server] = []
        self.rows = {
            b"sensor-list": {name: b"%b A\\_temperature K integer" % name for name in self.names},
            b"sensor-value": {name: b"1700000000.123456 1 %b nominal 17" % name for name in self.names},
            b"help": {name.encode(): b"%b What\\_it\\_does." % name.encode() for name in REQUESTS},
            b"version-list": {b"": b"katcp-protocol 5.1-MIB"},
            b"client-list": {b"": b"127.0.0.1:12345"},
        }
        self.whole = {name: self.listing(name, rows.values()) for name, rows in self.rows.items()}
        self.whole |= {b"watchdog": b"!watchdog[0] ok\n"}

    @staticmethod
    def listing(name: bytes, rows) -> bytes:
        """Return the answer of some rows."""
        lines = [b"#%b[0] %b\n" % (name, row) for row in rows]
        return b"".join([*lines, b"!%b[0] ok %d\n" % (name, len(lines))])

    async def start(self) -> int:
        return await self.listen()

    async def listen(self) -> int:
        """Be one more device, of the same sensors; return its port."""
        loop = asyncio.get_running_loop()
        self.servers.append(await loop.create_server(lambda: Conversation(self), "127.0.0.1", 0))
        return self.servers[-1].sockets[0].getsockname()[1]

    async def stop(self) -> None:
        for server in self.servers:
            server.close()

    def answer(self, line: bytes) -> bytes:
        """Return the answer to one line."""
        head, *arguments = line.split(b" ")
        name, bracket, mid = head[1:].partition(b"[")
        if name == b"sensor-sampling":
            answer = self.sampling(*arguments)
        elif arguments and not arguments[0].startswith(b"/") and name in self.rows:
            row = self.rows[name].get(arguments[0])
            answer = self.listing(name, [row]) if row else b"!%b[0] fail Unknown\\_name\n" % name
        else:
            answer = self.whole.get(name) or UNKNOWN % name
        return answer.replace(MID, bracket + mid)

    def sampling(self, wanted: bytes, strategy: bytes = b"none", *parameters: bytes) -> bytes:
        """Return what subscribing to some sensors is answered."""
        lines = []
        if strategy != b"none":
            rows = self.rows[b"sensor-value"]
            lines = [b"#sensor-status %b\n" % rows[name] for name in wanted.split(b",")]
        return b"".join([*lines, b"!sensor-sampling[0] ok %b\n" % b" ".join([wanted, strategy, *parameters])])

    async def inform(self, count: int) -> float:
        """Send every client so many informs; return when this began."""
        began = time.time()
        await self.flood([b"#blip 17 2.5 alpha\n"] * count)
        return began

    async def update(self, passes: int, final: int) -> float:
        """Send every client a new value of each sensor, some times over, the last one ``final``; as :meth:`inform`."""
        rounds = [
            [b"#sensor-status 1700000000.123456 1 %b nominal %d\n" % (name, number) for name in self.names]
            for number in range(passes)
        ]
        last = b"#sensor-status 1700000000.123456 1 %b nominal %d\n" % (self.names[-1], final)
        began = time.time()
        await self.flood([line for lines in rounds for line in lines] + [last])
        return began

    async def flood(self, lines: list[bytes]) -> None:
        """Write to all clients."""
        for conversation in list(self.conversations):
            await conversation.flood(lines)
