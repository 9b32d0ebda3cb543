import asyncio
import gc
import ipaddress

import pytest

from katcp_aio import Limits, Sensor
from katcp_aio.server.access import Access, AccessRule
from katcp_aio.testing import Peer


async def test_the_others_hear_of_a_new_client(greeted, device_class):
    device = device_class()
    first = await greeted(device)
    second = await greeted(first.served, announced_to=[first])
    third = await greeted(first.served, announced_to=[first, second])
    assert (first.unread, second.unread, third.unread) == ([], [], [])


async def test_many_at_once_each_hear_of_those_that_came_later(serve, device_class):
    served = await serve(device_class())
    early = served.peer()
    await early.ask("?watchdog")
    peers = [served.peer() for _ in range(20)]
    await early.ask("?watchdog[1]")
    for peer in [early, *peers]:
        await peer.ask("?watchdog[2]")
    heard = [sum(item.name == "client-connected" for item in peer.received) for peer in [early, *peers]]
    assert heard == [20, *range(19, -1, -1)]


async def test_those_that_come_in_turns_on_end_are_announced_together(serve, device_class):
    served = await serve(device_class())
    early = served.peer()
    await early.ask("?watchdog")
    peers, writes = [], 0
    for _ in range(30):
        peers.append(served.peer())
        before = len(early.received)
        await asyncio.sleep(0)
        writes += len(early.received) > before
    await early.ask("?watchdog[1]")
    assert sum(item.name == "client-connected" for item in early.received) == 30
    assert writes <= 2


async def test_one_too_many_is_told_so(manual_clock, greeted, device_class, caplog):
    device = device_class(limits=Limits(max_clients=2), clock=manual_clock)
    first = await greeted(device)
    await greeted(first.served)
    third = first.served.peer()
    assert await third.end() == [rb"#disconnect too\_many\_clients"]
    assert len(device.clients) == 2
    assert device.trouble.counts["turned away"] == 1
    await first.close()
    await manual_clock.settle()
    fourth = await greeted(first.served)
    assert (await fourth.ask("?watchdog"))[-1].ok


async def test_who_was_turned_away_and_stays_is_aborted(manual_clock, greeted, device_class):
    device = device_class(limits=Limits(max_clients=1), clock=manual_clock)
    first = await greeted(device)
    second = first.served.peer()
    await second.end()
    assert not second.lost
    await manual_clock.advance(device.limits.stall_timeout)
    assert second.lost


async def test_a_single_client_server_serves_the_newest(greeted, device_class):
    device = device_class(multi_client=False)
    first = await greeted(device)
    await first.ask("?watchdog[1]")
    second = await greeted(first.served)
    assert await first.end() == [rb"#disconnect New\_client\_connected\_from\_memory"]
    assert (await second.ask("?watchdog[1]"))[-1].ok
    assert (await second.ask("?client-list"))[-1].arguments[0] == b"invalid"
    await asyncio.sleep(0)
    assert len(device.clients) == 1


async def test_strategies_of_the_displaced_client_end(greeted, device_class):
    device = device_class(multi_client=False)
    sensor = device.sensors.add(Sensor(int, "count"))
    first = await greeted(device)
    await first.ask("?sensor-sampling count event")
    second = await greeted(first.served)
    sensor.value = 3
    assert (await second.ask("?sensor-sampling count"))[-1].arguments == (b"ok", b"count", b"none")


async def test_who_comes_while_the_server_stops_is_turned_away(manual_clock, serve, device_class):
    class Busy(device_class):
        async def request_wait(self, ctx):
            """Wait."""
            await asyncio.sleep(1)

    device = Busy(clock=manual_clock)
    served = await serve(device)
    peer = served.peer()
    peer.send("?wait[1]")
    await peer.ask("?watchdog[2]")
    stopping = asyncio.ensure_future(device.stop())
    await manual_clock.settle()
    late = served.peer()
    assert await late.end() == [rb"#disconnect server\_shutting\_down"]
    await manual_clock.advance(3)
    await stopping
    await manual_clock.settle()
    assert late.lost


async def test_stopping_leaves_no_connection_that_is_still_being_closed(manual_clock, greeted, device_class):
    class Chatty(device_class):
        def request_long(self, ctx):
            """Say more than is read at once."""
            return b"x" * 60_000

    device = Chatty(clock=manual_clock)
    peer = await greeted(device)
    connection = device.clients[0].connection
    peer.pause()
    peer.send("?long[1]")
    peer.half_close()
    await manual_clock.settle()
    assert device.clients == ()  # all is said
    assert not connection.lost  # and not heard yet
    stopping = asyncio.ensure_future(device.stop())
    await manual_clock.settle()
    assert not stopping.done()
    await manual_clock.advance(1)
    await stopping
    assert connection.lost


async def test_the_displaced_client_is_told_by_whom(device_class):
    async with device_class(multi_client=False) as device:
        first = await Peer.connect("127.0.0.1", device.address.port)
        assert (await first.message()).arguments[1] == b"5.1-ITB"
        await first.ask("?watchdog")
        second = await Peer.connect("127.0.0.1", device.address.port)
        host, port = second.transport.get_extra_info("sockname")
        assert await first.end() == [rb"#disconnect New\_client\_connected\_from\_%b:%d" % (host.encode(), port)]
        await first.close()
        assert (await second.ask("?watchdog"))[-1].ok
        assert not [message for message in second.received.items if message.name == "client-connected"]
        await second.close()


async def test_who_may_not_come_in_displaces_nobody(serve, device_class):
    access = Access([AccessRule(network="10.0.0.0/8", allow="*")])
    device = device_class(multi_client=False)
    served = await serve(device)
    first = served.peer()
    await first.ask("?watchdog")
    device.access = access
    second = served.peer()
    assert await second.end() == [rb"#disconnect not\_allowed"]
    assert (await first.ask("?watchdog"))[-1].ok


async def test_five_hundred_at_once_are_let_in_and_announced_together(serve, device_class):
    device = device_class()
    served = await serve(device)
    other = served.peer()
    await other.ask("?watchdog[1]")
    (writes,) = (client.connection for client in device.clients)
    peers = [served.peer() for _ in range(500)]
    await other.ask("?watchdog[2]")
    await peers[-1].ask("?watchdog[1]")
    assert len(device.clients) == 501
    for _ in range(60):
        await asyncio.sleep(0)
    connected = [message for message in other.received.items if message.name == "client-connected"]
    assert len(connected) == 500
    assert writes.backlog == 0
    for peer in peers:
        peer.abort()
    await other.ask("?watchdog[3]")
    assert len(device.clients) == 1


async def test_rules_that_raise_let_nobody_in_and_leave_nobody_waiting(serve, device_class, caplog):
    class Broken(Access):
        def permission(self, _address, _peercert):
            raise LookupError("no such table")

    served = await serve(device_class(access=Broken([])))
    assert await served.peer().end() == [rb"#disconnect not\_allowed"]
    assert "no such table" in caplog.text


async def test_versions_that_cannot_be_told_leave_nobody_waiting(serve, device_class, caplog):
    device = device_class()
    device.versions["firmware"] = (None,)
    served = await serve(device)
    for _ in range(2):
        assert await served.peer().end() == [rb"#disconnect internal\_error"]
    assert device.clients == ()
    assert "the greeting of client memory" in caplog.text
    device.versions["firmware"] = ("1.0",)
    assert (await served.peer().ask("?watchdog"))[-1].ok


TOO_MANY = rb"#disconnect too\_many\_clients\_from\_this\_address"


@pytest.fixture
async def crowded(serve, device_class):
    """Serve a device that lets in two clients from one address, and ten in all."""
    return (await serve(device_class(limits=Limits(max_clients_per_address=2, max_clients=10)))).server


async def test_one_too_many_from_an_address_is_told_so(crowded, come_from, caplog):
    first, second = come_from(crowded, "10.8.0.7", 1), come_from(crowded, "10.8.0.7", 2)
    assert await come_from(crowded, "10.8.0.7", 3).end() == [TOO_MANY]
    assert (await come_from(crowded, "10.8.0.8").ask("?watchdog"))[-1].ok
    assert (await first.ask("?watchdog"))[-1].ok
    assert (await second.ask("?watchdog"))[-1].ok
    assert crowded.trouble.counts["turned away"] == 1
    assert caplog.text.count("client 10.8.0.7:3 turned away: too many clients from this address") == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10.8.0.7", "::ffff:10.8.0.7"),  # of a socket for both families
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),  # a host has its /64 to choose from
        ("fe80::1%2", "fe80::1"),
    ],
)
async def test_addresses_that_count_as_one(crowded, come_from, one, other):
    for host in (one, other):
        assert (await come_from(crowded, host).ask("?watchdog"))[-1].ok
    assert await come_from(crowded, one).end() == [TOO_MANY]
    assert await come_from(crowded, other).end() == [TOO_MANY]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10.8.0.7", "10.8.0.8"),
        ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ("fe80::1", "fe80::2"),  # hosts of a link have all the same /64
    ],
)
async def test_addresses_that_do_not(crowded, come_from, one, other):
    for host in (one, one, other, other):
        assert (await come_from(crowded, host).ask("?watchdog"))[-1].ok


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1", None])
async def test_the_device_s_own_host_is_not_counted(crowded, come_from, host):
    """Its programs all come from one address: only ``max_clients`` counts them."""
    for _ in range(10):
        assert (await come_from(crowded, host).ask("?watchdog"))[-1].ok
    assert await come_from(crowded, host).end() == [rb"#disconnect too\_many\_clients"]


async def fill(device, come_from, host="10.8.0.7"):
    """Return the two clients of an address that the device lets in, and check that it has no room for a third."""
    peers = [come_from(device, host, port) for port in (1, 2)]
    for peer in peers:
        assert (await peer.ask("?watchdog"))[-1].ok
    assert await come_from(device, host, 3).end() == [TOO_MANY]
    return peers


@pytest.mark.parametrize("how", ["abort", "half_close"])
async def test_clients_that_go_make_room(crowded, come_from, how):
    for _ in range(3):
        for peer in await fill(crowded, come_from):
            getattr(peer, how)()
        while crowded.clients:  # noqa: ASYNC110 - it is a matter of a few turns of the loop
            await asyncio.sleep(0)
    assert len(await fill(crowded, come_from)) == 2


async def test_a_client_that_the_device_disconnects_makes_room(crowded, come_from):
    await fill(crowded, come_from)
    for client in crowded.clients:
        client.disconnect("enough")
    while crowded.clients:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    await fill(crowded, come_from)


async def test_a_stop_makes_room(manual_clock, crowded, come_from):
    manual_clock.auto = True  # the clients do not end their side
    await fill(crowded, come_from)
    await crowded.stop()
    await crowded.start(listen=False)
    await fill(crowded, come_from)


async def test_nothing_stays_of_an_address_whose_clients_have_gone(serve, device_class, come_from):
    device = (await serve(device_class())).server
    for number in range(50):
        peer = come_from(device, f"10.9.0.{number}")
        await peer.ask("?watchdog")
        peer.abort()
    while device.clients:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    gc.collect()
    kept = [str(item) for item in gc.get_objects() if isinstance(item, ipaddress.IPv4Address)]
    assert [address for address in kept if address.startswith("10.9.0.")] == []


async def test_a_single_client_server_counts_no_addresses(serve, device_class, come_from):
    device = (await serve(device_class(multi_client=False, limits=Limits(max_clients_per_address=1)))).server
    for port in range(1, 5):
        assert (await come_from(device, "10.8.0.7", port).ask("?watchdog"))[-1].ok
