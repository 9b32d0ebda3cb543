"""The test kit. Law: whatever a test needs of the world outside (time, peers, faults) is here, and obeys the test.

Nothing of the library imports it. ``ManualClock`` is time that a test moves; ``serve`` runs a device without a socket,
and a ``Peer`` talks to it; ``FakeDevice`` is a device for a client to talk to, and ``FaultProxy`` a bad network between
the two; a ``Recorder`` remembers what came; ``memory_pair`` and ``memory_streams`` are connections without a network.
The fixtures for pytest are in ``katcp_aio_pytest``.
"""

from __future__ import annotations

from .clock import ManualClock, ManualLoop
from .device import FakeDevice
from .memory import MemoryTransport, memory_pair, memory_streams
from .peer import Peer
from .proxy import FaultProxy, Faults
from .recorder import Recorder
from .serving import Served, connect_in_memory, serve
from .standard import FakeSensor

__all__ = [
    "FakeDevice",
    "FakeSensor",
    "FaultProxy",
    "Faults",
    "ManualClock",
    "ManualLoop",
    "MemoryTransport",
    "Peer",
    "Recorder",
    "Served",
    "connect_in_memory",
    "memory_pair",
    "memory_streams",
    "serve",
]
