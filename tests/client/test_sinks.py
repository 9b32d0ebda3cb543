"""Sinks: what is in the file, or on its way to the database, for what was read."""

import asyncio
import csv
import errno
import io
import json
import math
import sqlite3

import pytest

from katcp_aio import Address, CsvSink, InfluxSink, Lru, Recorded, SqliteSink, Status, Timestamp

__all__ = []


def recorded(value, status=Status.NOMINAL, *, sensor="rate", timestamp=12.5, labels=None, device="pump"):
    return Recorded(device, sensor, timestamp, status, value, labels or {})


NASTY = 'a,b "c"\\ =d\r\ne\udc80é'
VALUES = {
    "integer": 7,
    "huge": 2**70,
    "float": 2.5,
    "none": math.nan,
    "boolean": True,
    "time": Timestamp(1.5e9),
    "address": Address("10.0.0.1", 7147),
    "unit": Lru.NOMINAL,
    "bytes": b"\xff",
    "text": NASTY,
    "missing": None,
}
BATCH = [recorded(value, sensor=name) for name, value in VALUES.items()]
TEXTS = {  # what of these is a text, in a file as in a database
    "huge": str(2**70),
    "address": "10.0.0.1:7147",
    "unit": "nominal",
    "bytes": "\\xff",
    "text": NASTY.replace("\udc80", "\\udc80"),
}


# Files


def table(path):
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))


async def test_a_csv_file_has_a_line_for_each_reading(tmp_path):
    path = tmp_path / "pump.csv"
    sink = CsvSink(path)
    await sink.write(BATCH)
    rows = table(path)
    assert [row["sensor"] for row in rows] == list(VALUES)
    assert {row["sensor"]: row["value"] for row in rows} == TEXTS | {
        "integer": "7",
        "float": "2.5",
        "none": "nan",
        "boolean": "True",
        "time": "1500000000.0",
        "missing": "",
    }
    assert rows[0] | {"value": "7"} == rows[0]
    assert [rows[0][name] for name in ("timestamp", "device", "status", "labels")] == ["12.5", "pump", "nominal", "{}"]
    await sink.close()
    await sink.close()


async def test_what_a_process_that_was_killed_has_left_of_a_line_is_not_added_to(tmp_path):
    path = tmp_path / "pump.csv"
    sink = CsvSink(path)
    await sink.write([recorded(1), recorded(2)])
    await sink.close()
    path.write_bytes(path.read_bytes()[:-20])  # amid the second reading
    for value in (3, 4):
        await sink.write([recorded(value)])
    await sink.close()
    rows = table(path)
    assert [row["value"] for row in rows if row["status"] == "nominal" and row["labels"] == "{}"] == ["1", "3", "4"]
    assert len(rows) == 4


async def test_a_csv_file_is_added_to(tmp_path):
    path = tmp_path / "pump.csv"
    for value in (1, 2):
        sink = CsvSink(path)
        await sink.write([recorded(value, Status.WARN, labels={"b": 'x"', "a": "é"})])
        await sink.write([recorded(10 * value)])
        await sink.close()
    rows = table(path)
    assert [row["value"] for row in rows] == ["1", "10", "2", "20"]
    assert json.loads(rows[0]["labels"]) == {"a": "é", "b": 'x"'}


async def test_a_batch_that_a_full_disk_takes_a_part_of_leaves_no_part(tmp_path, monkeypatch):
    full = [True]

    class File(io.FileIO):
        def write(self, data):
            if not full:
                return super().write(data[:7])
            if self.tell() % 7 == 0:
                raise OSError(errno.ENOSPC, "disk full")
            return super().write(data[: 7 - self.tell() % 7])

    path = tmp_path / "pump.csv"
    monkeypatch.setattr("katcp_aio.client.sinks.io.FileIO", File)
    path.write_bytes(b"x\r\n")
    sink = CsvSink(path)
    with pytest.raises(OSError, match="disk full"):
        await sink.write([recorded(1)])
    assert path.read_bytes() == b"x\r\n"
    full.clear()
    await sink.write([recorded(1)])
    assert path.read_bytes() == b"x\r\n12.5,pump,rate,nominal,1,{}\r\n"
    await sink.close()


def query(path, text):
    database = sqlite3.connect(path)
    try:
        return database.execute(text).fetchall()
    finally:
        database.close()


READINGS = (
    "SELECT device, sensor, timestamp, status, value FROM readings JOIN sensors ON id = sensor_id ORDER BY 1, 2, 3"
)


async def test_a_database_has_a_row_for_each_reading(tmp_path):
    path = tmp_path / "pump.db"
    sink = SqliteSink(path)
    await sink.write(BATCH)
    values = dict(query(path, "SELECT sensor, value FROM readings JOIN sensors ON id = sensor_id"))
    assert values == TEXTS | {
        "integer": 7,
        "float": 2.5,
        "none": None,
        "boolean": 1,
        "time": 1.5e9,
        "missing": None,
    }
    assert [type(values[name]) for name in ("integer", "float", "time")] == [int, float, float]
    assert query(path, "PRAGMA journal_mode") == [("wal",)]
    await sink.close()
    await sink.close()


async def test_a_database_is_added_to(tmp_path):
    path = tmp_path / "pump.db"
    for time in (1.0, 2.0):
        sink = SqliteSink(path)
        await sink.write([recorded(5, timestamp=time), recorded(6, timestamp=math.nan, sensor="other")])
        await sink.write([recorded(7, Status.UNREACHABLE, timestamp=time + 0.5)])
        await sink.close()
    assert query(path, "SELECT device, sensor, labels FROM sensors ORDER BY 2") == [
        ("pump", "other", "{}"),
        ("pump", "rate", "{}"),
    ]
    assert query(path, READINGS)[2:] == [
        ("pump", "rate", 1.0, "nominal", 5),
        ("pump", "rate", 1.5, "unreachable", 7),
        ("pump", "rate", 2.0, "nominal", 5),
        ("pump", "rate", 2.5, "unreachable", 7),
    ]


async def test_a_batch_that_a_database_does_not_take_is_not_there_in_part(tmp_path):
    path = tmp_path / "pump.db"
    sink = SqliteSink(path)
    await sink.write([recorded(1)])
    database = sqlite3.connect(path)
    database.execute(
        "CREATE TRIGGER full BEFORE INSERT ON readings WHEN new.value = 3 BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    with pytest.raises(sqlite3.Error, match="full"):
        await sink.write([recorded(2, sensor="new"), recorded(3)])
    database.execute("DROP TRIGGER full")
    database.close()
    assert query(path, "SELECT value FROM readings") == [(1,)]
    await sink.write([recorded(2), recorded(3)])
    await sink.close()
    assert query(path, "SELECT value FROM readings") == [(1,), (2,), (3,)]


async def test_what_is_no_database_is_told_and_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 100)
    sink = SqliteSink(path)
    for _ in range(2):
        with pytest.raises(sqlite3.DatabaseError):
            await sink.write([recorded(1)])
    await sink.close()
    assert path.read_text() == "dear diary, " * 100


@pytest.mark.parametrize("kind", [CsvSink, SqliteSink])
async def test_files_are_written_while_the_loop_goes_on(tmp_path, kind):
    sink = kind(tmp_path / "file")
    turns = 0
    writing = asyncio.create_task(sink.write([recorded(1)]))
    while not writing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 2
    await sink.close()


# The line protocol


async def lines(*readings, **options):
    sent = []

    async def write(data):
        sent.append(data)

    sink = InfluxSink(write, **options)
    await sink.write(readings)
    await sink.close()
    (data,) = sent
    assert data.endswith(b"\n")
    return data.decode()[:-1]


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (7, ",value_integer=7i"),
        (-(2**63), f",value_integer={-(2**63)}i"),
        (2**63, f',value_text="{2**63}"'),
        (2.5, ",value=2.5"),
        (1e300, ",value=1e+300"),
        (Timestamp(1.5e9), ",value=1500000000.0"),
        (True, ",value_boolean=true"),
        (False, ",value_boolean=false"),
        ("idle", ',value_text="idle"'),
        (b"\xff", ',value_text="\\\\xff"'),
        ('a\\"b,c d=e', ',value_text="a\\\\\\"b,c d=e"'),
        (Address("10.0.0.1", 7147), ',value_text="10.0.0.1:7147"'),
        (math.nan, ""),
        (-math.inf, ""),
        (None, ""),
    ],
)
async def test_a_field_is_of_the_values_type(value, field):
    assert (
        await lines(recorded(value, timestamp=1.5e9))
        == f"katcp_sensor,device=pump,sensor=rate,status=nominal valid=true{field} 1500000000000000000"
    )


async def test_a_line_has_all_tags_escaped():
    labels = {"a b": "c,d=e f", "empty": "", "": "nameless", "end": "back\\", "forged": "x\ny value=1", "device": "me"}
    assert await lines(recorded(1, Status.UNREACHABLE, labels=labels, sensor="no\\"), measurement="my sensors,") == (
        "my\\ sensors\\,,a\\ b=c\\,d\\=e\\ f,end=back/,forged=x/x0ay\\ value\\=1,device=pump,sensor=no/,"
        "status=unreachable valid=false,value_integer=1i 12500000000"
    )


@pytest.mark.parametrize("timestamp", [math.nan, math.inf, -1e300])
async def test_a_time_that_is_none_is_left_to_the_database(timestamp):
    assert (await lines(recorded(1, timestamp=timestamp))).endswith(" valid=true,value_integer=1i")


async def test_each_reading_is_a_line_and_half_a_character_costs_none():
    text = await lines(recorded("a\udc80"), recorded(2))
    assert len(text.splitlines()) == 2
    assert 'value_text="a\\\\udc80"' in text
