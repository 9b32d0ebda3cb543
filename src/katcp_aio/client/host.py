"""What a sensor can have its client do. Law: a sensor knows this much of its client and no more."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import Any

from ..errors import ProtocolError
from ..model.reading import Reading
from ..wire.values import TypeRegistry
from .client import Client
from .remote_sensor import RemoteSensor
from .replies import Reply
from .states import State
from .wishes import Loan, Wishes

__all__ = ["Host"]


class Host:
    """The client's side of its sensors.

    Args:
        client: asks the device.
        wishes: takes loans.
        sample: has a sensor sampled.
        look: has the sampling of a sensor looked at again.
    """

    __slots__ = ("_client", "_look", "_wishes", "sample")

    def __init__(
        self,
        client: Client,
        wishes: Wishes,
        sample: Callable[..., Awaitable[bool]],
        look: Callable[[str], None],
    ) -> None:
        self._client = client
        self._wishes = wishes
        self._look = look
        self.sample = sample

    @property
    def types(self) -> TypeRegistry:
        """The Python types that values may have."""
        return self._client.types

    @property
    def closed(self) -> bool:
        """Whether the client is closed."""
        return self._client.state is State.CLOSED

    async def read_sensor(self, sensor: RemoteSensor) -> Reading[Any]:
        """Poll one sensor; see :meth:`RemoteSensor.read`."""
        name = sensor.name.encode()
        reply = await self._client.request("sensor-value", sensor.name)
        for inform in reply.informs:  # devices built on the C library answer with all that start with the name
            arguments = inform.arguments
            if len(arguments) == 5 and arguments[2] == name:
                sensor.feed(arguments[0], arguments[3], arguments[4])
                return sensor.reading
        raise ProtocolError(f"{self._client.description}: ?sensor-value {sensor.name} brought no reading of it")

    async def set_sensor(self, sensor: RemoteSensor, request: str, value: object) -> Reply:
        """Have a sensor set; see :meth:`RemoteSensor.set`."""
        kind = sensor.type
        if isinstance(value, enum.Enum) and kind.name == "discrete":  # options of another device are texts here
            value = self.types.encode(value).decode()
        return await self._client.request(request, kind.check(value))

    def borrow(self, loan: Loan) -> Callable[[], None]:
        """Have a sensor sampled for as long as somebody looks; the result ends it.

        Raises:
            TypeError, ValueError: a parameter that cannot be written.
        """
        for choice in loan.choices:
            choice.check(self._client.dialect, self._client.types)
        self._wishes.lend(loan)
        self._look(loan.name)

        def give_back() -> None:
            if self._wishes.end(loan):
                self._look(loan.name)

        return give_back

    def now(self) -> float:
        """Return the wall time, in seconds since the Unix epoch, UTC."""
        return self._client.clock.time()

    def tell_bad_reading(self, sensor: RemoteSensor, what: str, raw: bytes) -> None:
        """Count and log what could not be read."""
        self._client.trouble.tell("bad reading", "sensor %s: this %s cannot be read: %s", sensor.name, what, raw)

    def tell_refusal(self, sensor: RemoteSensor, strategy: str, error: Exception) -> None:
        """Count and log that the device will not sample the sensor."""
        self._client.trouble.tell("sampling refused", "sensor %s, %s: %s", sensor.name, strategy, error)
