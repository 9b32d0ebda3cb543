"""A client of the pump in pump.py: ``python client.py 127.0.0.1 5000``. It finds out by itself what the pump can do."""

import asyncio
import sys

from katcp_aio import DeviceClient, InvalidReply, KatcpError


async def main(host: str, port: int) -> None:
    """Look around, set the rate, follow it, and calibrate."""
    # A script that finds no pump is to say so; a program that runs for years leaves out reconnect=None.
    async with DeviceClient(host, port, reconnect=None) as pump:
        print("requests:", ", ".join(pump.req))
        for name in pump.sensor:
            sensor = pump.sensor[name]
            reading = await sensor.read()
            print(f"sensor {name}: {reading.value} {sensor.units} ({reading.status.value})")

        await pump.req.set_rate(7.5)
        reading = await pump.sensor.rate.read()
        print(f"the rate is {reading.value} {pump.sensor.rate.units}, and that is {reading.status.value}")

        try:
            await pump.req.set_rate(75)
        except InvalidReply as error:
            print("refused:", error)

        async for step in pump.stream("calibrate"):
            print("calibration step", *[argument.decode() for argument in step.arguments])


if __name__ == "__main__":
    host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
    try:
        asyncio.run(main(host, port))
    except (KatcpError, OSError) as error:
        sys.exit(f"client.py: {error}")
