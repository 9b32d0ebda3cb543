"""What the device on one connection speaks. Law: found out anew on each connection, from whatever greeting it sends.

``protocol=`` settles it beforehand. Otherwise the greeting decides (5.1, section 4.2; Rev 4, section 4.2), and where
none comes the client speaks what it was told to assume. That is 5.0 without flags unless the program says otherwise:
requests without ids, one at a time, are understood by every device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..errors import UnsupportedProtocol
from ..wire.dialect import Detector, Dialect, parse_version
from ..wire.message import Message

__all__ = ["ASSUMED", "GREETING", "Negotiation"]

ASSUMED: Final[Dialect] = parse_version("5.0")  #: what is assumed if nobody says otherwise: no flags, no ids
GREETING: Final = ("version-connect", "version", "build-state")  #: informs that belong to a greeting


class Negotiation:
    """What is known of the device's language, for one connection.

    Args:
        preset: what is spoken whatever the device says; None: what it says.
    """

    __slots__ = ("_detector", "_preset", "error")

    def __init__(self, preset: Dialect | None = None) -> None:
        self._preset = preset
        self._detector = Detector()
        self.error: UnsupportedProtocol | None = None  #: the device speaks what this library does not

    @property
    def dialect(self) -> Dialect | None:
        """What to speak; None while that is open."""
        return self._preset or self._detector.dialect

    @property
    def versions(self) -> Mapping[str, tuple[str, ...]]:
        """Role or component -> version and, if given, build state, as far as the device has told."""
        return self._detector.versions

    def feed(self, inform: Message) -> None:
        """Take one inform of the greeting. Never raises."""
        try:
            self._detector.feed(inform.name, inform.arguments)
        except UnsupportedProtocol as error:
            if self._preset is None:
                self.error = error.with_traceback(None)
