"""What waits for a file or a side port, cancelled wherever it waits: nothing is there in part, or left open."""

import asyncio
import contextlib
import sqlite3
import tempfile
from pathlib import Path

import pytest
from tests.chance.cases import Cases

from katcp_aio import Client, CsvSink, InfluxSink, Recorded, SqliteSink, Status

__all__ = []

CASES = Cases()


def of_a_sink(make, count):
    """Return a case that writes to a sink, and finds a reading once or not at all, but never a part of a batch."""

    async def writing(_clock):
        readings = [Recorded("m0", "rate", float(number), Status.NOMINAL, number, {}) for number in range(3)]
        with tempfile.TemporaryDirectory() as folder:
            sink = make(Path(folder, "file"))

            async def work():
                await sink.write(readings)
                await sink.close()

            async def check():
                await sink.write(readings)
                await sink.close()
                assert count(Path(folder, "file")) in (3, 6)

            yield work, check

    return writing


def in_a_database(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT count(*) FROM readings").fetchone()[0]


CASES.add(of_a_sink(CsvSink, lambda path: path.read_text().count("rate")), "writing_to_csv")
CASES.add(of_a_sink(SqliteSink, in_a_database), "writing_to_a_database")
CASES.add(of_a_sink(lambda _path: InfluxSink(lambda _lines: asyncio.sleep(0.1)), lambda _path: 3), "writing_lines")


@contextlib.asynccontextmanager
async def side_port(talk):
    """Yield the client of a device that serves a side port, and the port; it ends when all connections have ended."""
    serving = set()

    async def serve(reader, writer):
        serving.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield Client(host, port), port
    server.close()
    if serving:
        await asyncio.wait(serving)


@CASES.add_by_hand
async def upload_to_a_port(_clock):
    taken = []

    async def take(reader, _writer):
        taken.append(await reader.read())

    async with side_port(take) as (client, port):

        async def check():
            assert await client.upload(port, b"firmware") == 8
            assert taken[-1] == b"firmware"

        yield lambda: client.upload(port, b"firmware"), check


@CASES.add_by_hand
async def download_from_a_port(_clock):
    async def give(reader, writer):
        writer.write(b"memory")
        writer.write_eof()
        await reader.read()  # all that is opened is closed, or this never ends

    async with side_port(give) as (client, port):

        async def check():
            assert await client.download(port) == b"memory"

        yield lambda: client.download(port), check


@pytest.mark.parametrize("name", CASES)
def test_whatever_waits_may_be_cancelled_where_it_waits(name, cancel_everywhere):
    cancel_everywhere(CASES[name], auto=name not in CASES.by_hand)
