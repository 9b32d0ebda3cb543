"""The timeout that a caller did not give. Law: None means any time, so something else has to mean the usual one."""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["DEFAULT", "Default"]


class Default(enum.Enum):
    """The type of :data:`DEFAULT`."""

    DEFAULT = "default"

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT: Final = Default.DEFAULT  #: as a timeout: the device's own hint for the request, or else the client's timeout
