"""Who waits in vain is told so, and what came instead, however the time goes."""

import asyncio

import pytest

from katcp_aio.testing import FakeDevice, Peer, memory_pair

HOPELESS = "while nobody advances the clock"


@pytest.fixture
async def pair(manual_clock):
    """Return two peers of each other, one of which has said something."""
    near, far = Peer(), Peer()
    memory_pair(near, far)
    far.send_raw(b"#a 1\n#x[1] mine\n#ha")
    await manual_clock.settle()
    return near, far


CAME = r"; all: #a 1; #x\[1\] mine$"
IN_VAIN = {
    "line": (lambda near: [near.line(), near.line(), near.line()], r"no line came {}; unread: \[b'#ha'\]"),
    "message": (lambda near: [near.message("b")], "no message b came {}" + CAME),
    "any message": (lambda near: [near.message(), near.message(), near.message()], "no message came {}" + CAME),
    "reply": (lambda near: [near.ask("?x[1]")], r"no reply to b'\?x\[1\]\\n' came {}" + CAME),
    "expected": (lambda near: [near.expect("#a 1", "#x[1] mine", "#c")], r"no line came {}; unread: \[b'#ha'\]"),
    "end": (lambda near: [near.end()], "the connection did not end {}; unread: .*b'#ha'"),
    "recorded": (lambda near: [near.received.wait(3)], "2 of 3 came {}" + CAME),
}


@pytest.mark.parametrize("what", IN_VAIN)
@pytest.mark.parametrize("auto", [True, False])
async def test_waiting_in_vain(pair, manual_clock, what, auto):
    manual_clock.auto = auto
    waits, text = IN_VAIN[what]
    *first, last = waits(pair[0])
    for wait in first:
        await wait
    with pytest.raises(TimeoutError, match=text.format("within 5 s" if auto else HOPELESS)):
        await last
    assert manual_clock.monotonic() == (5 if auto else 0)
    pair[1].send("me", "#after all")
    assert bytes(await pair[0].message("after")) == b"#after all\n"  # nothing is spoiled by it


async def test_the_whole_answer_has_the_time_that_was_given(fake_device):
    """Informs that come meanwhile give the rest no more of it, and spoil no message."""
    peer = Peer()
    memory_pair(peer, fake_device.make_protocol())
    fake_device.on("x", reply=None, informs=["begun"])
    with pytest.raises(TimeoutError, match=r"no reply to b'\?x\[1\]\\n' came within 0.02 s; all: .*#x\[1\] begun$"):
        await peer.ask("?x[1]", timeout=0.02)
    with pytest.raises(TimeoutError, match=r"no message y came within 0.02 s; all: .*#x\[1\] begun$"):
        await peer.message("y", timeout=0.02)


async def test_the_end_of_the_connection_is_told_with_what_came_before(pair):
    near, far = pair
    asking = asyncio.create_task(near.ask("?x[1]"))
    await far.expect("?x[1]")
    far.half_close()
    with pytest.raises(EOFError, match=r"the connection ended in b'#ha'; all: #a 1; #x\[1\] mine$"):
        await asking
    other, gone = Peer(), Peer()
    memory_pair(other, gone)
    gone.abort()
    with pytest.raises(EOFError, match=r"the connection ended by ConnectionResetError\(.*\); all: nothing"):
        await other.ask("?x[1]")


async def test_the_least_patient_gives_up_first_and_may_help_the_others(pair):
    near, far = pair

    async def prompt():
        with pytest.raises(TimeoutError, match=HOPELESS):
            await far.line(timeout=1)
        far.send("me", "#news")

    prompting = asyncio.create_task(prompt())
    await near.message("news", timeout=2)
    await prompting


async def test_who_is_no_longer_waited_for_is_forgotten(pair, manual_clock):
    waiting = asyncio.create_task(pair[1].line())
    await manual_clock.settle()
    waiting.cancel()
    with pytest.raises(TimeoutError, match="no message b came"):
        await pair[0].message("b")
    assert waiting.cancelled()


async def test_with_a_manual_clock_sockets_have_as_long_to_say_something_in_real_time(manual_clock):
    async with FakeDevice() as device:
        device.on("never", reply=None)
        peer = await Peer.connect(*await device.listen())
        assert (await peer.ask("?watchdog[1]"))[-1].ok
        with pytest.raises(TimeoutError, match=rf"no reply to b'\?never\[2\]\\n' came {HOPELESS}; all: .*watchdog"):
            await peer.ask("?never[2]", timeout=0.02)
        assert (await peer.ask("?watchdog[3]", timeout=float("inf")))[-1].ok
        await peer.close()
    assert manual_clock.monotonic() == 0
