"""katcp_aio as its users use it, at its defaults. Law: nothing here that the documentation does not show."""

import katcp_aio

from .asking import Asking, Following, Grouped
from .served import Served, names

__all__ = ["Client", "Finder", "Follower", "Group", "Server"]


class Device(katcp_aio.DeviceServer):
    VERSION = "benchmark-1.0"
    BUILD_STATE = "benchmark-1.0.0"

    async def request_echo(self, ctx: katcp_aio.RequestContext, *args: bytes) -> tuple[bytes, ...]:
        """Return the arguments."""
        return args

    async def request_add(self, ctx: katcp_aio.RequestContext, a: int, b: float) -> float:
        """Return the sum."""
        return a + b


class Server(Served):
    async def start(self) -> int:
        self.device = Device("127.0.0.1", 0)
        self.add_sensors(self.count)
        await self.device.start()
        return self.device.address.port

    async def stop(self) -> None:
        await self.device.stop(timeout=0.1)

    def new_sensor(self, name: str) -> katcp_aio.Sensor[int]:
        return self.device.sensors.add(katcp_aio.Sensor(int, name, "A temperature of the benchmark", "K"))


class Client(Asking):
    async def start(self) -> None:
        # The plain client asks; the one that knows the device's sensors reads them.
        kind = katcp_aio.DeviceClient if self.sensors else katcp_aio.Client
        self.client = kind("127.0.0.1", self.port)
        await self.client.__aenter__()
        self.client.on_inform("blip", lambda _: self.hear())

    async def stop(self) -> None:
        await self.client.close()

    async def watchdog(self) -> None:
        await self.client.request("watchdog")

    async def read_all(self) -> dict[str, katcp_aio.Reading]:
        return await self.client.read()


class Follower(Following):
    async def connect(self) -> None:
        self.client = katcp_aio.DeviceClient("127.0.0.1", self.port)
        await self.client.start()
        await self.client.sample("/./", "auto")
        await self.client.wait_synced()
        last = self.client.sensor[names(self.sensors)[-1]]
        await last.wait_for(lambda reading: reading.status is katcp_aio.Status.NOMINAL)

    async def disconnect(self) -> None:
        await self.client.close()

    def expect(self, final: int) -> None:
        super().expect(final)
        self.client.sensor[names(self.sensors)[-1]].attach(lambda _, reading: self.observe(reading))


class Finder(Following):
    """Only finds out what there is; aiokatcp has nothing that does."""

    async def connect(self) -> None:
        self.client = katcp_aio.DeviceClient("127.0.0.1", self.port)
        await self.client.start()
        await self.client.wait_synced()
        if len(self.client.sensor) != self.sensors:
            raise RuntimeError(f"{len(self.client.sensor)} sensors were found")

    async def disconnect(self) -> None:
        await self.client.close()


class Group(Grouped):
    async def connect(self) -> None:
        members = {f"m{number:03d}": ("127.0.0.1", port) for number, port in enumerate(self.ports)}
        self.group = katcp_aio.DeviceGroup(members)
        await self.group.start()
        await self.group.wait_connected()
        (await self.group.sample("/./", "auto")).check("sampling")
        last = names(self.sensors)[-1]
        await self.group.wait_for(last, lambda reading: reading.status is katcp_aio.Status.NOMINAL)

    async def disconnect(self) -> None:
        await self.group.close()
