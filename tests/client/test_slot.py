"""What a caller of a request awaits, seen by the task that does."""

import asyncio
import contextlib
import contextvars
import gc
import weakref

import pytest

from katcp_aio import Client
from katcp_aio.client.replies import Reply
from katcp_aio.client.slot import Slot
from katcp_aio.errors import ConnectionLost, RequestTimeout
from katcp_aio.testing import FakeDevice
from katcp_aio.wire.dialect import V51
from katcp_aio.wire.message import Message

OK = Reply(Message.reply("x", "ok"))


@pytest.fixture
async def slot():
    return Slot(asyncio.get_running_loop(), "x", (), (), V51)


async def waiting(slot, told):
    """Start a task that awaits a slot and tells what it got."""

    async def wait():
        told.append(await slot)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    return task


def from_a_callback(function, *args):
    """Call a function as a transport would: from the loop, where no task is running; return a future of its end."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: done.set_result(function(*args)))
    return done


async def test_a_task_goes_on_before_settle_returns(slot):
    told = []
    task = await waiting(slot, told)

    def settle():
        slot.settle(OK)
        return list(told)

    assert await from_a_callback(settle) == [OK]
    assert task.done()


async def test_settling_soon_wakes_the_task_in_the_next_turn(slot):
    told = []
    task = await waiting(slot, told)
    slot.settle_soon(OK)
    assert told == []
    await task
    assert told == [OK]


async def test_what_is_settled_already_is_not_waited_for(slot):
    slot.settle(OK)
    assert slot.done()
    assert await slot is OK


async def test_the_first_outcome_counts(slot):
    slot.settle_soon(OK)
    slot.settle(ValueError("late"))
    slot.settle_soon(ValueError("later"))
    assert await slot is OK


async def test_the_task_keeps_its_own_context(slot):
    who = contextvars.ContextVar("who", default="nobody")
    seen = []

    async def wait():
        who.set("the task")
        await slot
        seen.append(who.get())

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await from_a_callback(slot.settle, OK)
    assert (seen, who.get()) == (["the task"], "nobody")
    await task


async def test_cancelling_says_why_and_leaves_the_slot_to_be_settled_for_nobody(slot):
    task = await waiting(slot, [])
    task.cancel("no longer wanted")
    with pytest.raises(asyncio.CancelledError, match="no longer wanted"):
        await task
    assert slot.done()
    slot.settle(OK)
    with pytest.raises(asyncio.CancelledError):
        slot.result()


async def test_cancelling_without_a_word(slot):
    task = await waiting(slot, [])
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert caught.value.args == ()


async def test_a_reply_and_a_cancellation_in_one_turn(slot):
    """As with a future: the task ends cancelled, and the outcome is there for who looks."""
    told = []
    task = await waiting(slot, told)
    slot.settle_soon(OK)
    assert not slot.cancel()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (told, slot.result()) == ([], OK)


async def test_a_second_task_is_refused_and_the_first_still_told(slot):
    told = []
    task = await waiting(slot, told)
    with pytest.raises(RuntimeError, match="by no other"):
        await slot
    await from_a_callback(slot.settle, OK)
    assert (told, task.done()) == ([OK], True)


async def test_a_task_of_another_loop_is_refused(slot):
    def elsewhere():
        async def wait():
            await slot

        with pytest.raises(RuntimeError, match="different loop"):
            asyncio.run(wait())

    await asyncio.to_thread(elsewhere)


async def test_timeouts_and_groups_work_as_with_a_future(slot):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await slot


@pytest.fixture
async def device():
    async with FakeDevice() as device:
        for name in "first", "second":
            device.on(name, reply=None)  # the test answers
        yield device


async def test_a_program_may_close_the_client_between_two_replies_of_one_batch(device):
    client = Client("fake", 7147, connector=device.connector)

    async def ask_and_close():
        await client.request("first")
        await client.close()

    async with client:
        first, second = asyncio.create_task(ask_and_close()), asyncio.create_task(client.request("second"))
        asked = [await device.received("first"), await device.received("second")]
        device.send(*(Message.reply_to(request, "ok") for request in asked))
        await first
        with pytest.raises(ConnectionLost, match="the client was closed"):
            await second
        assert client.trouble.counts == {}


@pytest.mark.leaks("libuv keeps a pipe for the life of the process")
@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_ends_a_program_behind_a_reply_ends_neither_the_connection_nor_the_batch(end, loop):
    """As at a prompt, where the loop runs again. uvloop closes a connection whose protocol lets anything pass."""

    async def leave(client):
        await client.request("first")
        raise end

    async def begin():
        device = FakeDevice()
        device.on("first", reply=None)
        device.on("second", raw=b"!first[1] ok\n!second[2] ok\n")
        client = await Client.connect(*await device.listen(), reconnect=None)
        return device, client, [asyncio.create_task(leave(client)), asyncio.create_task(client.request("second"))]

    async def go_on(device, client, left, stayed):
        assert (await stayed).ok
        assert (await client.request("watchdog")).ok
        assert isinstance(left.exception(), end)
        await client.close()
        await device.close()

    factory = pytest.importorskip("uvloop").new_event_loop if loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        device, client, tasks = runner.run(begin())
        with pytest.raises(end):
            runner.run(asyncio.wait(tasks))
        runner.run(go_on(device, client, *tasks))


async def test_a_callback_may_begin_to_close_the_client_between_two_messages_of_one_batch(device):
    """As it does with tasks that begin at once, which Python has from 3.12 on."""
    client = Client("fake", 7147, connector=device.connector)
    heard = []

    def close(inform):
        heard.append(inform.arguments[0])
        closing = client.close()
        closing.send(None)
        closing.close()

    async with client:
        client.on_inform("level", close)
        asked = asyncio.create_task(client.request("first"))
        reply = Message.reply_to(await device.received("first"), "ok")
        device.send(Message.inform("level", 1), Message.inform("level", 2), reply)
        with pytest.raises(ConnectionLost, match="the client was closed"):
            await asked
        assert heard == [b"1"]
        assert client.trouble.counts == {}


async def test_a_program_sees_the_device_as_of_its_reply(device):
    """What came behind the reply, in the same batch, has not been taken in when the caller goes on."""
    heard = []
    async with Client("fake", 7147, connector=device.connector) as client:
        client.on_inform("level", lambda inform: heard.append(inform.arguments[0]))

        async def ask():
            await client.request("first")
            return list(heard)

        task = asyncio.create_task(ask())
        reply = Message.reply_to(await device.received("first"), "ok")
        device.send(Message.inform("level", 1), reply, Message.inform("level", 2))
        assert await task == [b"1"]
        assert heard == [b"1", b"2"]


async def test_an_error_that_was_raised_is_not_kept(slot):
    class Big(Exception):
        pass

    error = Big()
    gone = weakref.ref(error)
    slot.settle(error)
    with pytest.raises(Big):
        slot.reply()
    del error
    gc.collect()
    assert gone() is None
    assert slot.done()


@pytest.mark.parametrize("stream", [False, True], ids=["request", "stream"])
async def test_what_failed_is_freed_without_a_collection(device, stream):
    """An error holds the frames that it passed, and what the program has in them: these may not hold the error."""

    class Big:
        pass

    async def fail(client):
        big = Big()
        with contextlib.suppress(RequestTimeout):
            if stream:
                await anext(client.stream("first", timeout=0))
            else:
                await client.request("first", timeout=0)
        return weakref.ref(big)

    gc.disable()
    try:
        async with Client("fake", 7147, connector=device.connector) as client:
            assert (await fail(client))() is None
    finally:
        gc.enable()


async def test_a_coroutine_that_is_closed_while_it_waits_gives_up_its_request(device):
    async with Client("fake", 7147, connector=device.connector) as client:
        request = client.request("first")
        request.send(None)
        request.close()
        device.send(Message.reply_to(await device.received("first"), "ok"))
        await client.request("watchdog")
        assert client.trouble.counts == {"late reply": 1}
