"""The test kit. Law: whatever a test needs of the world outside (time, peers, faults) is here, and obeys the test.

Nothing of the library imports it. ``ManualClock`` is time that a test moves, ``memory_pair`` and ``memory_streams``
are connections without a network.
"""

from __future__ import annotations

from .clock import ManualClock, ManualLoop
from .memory import MemoryTransport, memory_pair, memory_streams

__all__ = [
    "ManualClock",
    "ManualLoop",
    "MemoryTransport",
    "memory_pair",
    "memory_streams",
]
