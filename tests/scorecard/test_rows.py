"""The quick rows of the scorecard, by what can be counted: time stands still, so "at once" is no matter of luck.

The other client is answered while the clock does not move; what the offender costs is counted in bytes and lines.
"""

import asyncio
import logging
import random
import re
import tracemalloc

import pytest

from katcp_aio import Limits
from katcp_aio.server.statuslines import StatusLines
from katcp_aio.testing import Peer, memory_pair

KIB, MIB = 1 << 10, 1 << 20
LIMITS = Limits()


async def connect(device):
    return await Peer.connect("127.0.0.1", device.address.port)


def backlogs(served):
    return max(client.connection.backlog for client in served.server.clients)


async def test_requests_that_take_long_hold_up_nobody_else(abused, manual_clock):
    served, offender, other = await abused()
    offender.send(*(f"?slow[{mid}] 30" for mid in range(1, 401)))
    await manual_clock.settle()
    assert (await other.ask("?watchdog[1]"))[-1].ok
    assert served.server.slow == LIMITS.max_in_flight
    offender.abort()
    await manual_clock.settle()
    assert (await other.ask("?watchdog[2]"))[-1].ok
    await manual_clock.advance(30)
    assert served.server.slow == 0


async def test_those_who_go_leave_a_bounded_number_of_handlers(abused, manual_clock):
    served, _, other = await abused()
    for _ in range(10):
        peer = served.peer()
        peer.send(*(f"?slow[{mid}] 30" for mid in range(1, 101)))
        await manual_clock.settle()
        peer.abort()
        await manual_clock.settle()
    assert served.server.slow == LIMITS.max_abandoned
    assert (await other.ask("?watchdog[1]"))[-1].ok
    await manual_clock.advance(30)
    assert served.server.slow == 0


@pytest.mark.parametrize(("count", "size"), [(300, 100_000), (50, 1_000_000)])
async def test_replies_that_are_not_read_are_made_one_at_a_time_and_none_is_lost(abused, manual_clock, count, size):
    served, offender, other = await abused()
    offender.pause()
    offender.send(*(f"?big[{mid}] {size}" for mid in range(1, count + 1)))
    await manual_clock.settle()
    assert (await other.ask("?watchdog[1]"))[-1].ok
    assert backlogs(served) <= LIMITS.write_high + size + KIB
    before = len(offender.received)
    offender.resume()
    await manual_clock.settle()
    replies = [item for item in list(offender.received)[before:] if item.name == "big"]
    assert [reply.mid for reply in replies] == list(range(1, count + 1))
    assert {len(reply.arguments[1]) for reply in replies} == {size}


async def test_a_hostile_pattern_is_answered(abused):
    _, offender, other = await abused(sensors=100)
    (reply,) = await offender.ask("?sensor-list[1] /^(([a-z0-9.-])+)+!$/")
    assert reply.arguments[0] == b"fail" or reply.arguments == (b"ok", b"0")
    assert (await other.ask("?watchdog[1]"))[-1].ok


async def test_stopping_with_deaf_clients_takes_a_bounded_time(manual_clock, victim_class):
    device = victim_class(clock=manual_clock)
    await device.start()
    peers = [await connect(device) for _ in range(3)]
    for peer in peers:
        await peer.ask("?sensor-sampling fast event")
        peer.pause()
        peer.send("?big[1] 20000000", "?slow[2] 1000", "?slow[3] 1000")
    await manual_clock.settle()
    for number in range(100):
        device.fast.value = b"%d" % number * 1000
    began = manual_clock.monotonic()
    manual_clock.auto = True
    await device.stop()
    assert manual_clock.monotonic() - began <= LIMITS.stop_timeout + LIMITS.stop_margin
    for peer in peers:
        peer.abort()
        await peer.close()


async def test_a_subscriber_that_does_not_read_costs_one_report_and_gets_the_newest(abused, manual_clock):
    served, offender, other = await abused()
    sensor = served.server.fast
    await offender.ask("?sensor-sampling[1] fast event")
    offender.pause()
    most = 0
    for number in range(10_000):
        sensor.value = b"%d-" % number + b"x" * 5000
        if number % 50 == 0:
            await asyncio.sleep(0)
            most = max(most, backlogs(served))
    assert most <= LIMITS.write_high + 50 * 5100
    assert [client.sampler.held for client in served.server.clients if client.sampler] == [1]
    assert (await other.ask("?watchdog[1]"))[-1].ok
    offender.resume()
    await manual_clock.settle()
    last = list(offender.received)[-1]
    assert last.name == "sensor-status"
    assert last.arguments[4].startswith(b"9999-")


async def test_64_megabytes_without_a_line_end_are_not_kept_and_told_once(abused, manual_clock, caplog):
    _, offender, other = await abused()
    caplog.clear()
    piece = b"x" * MIB
    tracemalloc.start()
    try:
        for _ in range(64):
            offender.send_raw(piece)
            await manual_clock.settle()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 1.1 * LIMITS.max_line + 4 * MIB
    assert (await other.ask("?watchdog[1]"))[-1].ok
    offender.send_raw(b"\n")
    assert (await offender.ask("?watchdog[2]"))[-1].ok
    assert sum(item.name == "log" for item in offender.received) == 1
    assert len(caplog.records) == 1


async def test_500_connect_at_once(victim_class, crowd_class):
    async with victim_class() as device:
        loop = asyncio.get_running_loop()
        address = "127.0.0.1", device.address.port
        made = await asyncio.gather(*(loop.create_connection(crowd_class, *address) for _ in range(500)))
        for transport, member in made:
            await member.greeted
            transport.abort()


async def test_connecting_and_resetting_leaves_nothing_and_says_little(victim_class, caplog):
    caplog.set_level(logging.INFO)
    async with victim_class() as device:
        before = asyncio.all_tasks()
        for _ in range(200):
            (await connect(device)).abort()
        last = await connect(device)
        while (await last.ask("?client-list"))[-1].arguments != (b"ok", b"1"):
            pass
        assert len(asyncio.all_tasks() - before) <= 1  # the one client's
        assert len(caplog.records) <= 20
        await last.close()


async def test_client_1001_is_told_why(serve, manual_clock, victim_class, crowd_class):
    device = victim_class(clock=manual_clock)
    served = await serve(device)
    first = served.peer()
    await first.ask("?watchdog")
    crowd = [memory_pair(crowd_class(), device.make_protocol())[0] for _ in range(LIMITS.max_clients - 1)]
    await manual_clock.settle()
    assert await served.peer().end() == [rb"#disconnect too\_many\_clients"]
    assert (await first.ask("?watchdog[1]"))[-1].ok
    crowd.pop().abort()
    await manual_clock.settle()
    assert (await served.peer().ask("?watchdog[1]"))[-1].ok
    for transport in crowd:
        transport.abort()
    await manual_clock.settle()


async def test_random_lines_fill_no_log(abused, manual_clock, caplog):
    served, offender, other = await abused()
    caplog.clear()
    rng = random.Random(21)
    offender.send_raw(b"".join(rng.randbytes(rng.randint(5, 35)).replace(b"\n", b"") + b"\n" for _ in range(5000)))
    await manual_clock.settle()
    assert (await other.ask("?watchdog[1]"))[-1].ok
    assert sum(served.server.trouble.counts.values()) > 4000
    assert len(caplog.records) <= LIMITS.log_rate * len(served.server.trouble.counts)
    assert not any(record.exc_info for record in caplog.records)


async def test_control_characters_do_not_reach_the_log(abused, manual_clock, caplog):
    _, offender, _ = await abused()
    nasty = rb"\e[2J\nFORGED\r" + "\u2028\u202e\u009b".encode() + rb"\0"
    offender.send(
        b"?no-such " + nasty,
        b"?slow " + nasty,
        b"?sensor-sampling %b event" % nasty,
        b"?\x1b[2Jname x",
        b"!reply " + nasty,
        "\u2028FORGED".encode(),
        b"\x9b2J",
        b"?boom",
    )
    await manual_clock.settle()
    formatter = logging.Formatter("%(message)s")
    text = [formatter.format(record) for record in caplog.records if not record.exc_info]
    assert text
    assert not re.search("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", "".join(text))


async def test_what_a_handler_raises_stays_inside(abused, caplog):
    _, offender, _ = await abused()
    (reply,) = await offender.ask("?boom[1]")
    assert reply.arguments == (b"fail", b"?boom: RuntimeError in the device, error 1")
    assert "hunter2" in caplog.text


@pytest.mark.parametrize(
    ("request_line", "name"),
    [("?sensor-list[1]", "sensor-list"), ("?sensor-value[1]", "sensor-value"), ("bulk", "sensor-status")],
)
async def test_others_have_their_turns_in_a_listing_of_10000_sensors(serve, victim_class, request_line, name):
    # A turn as short as can be: what is counted is that there are turns, and not how long they take here.
    device = victim_class(sensors=10_000, limits=Limits(batch_time=1e-9))
    served = await serve(device)
    asker, other = served.peer(), served.peer()
    await asker.ask("?watchdog")
    await other.ask("?watchdog")
    if request_line == "bulk":
        request_line = f"?sensor-sampling[1] {','.join(list(device.sensors)[:10_000])} event"
    asker.send(request_line)
    answers = 0
    while (came := sum(item.name == name for item in asker.received)) < 10_000 and answers < 20:
        assert (await other.ask(f"?watchdog[{answers + 1}]"))[-1].ok
        answers += 1
    assert answers >= 10, f"{came} lines came while {answers} questions of another were answered"
    await asker.message(request_line[1:].partition("[")[0], timeout=60)  # behind what is left of 10,000 lines


async def test_a_reading_is_encoded_once_for_all_who_follow_it(serve, victim_class, monkeypatch):
    device = victim_class()
    served = await serve(device)
    peers = [served.peer() for _ in range(100)]
    for peer in peers:
        await peer.ask("?sensor-sampling[1] fast event")
    given = []
    line = StatusLines.line

    def noted(self, sensor, reading):
        given.append(line(self, sensor, reading))
        return given[-1]

    monkeypatch.setattr(StatusLines, "line", noted)
    for number in range(200):
        device.fast.value = b"%d" % number
    for peer in peers:
        await peer.ask("?watchdog[2]")
    reports = [sum(item.name == "sensor-status" for item in peer.received) for peer in peers]
    assert reports == [201] * 100
    assert len(given) == 20_000
    assert len(set(map(id, given))) == 200  # each the same object for all
