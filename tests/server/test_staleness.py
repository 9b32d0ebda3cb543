import asyncio

from katcp_aio import Sensor, Status


async def test_a_sensor_that_nobody_sets_becomes_unknown_and_is_told_so(manual_clock, greeted, device_class):
    device = device_class(clock=manual_clock)
    sensor = device.sensors.add(Sensor(float, "temp", stale_after=10))
    device.sensors.add(Sensor(float, "slow", stale_after=60)).value = 1
    peer = await greeted(device)
    sensor.value = 3.5
    await peer.ask("?sensor-sampling temp event")
    await manual_clock.advance(9)
    assert sensor.status is Status.NOMINAL
    sensor.value = 4.5
    await peer.expect("#sensor-status 1500000009.0 1 temp nominal 4.5")
    await manual_clock.advance(9.5)
    assert sensor.status is Status.NOMINAL
    await manual_clock.advance(1)
    await peer.expect("#sensor-status 1500000019.0 1 temp unknown 4.5")
    sensor.value = 5
    await peer.expect("#sensor-status 1500000019.5 1 temp nominal 5.0")


async def test_one_that_is_added_later_may_be_due_first(manual_clock, greeted, device_class):
    device = device_class(clock=manual_clock)
    await greeted(device)
    device.sensors.add(Sensor(int, "slow", stale_after=100)).value = 1
    await manual_clock.advance(1)
    quick = device.sensors.add(Sensor(int, "quick", stale_after=2))
    quick.value = 1
    await manual_clock.advance(2.5)
    assert quick.status is Status.UNKNOWN


async def test_a_server_that_is_stopped_watches_nothing(manual_clock, greeted, device_class):
    device = device_class(clock=manual_clock)
    sensor = device.sensors.add(Sensor(int, "count", stale_after=2))
    peer = await greeted(device)
    await peer.close()
    await device.stop()
    sensor.value = 1
    manual_clock.move(10)
    await manual_clock.settle()
    assert sensor.status is Status.NOMINAL


def test_one_may_be_added_while_the_loop_rests(device_class, caplog):
    """As in a program that runs its loop a little at a time."""
    device = device_class()
    with asyncio.Runner() as runner:
        runner.run(device.start(listen=False))
        gone_stale = asyncio.Event()
        sensor = device.sensors.add(Sensor(int, "late", stale_after=0.001))
        sensor.value = 1
        sensor.attach(lambda _sensor, reading: gone_stale.set() if reading.status is Status.UNKNOWN else None)
        assert not caplog.records
        runner.run(gone_stale.wait())
        runner.run(device.stop())
