"""Rows of a client whose device, or network, does not do what it should."""

import asyncio
import contextlib
import gc
import time
from collections import Counter
from collections.abc import AsyncIterator

from .askers import make_asker, make_follower, soon
from .networks import namespace
from .rows import NEVER, OURS, Figure, row
from .victim import Victim

__all__ = []


@contextlib.asynccontextmanager
async def silence() -> AsyncIterator[int]:
    """Run a server that accepts, and never says a word; yield its port."""
    writers = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


@row("15", "a server that accepts and never replies")
def silent_server(side: str) -> list[Figure]:
    async def main() -> list[Figure]:
        async with silence() as port:
            asker = make_asker(side, "127.0.0.1", port, timeout=5.0)
            await asker.start()
            began = time.monotonic()
            outcome, taken, note = "", NEVER, "no outcome in 10 s"
            try:
                await asyncio.wait_for(wait_and_ask(side, asker), 10)
            except TimeoutError as error:
                outcome = type(error).__name__
                if outcome == "RequestTimeout":
                    taken, note = time.monotonic() - began, ""
            await asker.close()
        return [
            Figure("RequestTimeout after", taken, "s", at_least=4.95, at_most=5.05, note=note),
        ]

    return asyncio.run(main())


async def wait_and_ask(side: str, asker) -> None:
    """Ask at once where a client allows it; otherwise when it says that it is connected."""
    if side != OURS:
        await asker.client.wait_connected()
    await asker.ask("watchdog")


@row("16", "kill -9 of a device with 100 clients that follow 50 sensors each; started again after 2 s", seconds=60.0)
def killed_device(side: str) -> list[Figure]:
    async def main() -> list[Figure]:
        count, wait = 100, 20.0
        with Victim(side, sensors=50) as first:
            followers = [make_follower(side, first.port) for _ in range(count)]
            for follower in followers:
                await follower.start()
            if await soon(lambda: all(follower.in_step() for follower in followers), wait) == NEVER:
                raise RuntimeError("not all clients are in step to begin with")
            await soon(lambda: all(follower.nominal() >= 50 for follower in followers), 5.0)
            first.process.kill()
            first.process.wait()
        await asyncio.sleep(2.0)
        believed = sum(follower.nominal() for follower in followers)
        with Victim(side, sensors=50, port=first.port) as second:
            back: list[float] = []
            began = time.monotonic()
            waiting = list(followers)
            while waiting and time.monotonic() - began < wait:
                done = [follower for follower in waiting if follower.in_step()]
                back += [time.monotonic() - began] * len(done)
                waiting = [follower for follower in waiting if follower not in done]
                await asyncio.sleep(0.01)
            busiest = max(Counter(int(when / 0.1) for when in back).values(), default=0)
            last = NEVER if waiting else max(back)
            for follower in followers:
                await follower.close()
            return [
                Figure("all in step after", last, "s", at_most=3.0, note=f"{len(waiting)} not" if waiting else ""),
                Figure("sensors held for nominal in the outage", believed, at_most=0),
                Figure("most that came back within 0.1 s", busiest, at_most=50),
                Figure("tracebacks in the device", second.tracebacks(), at_most=0),
            ]

    return asyncio.run(main())


async def converse(asker, seconds: float, name: str) -> Counter[str]:
    """Echo what nobody else says, again and again, and count how it ends."""
    outcomes: Counter[str] = Counter()
    ends, number = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        number += 1
        said = f"{name}-{number} \\ \t\x1b".encode()
        try:
            async with asyncio.timeout(20):
                heard = await asker.ask("echo", said)
        except Exception as error:  # noqa: BLE001 - each way to fail is counted
            outcomes[type(error).__name__] += 1
            await asyncio.sleep(0.01)
        else:
            outcomes["ok" if said in heard else "crossed"] += 1
    return outcomes


@row("17", "a bad network: split, delayed, stalled, reset and closed, by a seed", seconds=75.0)
def chaos(side: str) -> list[Figure]:
    from katcp_aio.testing import FaultProxy, Faults

    async def main(port: int) -> list[Figure]:
        outcomes: Counter[str] = Counter()
        before = len(asyncio.all_tasks())
        for seed, faults in enumerate(
            (
                Faults(split=3, delay=0.002),
                Faults(split=20, reset_after=4000),
                Faults(split=20, close_after=4000),
                Faults(split=20, half_close_after=4000),
                Faults(split=50, delay=0.005, reset_after=20_000),
            )
        ):
            async with FaultProxy(("127.0.0.1", port), faults, seed=seed) as proxy:
                host, at = await proxy.listen()
                askers = [make_asker(side, host, at) for _ in range(4)]
                for asker in askers:
                    await asker.start()
                talks = [converse(asker, 5.0, f"{seed}-{number}") for number, asker in enumerate(askers * 3)]
                for found in await asyncio.gather(*talks):
                    outcomes += found
                for asker in askers:
                    await asker.close()
        await asyncio.sleep(0.2)
        gc.collect()
        unforeseen = {"crossed", "TimeoutError"} & set(outcomes)
        return [
            Figure("requests answered", outcomes["ok"], at_least=100),
            Figure("replies that crossed to another request", outcomes["crossed"], at_most=0),
            Figure("requests without an outcome in 20 s", outcomes["TimeoutError"], at_most=0),
            Figure(
                "other outcomes", sum(outcomes.values()) - outcomes["ok"] - sum(outcomes[one] for one in unforeseen)
            ),
            Figure("tasks left", len(asyncio.all_tasks()) - before, at_most=0),
        ]

    with Victim(side) as victim:
        figures = asyncio.run(main(victim.port))
        look = victim.connect()
        return [*figures, Figure("handlers left in the device", look.inside()[1], at_most=0)]


@row("14", "a cable pulled out, on each end", seconds=85.0, quick=False)
def pulled_cable(side: str) -> list[Figure]:
    """The device here, a silent client there; and a client here, its device there. Both at the same time."""

    async def main() -> list[Figure]:
        with (
            namespace() as net,
            Victim(side, host=net.here) as here,
            Victim(side, prefix=net.prefix, host=net.there, port=7147) as there,
        ):
            silent = net.connect(here.port)
            alone = here.files()
            options = {"heartbeat": 5.0} if side == OURS else {}
            asker = make_asker(side, net.there, there.port, **options)
            await asker.start()
            await asyncio.sleep(0.5)
            await asker.ask("watchdog")
            net.link("down")
            began = time.monotonic()
            noticed = await soon(lambda: not connected(side, asker), 50.0)
            dropped = NEVER
            if await soon(lambda: here.files() < alone, 52.0 - (time.monotonic() - began)) < NEVER:
                dropped = time.monotonic() - began
            net.link("up")
            back = await soon(lambda: connected(side, asker), 15.0) if noticed < NEVER else NEVER
            await asker.close()
            silent.close()
        waited, heartbeat = "not in 50 s", "katcp_aio with heartbeat=5; by default it has TCP's only"
        return [
            Figure("the device drops the client after", dropped, "s", at_most=50, note=waited * (dropped == NEVER)),
            Figure("the client notices after", noticed, "s", at_most=25, note=heartbeat if noticed < NEVER else waited),
            Figure("and is back when the cable is, after", back, "s", at_most=15),
        ]

    return asyncio.run(main())


def connected(side: str, asker) -> bool:
    return asker.client.connected if side == OURS else asker.client.is_connected


@row("18", "one packet in twenty lost, and then 1 Mbit/s", seconds=75.0, quick=False)
def impairment(side: str) -> list[Figure]:
    async def main() -> list[Figure]:
        with namespace() as net, Victim(side, prefix=net.prefix, host=net.there, port=7147, sensors=50) as there:
            figures = []
            for what, harm, undo in (
                (
                    "5 % lost",
                    "iptables -A INPUT -m statistic --mode random --probability 0.05 -j DROP",
                    "iptables -F INPUT",
                ),
                ("1 Mbit/s", "tc qdisc add dev far root tbf rate 1mbit burst 16kb latency 400ms", ""),
            ):
                asker = make_asker(side, net.there, there.port)
                await asker.start()
                await asker.ask("watchdog")
                net.do(*harm.split())
                talks = [converse(asker, 10.0, f"{what}-{number}") for number in range(4)]
                late = asyncio.create_task(latencies(asker, 10.0))
                outcomes: Counter[str] = sum(await asyncio.gather(*talks), Counter())
                waits = await late
                if undo:
                    net.do(*undo.split())
                await asker.close()
                bad = outcomes["crossed"] + outcomes["TimeoutError"]
                figures += [
                    Figure(f"{what}: requests answered", outcomes["ok"], at_least=100),
                    Figure(f"{what}: crossed, or without an outcome", bad, at_most=0),
                    Figure(f"{what}: ?watchdog p99", waits[len(waits) * 99 // 100] * 1e3, "ms"),
                ]
            return figures

    return asyncio.run(main())


async def latencies(asker, seconds: float) -> list[float]:
    """Ask ?watchdog now and then, and return how long each answer took, in seconds, sorted."""
    waits = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        before = time.monotonic()
        await asker.ask("watchdog")
        waits.append(time.monotonic() - before)
        await asyncio.sleep(0.02)
    return sorted(waits)
