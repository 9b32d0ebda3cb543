"""A client has one turn, however much it asks for and however little its handlers wait."""

import asyncio

import pytest

from katcp_aio import DeviceServer, Limits, RequestContext

__all__ = []


class Scanner(DeviceServer):
    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.yielded = []

    async def request_scan(self, ctx: RequestContext):
        """Yield without ever waiting."""
        for step in range(5000):
            self.yielded.append(step)
            yield step


@pytest.mark.parametrize("stays", [True, False])
async def test_a_client_has_one_turn_however_many_long_replies_it_asks_for(greeted, stays):
    device = Scanner(limits=Limits(batch_time=1e-9))
    peer = await greeted(device)
    peer.send(*(f"?scan[{number}]" for number in range(1, 21)))
    while device.yielded.count(0) < 20:
        await peer.line()
    if not stays:
        peer.abort()
        await peer.close()
    before = len(device.yielded)
    for _ in range(100):  # turns of the loop
        await asyncio.sleep(0)
    assert 20 <= len(device.yielded) - before <= 100


async def test_a_handler_that_yields_to_a_client_that_went_gives_others_their_turn(greeted):
    device = Scanner(limits=Limits(batch_time=1e-9))
    peer = await greeted(device)
    other = await greeted(peer.served)
    peer.send("?scan[1]")
    await peer.line()
    peer.abort()
    await peer.close()
    await other.ask("?watchdog[1]")
    assert len(device.yielded) < 4000
    while len(device.yielded) < 5000:  # it runs on to its end
        await other.ask("?watchdog[2]")
