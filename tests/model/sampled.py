"""A sensor with one client, as the tests of strategies see it."""

from katcp_aio.model.reading import Reading, Status

NOMINAL = Status.NOMINAL


class Sampled:
    """A sensor with one client: sends what the strategy says, and wakes it when it asked to be, or ``late`` after."""

    def __init__(self, strategy, value=0, *, at=0.0, status=NOMINAL, late=0.0):
        self.strategy = strategy
        self.late = late
        self.now = at
        self.reading = Reading(at, status, value)
        strategy.start(self.reading, at)
        self.sent = [(at, self.reading)]

    def until(self, now):
        """Let time pass, wake-ups included; one that asks to be woken for ever would keep a loop busy."""
        wakes = 0
        while self.strategy.wake_at + self.late <= now:
            wakes += 1
            assert wakes < 100_000
            self.now = max(self.now, self.strategy.wake_at + self.late)
            self.wake()
        self.now = now

    def wake(self):
        if self.strategy.on_wake(self.reading, self.now):
            self.sent.append((self.now, self.reading))

    def set(self, value, *, at, status=NOMINAL):
        self.until(at)
        self.reading = Reading(at, status, value)
        if self.strategy.on_reading(self.reading, at):
            self.sent.append((at, self.reading))

    @property
    def reports(self):
        return [(now, reading.value) for now, reading in self.sent]


def comparable(found):
    """Reports with NaN equal to NaN."""
    return [(float(now), repr(what)) for now, what in found]
