"""How a connection ends: nothing promised is lost, and nothing waits for ever. In memory, in the test's own time."""

import asyncio

import pytest

from katcp_aio.limits import Limits
from katcp_aio.wire.message import Message

KIB, MIB = 1024, 1024 * 1024


async def test_close_sends_what_is_queued_then_ends(join, manual_clock):
    connection, peer = join()
    connection.write(b"#disconnect bye\n")
    closing = asyncio.create_task(connection.close())
    assert await peer.end() == [b"#disconnect bye"]
    assert not closing.done()  # the peer has not ended its side
    await peer.close()
    await closing
    assert connection.lost
    assert manual_clock.monotonic() == 0


async def test_close_does_not_wait_for_ever(join, manual_clock):
    connection, peer = join(Limits(close_timeout=1))
    peer.pause()
    connection.write(bytes(MIB) + b"\n")
    closing = asyncio.create_task(connection.close())
    await manual_clock.advance(0.99)
    assert not closing.done()
    await manual_clock.advance(0.01)
    assert closing.done()
    assert connection.lost


async def test_a_close_that_is_cancelled_breaks_the_connection_off(join, manual_clock):
    connection, _ = join()
    closing = asyncio.create_task(connection.close())
    await manual_clock.settle()
    closing.cancel()
    await manual_clock.settle()
    assert closing.cancelled()
    assert connection.lost


async def test_closing_twice_or_after_the_end_does_nothing(join, manual_clock):
    connection, peer = join()
    closing = asyncio.create_task(connection.close())
    await manual_clock.settle()
    await peer.close()
    await connection.close()
    await closing
    connection.begin_close()
    connection.abort()
    await connection.close()
    await connection.wait_lost()


async def test_a_peer_that_ignores_the_end_is_broken_off_although_nobody_waits(join, manual_clock):
    connection, peer = join(Limits(close_timeout=1))
    connection.write(b"#disconnect bye\n")
    connection.begin_close()
    await manual_clock.advance(0.9)
    assert not connection.lost
    await manual_clock.advance(1.1)
    assert connection.lost
    assert peer.unread == [b"#disconnect bye"]


async def take_a_little(peer, clock):
    """Have the peer take one delivery, and then nothing for 0.9 s."""
    peer.resume()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    peer.pause()
    await clock.advance(0.9)


async def test_a_slow_peer_still_gets_what_was_promised(join, manual_clock):
    connection, peer = join(Limits(close_timeout=1), chunk=10 * KIB)
    connection.write(b"1" * 200 * KIB + b"\n")
    connection.begin_close()
    while not connection.lost and peer.unread != [b"1" * 200 * KIB]:
        await take_a_little(peer, manual_clock)
    assert peer.unread == [b"1" * 200 * KIB]
    assert manual_clock.monotonic() > 5


async def test_but_not_for_ever(join, manual_clock):
    connection, peer = join(Limits(close_timeout=1, stall_timeout=30), chunk=1)
    connection.write(b"1" * 200 * KIB + b"\n")
    connection.begin_close()
    while not connection.lost:
        await take_a_little(peer, manual_clock)
    assert manual_clock.monotonic() == pytest.approx(30, abs=1.9)


async def test_closing_wakes_who_reads_and_keeps_what_had_arrived(join, manual_clock):
    connection, peer = join(Limits(read_chunk=8))
    reading = asyncio.create_task(connection.read())
    await manual_clock.settle()
    connection.begin_close()
    assert await reading == []
    connection, peer = join(Limits(read_chunk=8))
    peer.send("?one", "?two")
    await manual_clock.settle()
    connection.begin_close()
    peer.send("?late")
    await manual_clock.settle()
    assert not connection.lost  # late data is dropped, and no fault
    assert await connection.read() == [Message.request("one")]
    assert await connection.read() == [Message.request("two")]
    assert await connection.read() == []


async def test_input_that_nobody_wants_does_not_hold_up_closing(join, manual_clock):
    connection, peer = join(Limits(read_chunk=1 * KIB))
    peer.send(*["?x"] * 100_000)
    await manual_clock.settle()  # the connection has stopped reading
    closing = asyncio.create_task(connection.close())
    await peer.end()
    peer.half_close()
    await closing
    assert manual_clock.monotonic() == 0


async def test_a_peer_that_has_finished_sending_still_gets_its_answers(join, manual_clock):
    connection, peer = join()
    peer.send("?watchdog[1]")
    peer.half_close()
    assert await connection.read() == [Message.request("watchdog", mid=1)]
    assert await connection.read() == []
    connection.write(b"!watchdog[1] ok\n")
    await manual_clock.advance(100)
    connection.write(b"#later\n")
    await connection.close()
    assert await peer.end() == [b"!watchdog[1] ok", b"#later"]
    assert manual_clock.monotonic() == 100


async def test_the_peer_s_end_counts_although_what_came_before_is_unread(join, manual_clock):
    connection, peer = join(Limits(read_chunk=8))
    peer.send("?one", "?two")
    peer.half_close()
    await manual_clock.settle()
    assert not connection.eof
    await connection.close()
    assert manual_clock.monotonic() == 0


async def test_abort_ends_it_at_once_and_the_first_reason_stays(join, manual_clock):
    connection, peer = join()
    peer.pause()
    connection.write(bytes(MIB) + b"\n")
    connection.abort("flooded")
    connection.abort("other")
    await connection.wait_lost()
    assert connection.reason == "flooded"
    assert connection.error is None
    assert connection.backlog == 0
    await peer.end()
    assert isinstance(peer.error, ConnectionResetError)


async def test_who_asked_is_told_of_the_end_once(join, manual_clock):
    connection, peer = join()
    told = []
    connection.on_lost(lambda: told.append("first"))
    connection.on_lost(lambda: told.append("second"))
    await peer.close()
    await connection.close()
    assert told == ["first", "second"]
    connection.on_lost(lambda: told.append("late"))
    assert told == ["first", "second", "late"]


async def test_waiting_for_the_end_can_be_cancelled(join, manual_clock):
    connection, peer = join()
    first, second = asyncio.create_task(connection.wait_lost()), asyncio.create_task(connection.wait_lost())
    await manual_clock.settle()
    first.cancel()
    await peer.close()
    connection.abort()
    await second
    assert first.cancelled()
