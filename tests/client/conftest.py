"""Time, for tests of clients."""

import pytest

__all__ = []


@pytest.fixture
def time_flies(manual_clock):
    """Nothing here waits for the wall clock: when all is quiet, the next timer is due."""
    manual_clock.auto = True
