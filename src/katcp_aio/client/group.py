"""Many devices as one. Law: all are asked at once, each answers for itself, and no failure hides behind another.

A group is a mapping of its members, each a :class:`DeviceClient`; what it does to all is told by name, in
:class:`GroupResults`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

import attrs

from ..errors import GroupError, UsageError
from ..model.reading import Reading
from ..reports import printable
from .device import DeviceClient, Which
from .following import Condition
from .names import Directory, NameSpace, attribute_name
from .remote_sensor import RemoteSensor
from .requests import RequestFunction
from .results import GroupResults, Quorum, Retry, ask_all, needed
from .states import State
from .timeouts import DEFAULT, Default

__all__ = ["DeviceGroup"]

T = TypeVar("T")

_ONCE = Retry()
_GRACE = 1.0  # s


@attrs.define(eq=False)
class _Member:
    """One device of a group."""

    client: DeviceClient
    own: bool  # the group starts and closes it
    cancel: Callable[[], None]  # ends its telling the group of changes
    active: bool = True


class DeviceGroup(Mapping[str, DeviceClient]):
    """Several devices, asked together. Building one needs no running loop.

    ``async with`` starts to connect to all members and closes them at the end; it does not wait for them, since one
    that is down must not keep the others from working: see :meth:`wait_connected`.

    ``req`` has the requests that any active member has, each a coroutine function that asks all active members and
    returns :class:`GroupResults`; ``sensor`` has the sensors of all members as ``"m000.rate"``.

    Args:
        members: name -> (host, port), or a client. A client that was started before is not closed by the group.
        retries: whether and when to repeat requests that fail; each call can have its own.
        options: of the clients that the group makes; see :class:`DeviceClient`.
    """

    def __init__(
        self,
        members: Mapping[str, DeviceClient | tuple[str, int]] | None = None,
        *,
        retries: Retry = _ONCE,
        **options: Any,
    ) -> None:
        self.retries = retries
        self._options = options
        self._members: dict[str, _Member] = {}
        self._started = False
        self._sensors: Directory[RemoteSensor] = Directory("sensor", str, items=_Union(self))
        self._requests: Directory[RequestFunction] = Directory("request", str, self._make_request, _AllRequests(self))
        self._sensors.owner = self._requests.owner = self.__repr__
        self.sensor: NameSpace[RemoteSensor] = NameSpace(self._sensors)  #: all sensors, as "member.sensor"
        self.req: NameSpace[RequestFunction] = NameSpace(self._requests)  #: requests of the active members
        for name, member in (members or {}).items():
            self._members[name] = self._make_member(member)

    def __repr__(self) -> str:
        there = sum(client.connected for client in self.values())
        return f"<DeviceGroup of {len(self)}, {there} connected>"

    def __getitem__(self, name: str) -> DeviceClient:
        """Return a member; KeyError if there is none of that name."""
        return self._members[name].client

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the members."""
        return iter(self._members)

    def __len__(self) -> int:
        """How many members there are, active or not."""
        return len(self._members)

    # Members

    def _make_member(self, member: DeviceClient | tuple[str, int]) -> _Member:
        client = member if isinstance(member, DeviceClient) else DeviceClient(*member, **self._options)
        cancel = client.on_change(lambda _changes: self._changed())
        return _Member(client, own=client.state is State.IDLE, cancel=cancel)

    def _changed(self) -> None:
        self._sensors.reset()
        self._requests.reset()

    async def add(self, name: str, member: DeviceClient | tuple[str, int]) -> DeviceClient:
        """Add a member, and start to connect to it if the group is started.

        Raises:
            UsageError: there is one of that name.
        """
        if name in self._members:
            raise UsageError(f"there is a member {name!r} already")
        made = self._members[name] = self._make_member(member)
        self._changed()
        if self._started and made.own:
            await made.client.start()
        return made.client

    async def remove(self, name: str) -> DeviceClient:
        """Take a member out, and close it unless it was somebody else's. KeyError if there is none of that name."""
        member = self._members.pop(name)
        member.cancel()
        self._changed()
        if member.own:
            await member.client.close()
        return member.client

    @property
    def active(self) -> list[str]:
        """The names of the members that take part in what is asked of the group."""
        return [name for name, member in self._members.items() if member.active]

    def set_active(self, name: str, active: bool) -> None:
        """Have a member take part in requests, waits and quorums, or not. KeyError if there is none of that name.

        One that does not stays connected and in step, and can be asked by itself.
        """
        self._members[name].active = active
        self._changed()

    async def start(self) -> None:
        """Begin to connect to all members, in the background."""
        self._started = True
        for member in self._members.values():
            if member.own:
                await member.client.start()

    async def close(self) -> None:
        """Close all members that the group started, at once, and let go of the others. Closing again does nothing."""
        self._started = False
        for member in self._members.values():
            member.cancel()
        await asyncio.gather(*(member.client.close() for member in self._members.values() if member.own))

    async def __aenter__(self) -> Self:
        """Begin to connect to all members; if one cannot be started, none is left so."""
        started = False
        try:
            await self.start()
            started = True
        finally:
            if not started:
                await self.close()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Close the group."""
        await self.close()

    # All at once

    def _active(self) -> dict[str, DeviceClient]:
        return {name: member.client for name, member in self._members.items() if member.active}

    async def wait_connected(
        self, quorum: Quorum = None, timeout: float | None = None, grace: float = _GRACE
    ) -> GroupResults[None]:
        """Wait until members are connected and in step, and return which are.

        Args:
            quorum: how many of the active members are enough: a number, a fraction, or None for all.
            timeout: s; None: any time.
            grace: s that the others still get when there are enough.

        Raises:
            GroupError: not enough in time; shows the last error of each that is missing.
        """
        clients = self._active()

        def waiting(client: DeviceClient) -> Callable[[], Awaitable[None]]:
            return lambda: client.wait_synced(None)

        enough = needed(quorum, len(clients))
        calls = {name: waiting(client) for name, client in clients.items()}
        results = await ask_all(calls, enough=enough, timeout=timeout, grace=grace)
        told = {name: _why_not(result, clients[name]) for name, result in results.items()}
        return _enough(GroupResults(told), enough, "connected")

    async def request(
        self,
        name: str,
        *args: object,
        timeout: float | Default | None = DEFAULT,
        returns: Sequence[Any] | None = None,
        check: bool = True,
        retries: Retry | None = None,
    ) -> GroupResults[Any]:
        """Make a request of all active members at once, and return the replies, or what failed, by name.

        Arguments are those of :meth:`Client.request`; ``retries`` as of the group. Nothing that a device does raises.
        """
        retry = retries or self.retries

        def asking(client: DeviceClient) -> Callable[[], Awaitable[Any]]:
            if returns is None:
                return lambda: retry.run(lambda: client.request(name, *args, timeout=timeout, check=check))
            return lambda: retry.run(lambda: client.request(name, *args, timeout=timeout, returns=returns, check=check))

        return await ask_all({member: asking(client) for member, client in self._active().items()})

    async def read(self, which: Which | None = None) -> GroupResults[dict[str, Reading[Any]]]:
        """Poll sensors of all active members; see :meth:`DeviceClient.read`."""

        def reading(client: DeviceClient) -> Callable[[], Awaitable[dict[str, Reading[Any]]]]:
            return lambda: client.read(which)

        return await ask_all({name: reading(client) for name, client in self._active().items()})

    async def sample(self, which: Which, strategy: str, *params: object) -> GroupResults[bool]:
        """Wish a strategy for sensors of all active members; see :meth:`DeviceClient.sample`."""

        def sampling(client: DeviceClient) -> Callable[[], Awaitable[bool]]:
            return lambda: client.sample(which, strategy, *params)

        return await ask_all({name: sampling(client) for name, client in self._active().items()})

    async def wait_for(
        self,
        sensor: str,
        condition: Condition,
        quorum: Quorum = None,
        timeout: float | None = None,
        grace: float = _GRACE,
    ) -> GroupResults[Reading[Any]]:
        """Wait until a sensor meets a condition at enough of the active members, and return their readings.

        Members that are away, or whose sensor is, are waited for as long as there is time.

        Args:
            sensor: its name, the same at all of them.
            condition: as of :meth:`RemoteSensor.wait_for`.
            quorum: how many are enough: a number, a fraction, or None for all.
            timeout: s; None: any time.
            grace: s that the others still get when there are enough.

        Raises:
            GroupError: not enough in time; shows why for each that is missing.
        """
        clients = self._active()

        def waiting(client: DeviceClient) -> Callable[[], Awaitable[Reading[Any]]]:
            async def wait() -> Reading[Any]:
                await client.wait_synced(None)
                if sensor not in client.sensor:
                    raise UsageError(f"there is no sensor {sensor!r}")
                return await client.wait_for(sensor, condition)

            return wait

        enough = needed(quorum, len(clients))
        calls = {name: waiting(client) for name, client in clients.items()}
        results = await ask_all(calls, enough=enough, timeout=timeout, grace=grace)
        told = {name: _why_not(result, clients[name], sensor) for name, result in results.items()}
        return _enough(GroupResults(told), enough, f"{sensor} became {condition!r}")

    def _make_request(self, name: str) -> RequestFunction:
        async def call(*arguments: object, **options: Any) -> GroupResults[Any]:
            return await self.request(name, *arguments, **options)

        first = next(client.req[name] for client in self._active().values() if name in client.req)
        call.__name__ = call.__qualname__ = attribute_name(name)
        call.__doc__ = first.__doc__
        return call


def _why_not(result: T | Exception, client: DeviceClient, sensor: str | None = None) -> T | Exception:
    """Return a result; in the place of an error what the client knows better: why it is away, what the sensor reads."""
    if not isinstance(result, Exception):
        return result
    away = client.sync_error or client.last_error
    if away is not None and (sensor is None or not client.synced):
        return away
    if isinstance(result, TimeoutError) and sensor is not None and sensor in client.sensor:
        last = client.sensor[sensor].reading
        return TimeoutError(f"{result}: it read {printable(repr(last.value))}, {last.status.value}")
    return result


def _enough(results: GroupResults[T], enough: int, what: str) -> GroupResults[T]:
    if len(results.succeeded) >= enough:
        return results
    count = f"{len(results.succeeded)} of {len(results)}"
    raise GroupError(f"{what}: {count} devices, and {enough} are needed", results.failed)


class _Union(Mapping[str, RemoteSensor]):
    """The sensors of all members as ``member.sensor``; looked up where they are, never copied."""

    def __init__(self, group: DeviceGroup) -> None:
        self._group = group

    def __getitem__(self, name: str) -> RemoteSensor:
        position = name.find(".")
        while position >= 0:  # the name of a member may have dots, too
            client = self._group.get(name[:position])
            if client is not None and name[position + 1 :] in client.sensor:
                return client.sensor[name[position + 1 :]]
            position = name.find(".", position + 1)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (f"{member}.{name}" for member, client in self._group.items() for name in client.sensor)

    def __len__(self) -> int:
        return sum(len(client.sensor) for client in self._group.values())


class _AllRequests(Mapping[str, str]):
    """The requests that any active member has."""

    def __init__(self, group: DeviceGroup) -> None:
        self._group = group

    def _clients(self) -> list[DeviceClient]:
        return [self._group[name] for name in self._group.active]

    def __getitem__(self, name: str) -> str:
        if any(name in client.req for client in self._clients()):
            return name
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for client in self._clients() for name in client.req))

    def __len__(self) -> int:
        return len(list(iter(self)))
