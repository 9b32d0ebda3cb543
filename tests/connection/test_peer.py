"""One peer: what is read and written, how much at the most, and how it ends. In memory, in the test's own time."""

import asyncio

import pytest

from katcp_aio.connection import Connection, ConnectionProtocol
from katcp_aio.errors import ConnectionLost, LineTooLong, MalformedMessage
from katcp_aio.limits import Limits
from katcp_aio.wire.message import Message

KIB, MIB = 1024, 1024 * 1024


class Notes(asyncio.Transport):
    """A transport that notes each write, and takes it at once."""

    def __init__(self):
        super().__init__()
        self.writes = []

    def write(self, data):
        self.writes.append(bytes(data))

    def get_write_buffer_size(self):
        return 0

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def is_closing(self):
        return True

    def can_write_eof(self):
        return True


def noted(**options):
    """Return a connection and the transport that notes what it writes."""
    protocol, transport = ConnectionProtocol(Limits(), **options), Notes()
    protocol.connection_made(transport)
    return protocol.connection, transport


async def test_nothing_more_is_done_to_a_transport_that_is_closing_already():
    connection, transport = noted()
    connection.begin_close()
    assert (connection.closing, transport.writes) == (True, [])
    connection.connection_lost(None)


# Reading


async def test_one_read_brings_all_messages_of_a_chunk(join, manual_clock):
    connection, peer = join()
    peer.send("?help", "?watchdog[2]", "!x ok", "blub", "#y")
    help_, watchdog, reply, malformed, inform = await connection.read()
    assert (help_, watchdog) == (Message.request("help"), Message.request("watchdog", mid=2))
    assert (reply, inform) == (Message.reply("x", "ok"), Message.inform("y"))
    assert isinstance(malformed, MalformedMessage)


async def test_lines_are_put_together_again(join, manual_clock):
    connection, peer = join(chunk=1)
    peer.send("?set-rate[1] 2.5", "?watchdog")
    assert await connection.read() == [Message.request("set-rate", 2.5, mid=1)]
    assert await connection.read() == [Message.request("watchdog")]


async def test_a_cancelled_read_loses_nothing(join, manual_clock):
    connection, peer = join()
    peer.send_raw(b"?watch")
    reading = asyncio.create_task(connection.read())
    await manual_clock.settle()
    reading.cancel()
    peer.send_raw(b"dog\n")
    await manual_clock.settle()
    assert reading.cancelled()
    assert await connection.read() == [Message.request("watchdog")]


async def test_the_end_of_the_stream_is_no_messages_and_an_unfinished_line_is_none(join, manual_clock):
    connection, peer = join()
    peer.send_raw(b"?watchdog\n?half")
    peer.half_close()
    assert await connection.read() == [Message.request("watchdog")]
    assert not connection.eof
    assert await connection.read() == []
    assert connection.eof
    assert await connection.read() == []


async def test_a_line_over_the_bound_is_told_and_reading_goes_on(join, manual_clock):
    connection, peer = join(max_line=20)
    peer.send("?x " + "1" * 100, "?watchdog")
    too_long, watchdog = await connection.read()
    assert isinstance(too_long, LineTooLong)
    assert watchdog == Message.request("watchdog")


async def test_what_nobody_reads_stays_with_the_peer(join, manual_clock):
    connection, peer = join(Limits(read_chunk=1 * KIB))
    lines = [f"?x {number}" for number in range(20_000)]
    peer.send(*lines)
    await manual_clock.settle()
    waiting = peer.transport.get_write_buffer_size()
    assert sum(map(len, lines)) + len(lines) - waiting <= 64 * KIB + 2 * KIB  # one delivery, and twice the chunk
    seen = 0
    while seen < len(lines):
        messages = await connection.read()
        assert [bytes(message).decode() for message in messages] == [
            f"{line}\n" for line in lines[seen : seen + len(messages)]
        ]
        seen += len(messages)


async def test_a_reset_does_not_destroy_what_had_arrived(join, manual_clock):
    connection, peer = join(Limits(read_chunk=8))
    peer.send("?one", "?two", "?three")
    assert await connection.read() == [Message.request("one")]
    await manual_clock.settle()
    peer.abort()
    await connection.wait_lost()
    assert await connection.read() == [Message.request("two")]
    assert await connection.read() == [Message.request("three")]
    assert await connection.read() == []
    assert isinstance(connection.error, ConnectionResetError)


# Writing


async def test_what_a_turn_writes_leaves_in_one_write():
    connection, transport = noted()
    for number in range(3):
        connection.write(b"#x %d\n" % number)
    connection.send(Message.reply("y", "ok", mid=1), Message.inform("z"))
    assert transport.writes == []
    await asyncio.sleep(0)
    assert transport.writes == [b"#x 0\n#x 1\n#x 2\n!y[1] ok\n#z\n"]
    connection.write(b"#later\n")
    await asyncio.sleep(0)
    assert transport.writes[1:] == [b"#later\n"]


async def test_gathering_keeps_all_for_one_flush():
    connection, transport = noted()
    connection.gather()
    connection.write(b"#x\n")
    await asyncio.sleep(0)
    connection.write(b"#y\n")
    assert (transport.writes, connection.backlog) == ([], 6)
    connection.flush()
    connection.flush()
    assert (transport.writes, connection.backlog) == ([b"#x\n#y\n"], 0)


async def test_much_output_does_not_wait_for_the_end_of_the_turn():
    connection, transport = noted()
    line = b"#x " + b"1" * (Limits().write_high // 2) + b"\n"
    connection.write(line)
    assert transport.writes == []
    connection.write(line)
    assert transport.writes == [line * 2]


async def test_a_piece_may_be_smaller():
    connection, transport = noted(piece=10)
    connection.write(b"#x 123\n")
    connection.write(b"#x\n")
    assert transport.writes == []
    connection.write(b"#y\n")
    connection.write(b"#z\n")
    assert transport.writes == [b"#x 123\n#x\n#y\n"]
    await asyncio.sleep(0)
    assert transport.writes[1:] == [b"#z\n"]


async def test_writing_to_a_connection_that_ended_is_dropped(join, manual_clock):
    connection, peer = join()
    peer.abort()
    await connection.wait_lost()
    connection.write(b"#x\n")
    connection.send(Message.inform("y"))
    connection.flush()
    assert connection.backlog == 0
    connection, peer = join()
    connection.begin_close()
    connection.write(b"#x\n")
    assert await peer.end() == []


async def test_a_peer_that_does_not_read_pauses_its_connection_only(join, manual_clock):
    connection, peer = join(Limits(write_high=1000, write_low=100))
    other, other_peer = join()
    peer.pause()
    for number in range(300):
        connection.write(b"#x %d\n" % number)
    draining = asyncio.create_task(connection.drain())
    await manual_clock.settle()
    assert connection.paused
    assert not draining.done()
    assert connection.backlog > 1000
    other.write(b"#y\n")
    await other.drain()
    await other_peer.expect("#y")
    peer.resume()
    await draining
    assert not connection.paused
    await peer.expect(*[f"#x {number}" for number in range(300)])


async def test_cancelling_one_drain_leaves_the_others(join, manual_clock):
    connection, peer = join()
    peer.pause()
    connection.write(bytes(MIB) + b"\n")
    first, second = asyncio.create_task(connection.drain()), asyncio.create_task(connection.drain())
    await manual_clock.settle()
    first.cancel()
    await manual_clock.settle()
    assert first.cancelled()
    assert not second.done()
    peer.resume()
    await second


async def test_drain_tells_that_the_connection_is_lost(join, manual_clock):
    connection, peer = join()
    peer.pause()
    connection.write(bytes(MIB) + b"\n")
    draining = asyncio.create_task(connection.drain())
    await manual_clock.settle()
    peer.abort()
    with pytest.raises(ConnectionLost):
        await draining
    with pytest.raises(ConnectionLost):
        await connection.drain()


async def test_a_peer_that_takes_nothing_for_too_long_is_broken_off(join, manual_clock):
    connection, peer = join(Limits(stall_timeout=30), chunk=100 * KIB)
    peer.pause()
    connection.write(bytes(MIB) + b"\n")
    await manual_clock.advance(29)
    peer.resume()  # takes a little, and stops again
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    peer.pause()
    await manual_clock.advance(30)
    assert not connection.lost
    draining = asyncio.create_task(connection.drain())
    await manual_clock.advance(1)
    assert connection.lost
    assert connection.reason == "did not read for 30 s"
    with pytest.raises(ConnectionLost, match="did not read for 30 s"):
        await draining


async def test_a_peer_that_catches_up_has_all_its_time_again(join, manual_clock):
    connection, peer = join(Limits(stall_timeout=30))
    for _ in range(3):
        peer.pause()
        connection.write(bytes(MIB) + b"\n")
        await manual_clock.advance(29)
        peer.resume()
        await manual_clock.advance(29)
    assert not connection.lost


# The bound on what a peer leaves unread


async def test_a_peer_that_leaves_too_much_unread_is_broken_off(join, manual_clock):
    connection, peer = join(max_backlog=MIB)
    peer.pause()
    line = b"#x " + bytes(1000) + b"\n"
    most = 0
    while not connection.closing:
        connection.write(line)
        most = max(most, connection.backlog)
        await asyncio.sleep(0)
    assert connection.reason == f"left more than {MIB} bytes unread"
    assert MIB < most < MIB + 100 * KIB
    await connection.wait_lost()


async def test_one_long_reply_passes_and_what_is_said_meanwhile_too(join, manual_clock):
    connection, peer = join(max_backlog=MIB)
    peer.pause()
    echo = b"!echo ok " + b"1" * (16 * MIB) + b"\n"
    connection.write(echo)
    await asyncio.sleep(0)
    for _ in range(900):
        connection.write(b"#x " + b"2" * 1000 + b"\n")
        await asyncio.sleep(0)
    peer.resume()
    await connection.drain()
    await peer.expect(echo, *[b"#x " + b"2" * 1000] * 900)
    # Afterwards the bound is as before.
    peer.pause()
    for _ in range(1200):
        connection.write(b"#x " + b"2" * 1000 + b"\n")
        await asyncio.sleep(0)
    assert connection.reason == f"left more than {MIB} bytes unread"
    await connection.wait_lost()


async def test_without_a_bound_all_is_kept(join, manual_clock):
    connection, peer = join()
    peer.pause()
    for _ in range(100):
        connection.write(bytes(MIB) + b"\n")
        await asyncio.sleep(0)
    assert connection.backlog == 100 * (MIB + 1)
    connection.abort()
    await connection.wait_lost()


# Names


@pytest.mark.parametrize(
    ("peername", "address", "description"),
    [
        (("127.0.0.1", 5000), "127.0.0.1:5000", "127.0.0.1:5000"),
        (("fe80::1%eth0", 5000, 0, 2), "[fe80::1]:5000", "[fe80::1]:5000"),
        ("/run/client", None, "/run/client"),
        ("/run/\udcff", None, r"/run/\udcff"),
        (("a-machine", 5000), None, "unknown peer"),
    ],
)
async def test_the_peer_has_a_name(join, peername, address, description):
    connection, _ = join(addresses=("/run/device", peername))
    assert (connection.address and str(connection.address), connection.description) == (address, description)
    assert connection.get_extra_info("peername") == peername


async def test_a_peer_in_memory_is_called_so(join):
    connection, _ = join()
    assert (connection.address, connection.description) == (None, "memory")
    assert isinstance(connection, Connection)


# Listening


async def test_a_listener_is_given_what_came_before_and_what_comes_in_order(join, manual_clock):
    connection, peer = join()
    peer.send("#a", "#b")
    await manual_clock.settle()
    heard = []
    listening = asyncio.ensure_future(connection.listen(heard.extend))
    await manual_clock.settle()
    peer.send("#c")
    peer.send_raw(b"#d\n#")
    await manual_clock.settle()
    peer.send_raw(b"e\n")
    await manual_clock.settle()
    assert [message.name for message in heard] == ["a", "b", "c", "d", "e"]
    assert not listening.done()
    peer.half_close()
    assert await listening is False
    assert connection.eof


async def test_a_listener_that_has_had_enough_loses_nothing(join, manual_clock):
    connection, peer = join()
    heard = []

    def one_batch(messages):
        heard.extend(messages)
        return True

    listening = asyncio.ensure_future(connection.listen(one_batch))
    await manual_clock.settle()
    peer.send("#a", "#b")
    assert await listening is True
    peer.send("#c")
    await manual_clock.settle()
    assert [message.name for message in heard] == ["a", "b"]
    assert await connection.listen(one_batch) is True
    assert [message.name for message in heard] == ["a", "b", "c"]


async def test_cancelling_a_listener_leaves_what_comes_for_the_next_who_reads(join, manual_clock):
    connection, peer = join()
    listening = asyncio.ensure_future(connection.listen(lambda messages: False))
    await manual_clock.settle()
    listening.cancel()
    await manual_clock.settle()
    peer.send("#a")
    assert await connection.read() == [Message.inform("a")]


async def test_what_a_listener_raises_is_raised_where_it_is_awaited(join, manual_clock):
    connection, peer = join()

    def fail(messages):
        raise ValueError("not for me")

    listening = asyncio.ensure_future(connection.listen(fail))
    await manual_clock.settle()
    peer.send("#a")
    with pytest.raises(ValueError, match="not for me"):
        await listening
    peer.send("#b")
    assert await connection.read() == [Message.inform("b")]


@pytest.mark.parametrize("end", ["abort", "begin_close"])
async def test_a_listener_hears_of_the_end(join, manual_clock, end):
    connection, _ = join()
    listening = asyncio.ensure_future(connection.listen(lambda messages: False))
    await manual_clock.settle()
    getattr(connection, end)()
    assert await listening is False
    assert await connection.listen(lambda messages: False) is False


async def test_a_listener_is_told_where_no_task_runs_also_of_what_came_before(join, manual_clock):
    """So that whom it wakes can go on at once, in the order in which it all came."""
    connection, peer = join()
    peer.send("#a")
    await manual_clock.settle()
    heard = []

    def hear(messages):
        heard.extend((message.name, asyncio.current_task()) for message in messages)

    listening = asyncio.ensure_future(connection.listen(hear))
    await manual_clock.settle()
    peer.send("#b")
    await manual_clock.settle()
    assert heard == [("a", None), ("b", None)]
    peer.half_close()
    await listening


@pytest.mark.parametrize("wanted", [True, False])
async def test_cancelling_a_listener_in_the_midst_of_what_came_before_loses_nothing(join, manual_clock, wanted):
    connection, peer = join()
    peer.send("#a")
    await manual_clock.settle()
    heard = []

    def hear(messages):
        listening.cancel()
        heard.extend(messages)
        if not wanted:
            raise ValueError("not for me")

    listening = asyncio.ensure_future(connection.listen(hear))
    await manual_clock.settle()
    assert listening.cancelled()
    peer.send("#b")
    heard += await connection.read()
    assert [message.name for message in heard] == ["a", "b"]


async def test_what_a_listener_raises_of_what_came_before_is_raised_where_it_is_awaited(join, manual_clock):
    connection, peer = join()
    peer.send("#a")
    await manual_clock.settle()
    with pytest.raises(AttributeError):
        await connection.listen(lambda messages: messages.nothing)
