"""Files to a port beside the device's own, and from there."""

import asyncio
import contextlib
import functools
import io
import socket
import struct

import pytest

from katcp_aio.client.client import Client
from katcp_aio.client.sideport import download, upload
from katcp_aio.errors import FailReply, ProtocolError
from katcp_aio.limits import Limits
from katcp_aio.testing import FakeDevice

__all__ = []

FIRMWARE = bytes(range(256)) * 2000


class Port:
    """A side port that keeps what it is sent."""

    def __init__(self, *, says=b"", stays_open=False):
        self.data = bytearray()
        self.done = asyncio.Event()
        self._says = says
        self._stays_open = stays_open

    async def take(self, reader, writer):
        writer.write(self._says)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                self.data += data
        self.done.set()
        if self._stays_open:
            await asyncio.sleep(3600)
        writer.close()


@contextlib.asynccontextmanager
async def listening(port, number=0):
    tasks = set()

    async def take(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            await port.take(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", number)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@pytest.fixture
def free():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture
def refused(monkeypatch):
    """An event that is set once a connection has been refused."""
    happened, connect = asyncio.Event(), asyncio.open_connection

    async def watched(*args, **options):
        try:
            return await connect(*args, **options)
        except ConnectionRefusedError:
            happened.set()
            raise

    monkeypatch.setattr(asyncio, "open_connection", watched)
    return happened


@pytest.mark.parametrize(
    "make",
    [
        bytes,
        bytearray,
        memoryview,
        io.BytesIO,
        lambda data: (data[start : start + 999] for start in range(0, len(data), 999)),
    ],
    ids=["bytes", "bytearray", "memoryview", "file", "pieces"],
)
async def test_all_of_it_arrives(make):
    port = Port()
    async with listening(port) as number:
        assert await upload("127.0.0.1", number, make(FIRMWARE)) == len(FIRMWARE)
        await port.done.wait()
    assert port.data == FIRMWARE


async def test_what_the_port_says_is_passed_over():
    port = Port(says=b"hello\n" * 1000)
    async with listening(port) as number:
        assert await upload("127.0.0.1", number, b"x" * 200_000) == 200_000
    assert len(port.data) == 200_000


async def test_the_port_may_open_later(free, refused):
    port = Port()
    uploading = asyncio.create_task(upload("127.0.0.1", free, b"firmware"))
    await refused.wait()
    async with listening(port, free):
        assert await uploading == 8
        await port.done.wait()
    assert port.data == b"firmware"


@pytest.mark.parametrize(
    ("what", "transfer"), [("upload to", functools.partial(upload, data=b"x")), ("download from", download)]
)
async def test_a_port_that_never_opens(manual_clock, monkeypatch, what, transfer):
    async def refuse(*_):
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio, "open_connection", refuse)
    manual_clock.auto = True
    with pytest.raises(TimeoutError, match=rf"{what} device:7148 not done within 5 s") as caught:
        await transfer("device", 7148, timeout=5)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert manual_clock.monotonic() == pytest.approx(5)


async def test_a_port_that_does_not_read():
    async def ignore(reader, writer):
        reader._transport.pause_reading()  # noqa: SLF001 - a StreamReader has no word for it
        await asyncio.sleep(3600)

    port = Port()
    port.take = ignore
    async with listening(port) as number:
        with pytest.raises(TimeoutError):
            await upload("127.0.0.1", number, bytes(50_000_000), timeout=0.3)


async def test_a_port_that_stays_open_is_left_after_a_while(monkeypatch):
    monkeypatch.setattr("katcp_aio.client.sideport._PATIENCE", 0.01)
    port = Port(stays_open=True)
    async with listening(port) as number:
        assert await upload("127.0.0.1", number, b"x") == 1
        await port.done.wait()


async def test_a_file_that_cannot_be_read_ends_the_connection():
    def pieces():
        yield b"some"
        raise OSError("disk on fire")

    port = Port()
    async with listening(port) as number:
        with pytest.raises(OSError, match="disk on fire"):
            await upload("127.0.0.1", number, pieces())
        await port.done.wait()


async def test_cancelling_leaves_nothing_open(free, refused):
    uploading = asyncio.create_task(upload("127.0.0.1", free, b"x", timeout=None))
    await refused.wait()
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading


# The other way


class Source:
    """A side port that gives something away."""

    def __init__(self, data, *, stays_open=False, resets=False):
        self.data = data
        self.begun = asyncio.Event()
        self.left = asyncio.Event()
        self._stays_open = stays_open
        self._resets = resets

    async def take(self, reader, writer):
        with contextlib.suppress(ConnectionError):
            writer.write(self.data)
            await writer.drain()
            self.begun.set()
            if self._resets:
                linger = struct.pack("ii", 1, 0)  # reset it, rather than end it
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return
            if not self._stays_open:
                writer.write_eof()
            await reader.read()
        self.left.set()


async def test_all_that_the_device_sends_is_returned():
    source = Source(FIRMWARE)
    async with listening(source) as number:
        assert await download("127.0.0.1", number) == FIRMWARE
        await source.left.wait()


@pytest.mark.parametrize("size", [0, 1, 100_000, len(FIRMWARE)])
async def test_a_known_size_ends_it_whether_the_device_closes_or_not(size):
    source = Source(FIRMWARE, stays_open=True)
    async with listening(source) as number:
        assert await download("127.0.0.1", number, size=size, timeout=30) == FIRMWARE[:size]
        await source.left.wait()


async def test_a_part_is_not_taken_for_the_whole():
    async with listening(Source(b"some")) as number:
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await download("127.0.0.1", number, size=5)
    assert caught.value.partial == b"some"


async def test_a_download_is_bounded():
    source = Source(bytes(1000))
    async with listening(source) as number:
        client = Client("127.0.0.1", number, limits=Limits(max_download=999))
        with pytest.raises(ProtocolError, match="sent more than 999 bytes"):
            await client.download(number)
        await source.left.wait()
        assert await client.download(number, limit=1000) == bytes(1000)
        for size in (-1, 1000):
            with pytest.raises(ValueError, match="is not within 0 and the limit of 999"):
                await client.download(number, size=size)


async def test_the_port_to_download_from_may_open_later(free, refused):
    downloading = asyncio.create_task(download("127.0.0.1", free))
    await refused.wait()
    async with listening(Source(b"memory"), free):
        assert await downloading == b"memory"


async def test_a_download_that_never_ends(manual_clock):
    source = Source(b"some", stays_open=True)
    async with listening(source) as number:
        downloading = asyncio.create_task(download("127.0.0.1", number, timeout=5))
        await source.begun.wait()
        await manual_clock.advance(5)
        with pytest.raises(TimeoutError):
            await downloading
        await source.left.wait()


async def test_a_download_that_the_device_breaks_off():
    async with listening(Source(b"some", resets=True)) as number:
        with pytest.raises(ConnectionError):
            await download("127.0.0.1", number)


# A board of version 4 that takes firmware on a port of its own: three requests, each with a habit of its own


class Board:
    """What such a board does, played by a scripted device that listens for real."""

    def __init__(self):
        self.device = FakeDevice("4.0", banner=["#version 75dde9d", "#build-state 2026-11-22T11:07:03"])
        self.device.on("progremote", self.answer_at_once)
        self.device.on("uploadbin", self.answer_when_it_is_in)
        self.device.on("saveremote", self.answer_when_it_is_in)
        self.file = Port()
        self.late = None

    async def answer_at_once(self, peer, request):
        number = int(request.arguments[0])
        listening_now = asyncio.Event()
        self.late = asyncio.create_task(self.take(number, listening_now))
        await listening_now.wait()

    async def answer_when_it_is_in(self, peer, request):
        if request.arguments[0] == b"0":
            peer.send(b"#log error 1796345696825 board cannot\\_listen\n")
            raise FailReply("")
        number = int(request.arguments[0])
        seconds = int(request.arguments[3]) if len(request.arguments) > 3 else 9
        await self.take(number, asyncio.Event(), seconds)
        return len(self.file.data)

    async def take(self, number, listening_now, seconds=9):
        async with listening(self.file, number):
            listening_now.set()
            try:
                async with asyncio.timeout(seconds):
                    await self.file.done.wait()
            except TimeoutError:
                raise FailReply("") from None
            for word in ("loaded", "mapped", "ready"):
                self.device.inform("fpga", word)


@pytest.fixture
async def board():
    board = Board()
    async with board.device:
        board.host, board.port = await board.device.listen()
        yield board
        if board.late is not None:
            await board.late


def is_ready(inform):
    return inform.arguments == (b"ready",)


@pytest.mark.parametrize("request_name", ["progremote", "uploadbin"])
async def test_a_board_is_programmed_and_says_when_it_is_ready(board, free, request_name):
    async with Client(board.host, board.port) as client, client.informs("fpga") as informs:
        async with asyncio.timeout(10), asyncio.TaskGroup() as both:
            both.create_task(client.request(request_name, free, timeout=10))
            sent = both.create_task(client.upload(free, io.BytesIO(FIRMWARE)))
        assert sent.result() == len(FIRMWARE)
        async with asyncio.timeout(10):
            words = [(await anext(informs)).arguments[0] for _ in range(3)]
        assert words == [b"loaded", b"mapped", b"ready"]
        assert board.file.data == FIRMWARE


async def test_who_wants_no_more_than_the_last_word_waits_for_it(board, free):
    async with Client(board.host, board.port) as client:
        async with asyncio.timeout(10), asyncio.TaskGroup() as all_of_it:
            ready = all_of_it.create_task(client.wait_for_inform("fpga", is_ready, timeout=10))
            all_of_it.create_task(client.request("progremote", free))
            all_of_it.create_task(client.upload(free, FIRMWARE))
        assert is_ready(ready.result())
        with pytest.raises(TimeoutError):
            await client.wait_for_inform("fpga", is_ready, timeout=0.01)


async def test_a_board_that_cannot_listen_ends_the_upload_at_once(board, free):
    async with Client(board.host, board.port) as client:

        async def program():
            async with asyncio.timeout(10), asyncio.TaskGroup() as both:
                both.create_task(client.request("uploadbin", 0))
                both.create_task(client.upload(free, FIRMWARE))

        with pytest.raises(ExceptionGroup) as caught:
            await program()
        (error,) = caught.value.exceptions
        assert "cannot listen" in str(error)
        assert (await client.request("watchdog")).ok


async def test_a_file_that_never_comes_is_the_boards_own_affair_where_it_has_a_timeout(board, free):
    async with Client(board.host, board.port) as client:
        with pytest.raises(FailReply):
            await client.request("saveremote", free, "design.fpg", 512000, 0, timeout=10)
        assert (await client.request("watchdog")).ok
