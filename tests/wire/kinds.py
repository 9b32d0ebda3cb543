"""Types that several files of tests put on the wire."""

import enum

__all__ = ["Level", "Mode", "Named"]


class Mode(enum.Enum):
    IDLE = 0
    FAST_SLEW = 1
    FAST = 1  # noqa: PIE796 - another name for the same


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Named(enum.Enum):
    A = "a"
    B = "b"

    @property
    def katcp_value(self):
        return f"the {self.value}" if self is Named.A else b"the b"
