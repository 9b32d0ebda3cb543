"""A proxy: many clients at once in front of a board that takes only one, and that speaks the old version of KATCP.

    python examples/proxy.py BOARD_HOST BOARD_PORT [PORT]

The board is asked each question once, however many clients look: its sensors are mirrored, and its requests are passed
on one by one. While the board is away its sensors read `unreachable`, and the proxy goes on.
"""

import argparse

from katcp_aio import DeviceClient, DeviceServer, RequestProxy, Sensor, SensorMirror, run


class Proxy(DeviceServer):
    """Shows a board's sensors as board.*, and has its requests, under their own names."""

    VERSION = "board-proxy-1.0"
    BUILD_STATE = "board-proxy-1.0.0"

    def __init__(self, host: str, port: int, board: DeviceClient) -> None:
        super().__init__(host, port)
        self.board = board
        self.there = self.sensors.add(Sensor(bool, "board-there", "Whether the board is connected and in step"))
        board.on_synced(self.there.set)
        self.mirror = SensorMirror(board, self.sensors, prefix="board.")
        self.requests = RequestProxy(board, self)

    async def on_start(self) -> None:
        """Connect to the board in the background; it need not be there yet."""
        await self.board.start()

    async def on_stop(self) -> None:
        """Let the board go."""
        self.requests.close()
        self.mirror.close()
        await self.board.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A proxy for a board that takes one client only.")
    parser.add_argument("board_host")
    parser.add_argument("board_port", type=int)
    parser.add_argument("port", type=int, nargs="?", default=5002, help="of the proxy (%(default)s)")
    options = parser.parse_args()
    run(Proxy("127.0.0.1", options.port, DeviceClient(options.board_host, options.board_port, heartbeat=10)))
