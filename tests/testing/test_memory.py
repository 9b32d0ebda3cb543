"""Connections in memory behave as TCP connections do, without a network and without time."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katcp_aio.testing import ManualClock, MemoryTransport, memory_pair, memory_streams


class Notes(asyncio.Protocol):
    """Notes what its transport tells it."""

    def __init__(self, *, keep_open=True):
        self.events = []
        self.data = b""
        self.keep_open = keep_open

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data

    def eof_received(self):
        self.events.append("eof")
        return self.keep_open

    def pause_writing(self):
        self.events.append("pause")

    def resume_writing(self):
        self.events.append("resume")

    def connection_lost(self, exc):
        self.events.append(f"lost {type(exc).__name__}" if exc else "lost")


class Buffered(asyncio.BufferedProtocol):
    """Takes what arrives into a small buffer of its own."""

    def __init__(self):
        self.buffer = bytearray(4)
        self.data = b""

    def get_buffer(self, sizehint):
        return self.buffer

    def buffer_updated(self, nbytes):
        self.data += self.buffer[:nbytes]


async def settle():
    await asyncio.get_running_loop().clock.settle()


def in_memory(test):
    """Run a coroutine test under a loop of its own that knows when it is idle."""

    def run():
        clock = ManualClock()
        clock.run(test())

    run.__name__ = test.__name__
    return run


@in_memory
async def test_what_one_end_writes_the_other_gets_later():
    near, far = Notes(), Notes()
    memory_pair(near, far)
    near.transport.write(b"?watch")
    near.transport.write(bytearray(b"dog"))
    near.transport.writelines([b"\n", memoryview(b"?help\n")])
    far.transport.write(b"#hello\n")
    assert (far.data, near.data) == (b"", b"")  # not before write returned
    await settle()
    assert (far.data, near.data) == (b"?watchdog\n?help\n", b"#hello\n")


@in_memory
async def test_a_chunk_is_the_most_delivered_at_once():
    class Sizes(Notes):
        def data_received(self, data):
            self.events.append(len(data))

    near, far = Notes(), Sizes()
    memory_pair(near, far, chunk=3)
    near.transport.write(b"12345678")
    await settle()
    assert far.events == [3, 3, 2]
    with pytest.raises(ValueError, match="at least 1"):
        memory_pair(Notes(), Notes(), chunk=0)


@in_memory
async def test_close_sends_what_is_waiting_then_an_end_of_file():
    near, far = Notes(), Notes()
    memory_pair(near, far)
    near.transport.write(b"bye\n")
    near.transport.close()
    near.transport.close()
    assert near.transport.is_closing()
    assert not near.transport.is_reading()
    await settle()
    assert (far.data, far.events, near.events) == (b"bye\n", ["eof"], ["lost"])
    near.transport.abort()  # too late to matter
    near.transport.write(b"nobody hears this")
    assert near.transport.get_write_buffer_size() == 0
    far.transport.close()
    await settle()
    assert (far.events, near.events) == (["eof", "lost"], ["lost"])


@in_memory
async def test_an_end_that_does_not_keep_open_closes_after_an_end_of_file():
    near, far = Notes(), Notes(keep_open=None)
    memory_pair(near, far)
    near.transport.write_eof()
    await settle()
    assert far.events == ["eof", "lost"]
    assert near.events == ["eof"]
    near.transport.abort()


@in_memory
async def test_half_close_leaves_the_other_direction_open():
    near, far = Notes(), Notes()
    memory_pair(near, far)
    assert near.transport.can_write_eof()
    near.transport.write(b"?watchdog\n")
    near.transport.write_eof()
    near.transport.write_eof()
    with pytest.raises(RuntimeError, match="after write_eof"):
        near.transport.write(b"more")
    await settle()
    assert (far.data, far.events) == (b"?watchdog\n", ["eof"])
    far.transport.write(b"!watchdog ok\n")
    far.transport.close()
    await settle()
    assert (near.data, near.events, far.events) == (b"!watchdog ok\n", ["eof"], ["eof", "lost"])
    near.transport.close()
    await settle()
    assert near.events == ["eof", "lost"]


@in_memory
async def test_abort_drops_what_is_waiting_and_resets_the_peer():
    near, far = Notes(), Notes()
    memory_pair(near, far)
    near.transport.write(b"never arrives")
    near.transport.abort()
    near.transport.abort()
    await settle()
    assert (far.data, far.events, near.events) == (b"", ["lost ConnectionResetError"], ["lost"])


@in_memory
async def test_writing_to_a_peer_that_has_gone_resets():
    near, far = Notes(), Notes()
    memory_pair(near, far)
    far.transport.close()
    await settle()
    assert near.events == ["eof"]
    near.transport.write(b"too late")
    await settle()
    assert near.events == ["eof", "lost ConnectionResetError"]


@in_memory
async def test_an_end_of_file_to_a_peer_that_has_gone_is_no_error():
    near, far = Notes(), Notes()
    memory_pair(near, far)
    far.transport.close()
    await settle()
    near.transport.write_eof()
    await settle()
    assert near.events == ["eof"]
    near.transport.close()
    await settle()
    assert near.events == ["eof", "lost"]


@in_memory
async def test_an_end_that_does_not_read_holds_the_writer_back():
    near, far = Notes(), Notes()
    memory_pair(near, far, chunk=10)
    near.transport.set_write_buffer_limits(high=50, low=20)
    assert near.transport.get_write_buffer_limits() == (20, 50)
    far.transport.pause_reading()
    far.transport.pause_reading()
    assert not far.transport.is_reading()
    near.transport.write(b"x" * 50)
    await settle()
    assert (near.events, far.data) == ([], b"")
    near.transport.write(b"y" * 15)
    near.transport.write(b"y" * 5)
    assert near.events == ["pause"]  # at once, and once
    assert near.transport.get_write_buffer_size() == 70
    far.transport.resume_reading()
    far.transport.resume_reading()
    await settle()
    assert near.events == ["pause", "resume"]
    assert far.data == b"x" * 50 + b"y" * 20


@in_memory
async def test_writing_resumes_at_the_low_water_mark():
    class Stops(Notes):
        def data_received(self, data):
            super().data_received(data)
            if len(self.data) == 40:
                self.transport.pause_reading()

    near, far = Notes(), Stops()
    memory_pair(near, far, chunk=10)
    near.transport.set_write_buffer_limits(high=50, low=20)
    near.transport.write(b"x" * 61)
    await settle()
    assert (near.transport.get_write_buffer_size(), near.events) == (21, ["pause"])
    far.transport.resume_reading()
    await settle()
    assert (near.transport.get_write_buffer_size(), near.events) == (0, ["pause", "resume"])


@in_memory
async def test_new_limits_hold_at_once():
    near, far = Notes(), Notes()
    memory_pair(near, far)
    near.transport.write(b"x" * 100)
    near.transport.set_write_buffer_limits(high=99)
    assert near.events == ["pause"]
    assert near.transport.get_write_buffer_limits() == (24, 99)
    near.transport.set_write_buffer_limits(low=10)
    assert near.transport.get_write_buffer_limits() == (10, 40)
    near.transport.set_write_buffer_limits()
    assert near.transport.get_write_buffer_limits() == (16384, 65536)
    near.transport.set_write_buffer_limits(high=0)
    with pytest.raises(ValueError, match="at least low"):
        near.transport.set_write_buffer_limits(high=1, low=2)


@in_memory
async def test_closing_waits_for_a_peer_that_does_not_read():
    near, far = Notes(), Notes()
    memory_pair(near, far)
    far.transport.pause_reading()
    near.transport.write(b"last words")
    near.transport.close()
    near.transport.pause_reading()
    near.transport.resume_reading()
    near.transport.write_eof()
    await settle()
    assert near.events == []
    assert "closing 10 bytes" in repr(near.transport)
    far.transport.resume_reading()
    await settle()
    assert (near.events, far.data, far.events) == (["lost"], b"last words", ["eof"])
    assert "closed" in repr(near.transport)
    assert "open" in repr(far.transport)


@in_memory
async def test_a_closing_end_whose_peer_goes_is_lost():
    near, far = Notes(), Notes()
    memory_pair(near, far)
    far.transport.pause_reading()
    near.transport.write(b"last words")
    near.transport.close()
    await settle()
    far.transport.close()
    await settle()
    assert (near.events, far.events) == (["lost ConnectionResetError"], ["lost"])


@in_memory
async def test_reading_can_be_paused_from_what_is_delivered():
    class OneAtATime(Notes):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    near, far = Notes(), OneAtATime()
    memory_pair(near, far, chunk=1)
    near.transport.write(b"ab")
    await settle()
    assert far.data == b"a"
    near.transport.write(b"c")
    far.transport.resume_reading()
    far.transport.pause_reading()  # before the loop came to deliver
    await settle()
    assert far.data == b"a"
    far.transport.resume_reading()
    await settle()
    assert far.data == b"ab"


@in_memory
async def test_buffered_protocols_are_filled():
    near, far = Notes(), Buffered()
    memory_pair(near, far)
    near.transport.write(b"?sensor-list\n")
    await settle()
    assert far.data == b"?sensor-list\n"


@pytest.mark.parametrize("method", ["data_received", "eof_received"])
def test_a_protocol_that_fails_loses_its_connection(method):
    clock = ManualClock()
    told = []

    async def scenario():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["message"]))
        near, far = Notes(), Notes()

        def fail(*args):
            raise ArithmeticError

        setattr(far, method, fail)
        memory_pair(near, far)
        near.transport.write(b"x")
        near.transport.write_eof()
        await settle()
        assert far.events[-1] == "lost ArithmeticError"
        assert near.events == ["lost ConnectionResetError"]

    clock.run(scenario())
    assert told == [f"protocol.{method}() failed"]


@in_memory
async def test_each_end_knows_the_addresses_from_its_side():
    ends = ("127.0.0.1", 5000), ("127.0.0.1", 40001)
    near, far = memory_pair(Notes(), Notes(), addresses=ends)
    assert (near.get_extra_info("sockname"), near.get_extra_info("peername")) == ends
    assert (far.get_extra_info("peername"), far.get_extra_info("sockname")) == ends
    near.set_extra_info("peercert", {"subject": ()})
    assert near.get_extra_info("peercert") == {"subject": ()}
    assert memory_pair(Notes(), Notes())[0].get_extra_info("peername", "nobody") == "nobody"


@in_memory
async def test_a_transport_can_change_its_protocol():
    near, far, other = Notes(), Notes(), Notes()
    memory_pair(near, far)
    far.transport.set_protocol(other)
    assert far.transport.get_protocol() is other
    near.transport.write(b"x")
    await settle()
    assert (far.data, other.data) == (b"", b"x")


@in_memory
async def test_only_bytes_can_be_written():
    transport, _ = memory_pair(Notes(), Notes())
    with pytest.raises(TypeError, match="'str'"):
        transport.write("text")
    transport.write(b"")
    assert isinstance(transport, MemoryTransport)


def test_a_pair_needs_a_running_loop():
    with pytest.raises(RuntimeError):
        memory_pair(Notes(), Notes())
    with pytest.raises(RuntimeError):
        memory_streams()


@in_memory
async def test_streams_talk_to_each_other():
    (reader, writer), (peer_reader, peer_writer) = memory_streams(addresses=("here", "there"))
    writer.write(b"?watchdog\n")
    assert await peer_reader.readline() == b"?watchdog\n"
    peer_writer.write(b"!watchdog ok\n")
    await peer_writer.drain()
    peer_writer.close()
    assert await reader.read() == b"!watchdog ok\n"
    assert writer.get_extra_info("peername") == "there"
    writer.close()
    await writer.wait_closed()
    await peer_writer.wait_closed()


@in_memory
async def test_a_stream_that_nobody_reads_holds_its_writer_back():
    (reader, writer), (_, peer_writer) = memory_streams(limit=100)
    peer_writer.write(b"x" * 200_000)
    drained = asyncio.create_task(peer_writer.drain())
    await settle()
    assert not drained.done()
    assert len(await reader.readexactly(200_000)) == 200_000
    await drained
    writer.close()
    peer_writer.close()


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=30)), max_size=30), st.integers(1, 7))
def test_nothing_is_lost_added_or_reordered(writes, chunk):
    clock = ManualClock()
    near, far = Notes(), Notes()

    async def scenario():
        memory_pair(near, far, chunk=chunk)
        for count, (from_near, data) in enumerate(writes):
            (near if from_near else far).transport.write(data)
            (far.transport.pause_reading, far.transport.resume_reading)[count % 2]()
            await asyncio.sleep(0)
        far.transport.resume_reading()
        near.transport.close()
        await settle()

    clock.run(scenario())
    assert far.data == b"".join(data for from_near, data in writes if from_near)
    assert far.events in (["eof"], ["eof", "lost ConnectionResetError"])
    sent_back = b"".join(data for from_near, data in writes if not from_near)
    assert sent_back.startswith(near.data)
