"""Records of Python's log that reach the clients."""

import asyncio
import logging
import threading

import pytest

from katcp_aio.limits import Limits
from katcp_aio.server.logs import KatcpLogHandler, LogLevel

TRACE = 5


def handlers(logger):
    return [handler for handler in logger.handlers if isinstance(handler, KatcpLogHandler)]


@pytest.fixture
def log():
    """A logger of the test's own, which passes everything on and to nobody else."""
    logger = logging.getLogger("pump.motor")
    logger.setLevel(1)
    logger.propagate = False
    yield logger
    for handler in handlers(logger):
        logger.removeHandler(handler)
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


async def told(peer, request="watchdog"):
    """Return (level, name, text) of each record that came, until the reply to a request."""
    peer.send(f"?{request}")
    records = []
    while (message := await peer.message()).name != request:
        if message.name == "log":
            level, _, name, text = message.arguments
            records.append((level.decode(), name.decode(), text.decode()))
    return records


@pytest.fixture
def client(greeted, serve, device_class, log):
    """Serve a device with the handler attached, and connect a client."""

    async def connect(level=LogLevel.ALL, **options):
        device = device_class(**options)
        device.log_level = level
        log.addHandler(KatcpLogHandler(device))
        return await greeted(device)

    return connect


# Levels


@pytest.mark.parametrize(
    ("python", "level"),
    [
        (0, "trace"),
        (1, "trace"),
        (TRACE, "trace"),
        (9, "trace"),
        (10, "debug"),
        (15, "debug"),
        (20, "info"),
        (25, "info"),
        (30, "warn"),
        (35, "warn"),
        (40, "error"),
        (49, "error"),
        (50, "fatal"),
        (1000, "fatal"),
    ],
)
def test_a_level_of_python_is_the_one_below(python, level):
    assert LogLevel.from_python(python) is LogLevel[level.upper()]


def test_levels_are_ordered_and_go_both_ways():
    names = ["OFF", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL"]
    assert [level.name for level in LogLevel] == names
    assert sorted(LogLevel, reverse=True) == list(LogLevel)
    assert LogLevel.WARN > LogLevel.INFO >= LogLevel.INFO
    for level in list(LogLevel)[1:-1]:
        assert LogLevel.from_python(level.python) is level
    with pytest.raises(TypeError):
        assert LogLevel.WARN > 10


# What is sent


async def test_a_record_is_an_inform(client, log):
    peer = await client()
    record = log.makeRecord(log.name, 25, "pump.py", 12, "rate is %s\n", ("high",), None)
    record.created = 1.5e9
    log.handle(record)
    assert await peer.line() == rb"#log info 1500000000.0 pump.motor rate\_is\_high\n"


async def test_version_4_has_milliseconds(client, log):
    peer = await client(protocol="4.0")
    record = log.makeRecord(log.name, 40, "pump.py", 12, "hot", (), None)
    record.created = 1.5e9
    log.handle(record)
    assert await peer.line() == b"#log error 1500000000000 pump.motor hot"


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("off", []),
        ("fatal", ["50"]),
        ("error", ["40", "50"]),
        ("warn", ["30", "40", "50"]),
        ("info", ["20", "30", "40", "50"]),
        ("debug", ["10", "20", "30", "40", "50"]),
        ("trace", ["5", "10", "20", "30", "40", "50"]),
        ("all", ["5", "10", "20", "30", "40", "50"]),
    ],
)
async def test_the_level_that_a_client_sets_is_the_devices(client, log, level, expected):
    peer = await client()
    other = peer.served.peer()
    await told(other)
    peer.send(f"?log-level {level}\n".encode())
    assert (await peer.message("log-level")).arguments == (b"ok", level.encode())
    for number in (5, 10, 20, 30, 40, 50):
        log.log(number, str(number))
    assert [text for _, _, text in await told(other)] == expected


async def test_one_client_can_have_a_limit_of_its_own(client, log):
    peer = await client(LogLevel.WARN)
    peer.send(b"?log-limit debug\n")
    await peer.message("log-limit")
    log.debug("low")
    assert await told(peer) == [("debug", "pump.motor", "low")]


async def test_a_traceback_stays_in_the_log(client, log):
    peer = await client()
    try:
        raise ZeroDivisionError("secret")
    except ZeroDivisionError:
        log.exception("failed")
    assert await told(peer) == [("error", "pump.motor", "failed")]


async def test_a_formatter_says_more(client, log):
    peer = await client()
    handlers(log)[0].setFormatter(logging.Formatter("%(levelno)s: %(message)s"))
    log.warning("hot")
    assert await told(peer) == [("warn", "pump.motor", "30: hot")]


async def test_arguments_that_do_not_fit_do_no_harm(client, log, capsys):
    peer = await client()
    # Not by way of the logger: pytest's own handler, which is there too, fails the test.
    handlers(log)[0].handle(log.makeRecord(log.name, 30, "pump.py", 12, "%d", ("no number",), None))
    assert await told(peer) == []
    assert "Logging error" in capsys.readouterr().err


async def test_text_that_is_no_unicode_does_no_harm(client, log):
    peer = await client()
    log.warning("no file %s", "\udcff")
    assert await told(peer) == [("warn", "pump.motor", "no file \\udcff")]


async def test_what_the_library_logs_is_not_sent(greeted, device_class):
    class Pump(device_class):
        async def request_check(self, ctx):
            """Check."""
            ctx.logger.warning("checked")
            raise ZeroDivisionError

    device = Pump()
    handler = KatcpLogHandler(device)
    library = logging.getLogger("katcp_aio")
    library.addHandler(handler)
    try:
        peer = await greeted(device)
        records = await told(peer, "check")
    finally:
        library.removeHandler(handler)
    assert records == [("warn", "katcp_aio.request", "checked [memory ?check]")]


# What must do no harm


async def test_what_is_logged_by_sending_is_not_sent(client, log, monkeypatch):
    peer = await client()
    (connection,) = (client.connection for client in peer.served.server.clients)
    write = type(connection).write

    def noisy(self, data):
        log.warning("writing")
        write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(type(connection), "write", noisy)
        log.warning("hot")
    assert await told(peer) == [("warn", "pump.motor", "hot")]


async def test_records_of_other_threads_arrive(client, log):
    peer = await client()
    thread = threading.Thread(target=log.warning, args=("from %s", "outside"))
    thread.start()
    thread.join()
    await asyncio.sleep(0)
    assert await told(peer) == [("warn", "pump.motor", "from outside")]


async def test_a_flood_of_another_thread_is_bounded(client, log):
    peer = await client()

    def flood():
        for number in range(3000):
            log.warning("%d", number)

    thread = threading.Thread(target=flood)
    thread.start()
    thread.join()  # and meanwhile the loop stands still
    await asyncio.sleep(0)
    assert len(await told(peer)) == 1000
    assert handlers(log)[0].dropped == 2000
    log.warning("again")
    assert [text for _, _, text in await told(peer)] == ["again"]


async def test_a_client_that_does_not_read_misses_records(client, log):
    peer = await client(limits=Limits(write_high=2000, write_low=500))
    (connection,) = (client.connection for client in peer.served.server.clients)
    peer.pause()
    for number in range(10_000):
        log.warning("%d", number)
    assert connection.backlog < 5000
    assert handlers(log)[0].dropped > 9000
    peer.resume()
    texts = [text for _, _, text in await told(peer)]
    assert texts == [str(number) for number in range(len(texts))]


def test_a_server_that_is_not_there_does_no_harm(device_class, log):
    log.addHandler(KatcpLogHandler(device_class()))
    log.warning("nobody hears it")


async def test_a_loop_that_has_ended_does_no_harm(device_class, log):
    device = device_class()
    log.addHandler(KatcpLogHandler(device))

    async def life():
        await device.start(listen=False)
        await device.stop()

    await asyncio.to_thread(asyncio.run, life())
    log.warning("nobody hears it")


async def test_what_a_loop_that_has_ended_left_counts_no_longer(device_class, greeted, log):
    device = device_class()
    log.addHandler(KatcpLogHandler(device))

    def flood():
        for _ in range(1000):
            log.warning("nobody hears it")

    def earlier_life():
        loop = asyncio.new_event_loop()
        loop.run_until_complete(device.start(listen=False))
        loop.run_until_complete(device.stop())
        flood()  # outside of the loop, which does not run again
        loop.close()

    await asyncio.to_thread(earlier_life)
    peer = await greeted(device)
    await asyncio.to_thread(log.warning, "from outside")
    assert await told(peer) == [("warn", "pump.motor", "from outside")]


async def test_the_devices_own_log_goes_to_its_clients_and_to_pythons_log(manual_clock, greeted, device_class, caplog):
    device = device_class(clock=manual_clock)
    peer = await greeted(device)
    device.log.warning("the pump is %s", "hot")
    line = await peer.message("log")
    assert line.arguments[0] == b"warn"
    assert line.arguments[2:] == (device.log.logger.name.encode(), b"the pump is hot")
    assert [record.getMessage() for record in caplog.records] == ["the pump is hot"]
    assert caplog.records[0].filename == "test_logs.py"


async def test_what_clients_are_sent_does_not_depend_on_pythons_levels(greeted, device_class, caplog):
    device = device_class()
    peer = await greeted(device)
    device.log.info("not yet")
    device.log.fatal("at once")
    assert (await peer.message("log")).arguments[-1] == b"at once"
    await peer.ask("?log-level trace")
    assert device.log.isEnabledFor(5)
    device.log.trace("step %d", 1)
    device.log.debug("in detail")
    assert [(await peer.message("log")).arguments[::3] for _ in range(2)] == [
        (b"trace", b"step 1"),
        (b"debug", b"in detail"),
    ]
    await peer.ask("?log-level off")
    device.log.fatal("to nobody here")
    await peer.ask("?log-limit error")
    device.log.error("to the one who asked")
    assert (await peer.message("log")).arguments[-1] == b"to the one who asked"
    assert [record.levelname for record in caplog.records] == ["CRITICAL", "CRITICAL", "ERROR"]


async def test_two_devices_of_one_class_do_not_mix_their_logs_and_nobody_is_told_twice(greeted, serve, device_class):
    from katcp_aio import KatcpLogHandler

    one, other = device_class(), device_class()
    peer, bystander = await greeted(one), await greeted(other)
    handler = KatcpLogHandler(one)
    one.log.logger.addHandler(handler)
    try:
        one.log.error("mine")
        await peer.ask("?watchdog[1]")
        await bystander.ask("?watchdog[1]")
    finally:
        one.log.logger.removeHandler(handler)
    assert [message.name for message in peer.received].count("log") == 1
    assert [message.name for message in bystander.received].count("log") == 0
