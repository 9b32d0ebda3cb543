"""The fixtures that a user's tests get by installing the package."""

import asyncio


async def test_the_clock_drives_the_loop_of_the_test(manual_clock):
    task = asyncio.create_task(asyncio.sleep(3600))
    await manual_clock.advance(3599)
    assert not task.done()
    await manual_clock.advance(1)
    assert task.done()
    assert asyncio.get_running_loop().time() == manual_clock.monotonic()


async def test_other_tests_keep_the_real_time():
    loop = asyncio.get_running_loop()
    before = loop.time()
    await asyncio.sleep(0.001)
    assert loop.time() > before


def test_a_plain_test_gets_a_clock_to_run_coroutines_with(manual_clock):
    async def scenario():
        await manual_clock.advance(10)
        return asyncio.get_running_loop().time()

    assert manual_clock.run(scenario()) == manual_clock.monotonic() == 10
