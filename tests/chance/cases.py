"""Cases of the sweep that cancels: what is played, cancelled at one point after another."""

import contextlib


class Cases(dict):
    """Name -> case, as ``cancel_everywhere`` plays it: an async context manager of a clock.

    ``made`` makes one of an async generator function: of the clock, unless it says otherwise.
    """

    def __init__(self, made=contextlib.asynccontextmanager):
        super().__init__()
        self.by_hand = set()  # names of those in which nobody but the case moves the time, as where there are sockets
        self._made = made

    def add(self, function, name=None):
        """Add the case that ``function`` plays, under its own name or another."""
        self[name or function.__name__] = self._made(function)
        return function

    def add_by_hand(self, function):
        """Add a case in which time does not pass by itself."""
        self.by_hand.add(function.__name__)
        return self.add(function)
