"""A plugin of pytest for ``nox -s mutation``: the tests that notice a change soonest come first, and chance is brief.

Each of some thousand changes is tested alone, mostly until the first test fails, so what counts is the time to that.
All of them are tested in copies of one process that has run the tests before. So what the types of values were
resolved to is forgotten before each test, and what was made when a module was imported is made again: what makes them
runs again, changed, and counts as reached by that test.
"""

import os

import hypothesis
import pytest

from katcp_aio.model import strategies
from katcp_aio.wire import message
from katcp_aio.wire.message import MessageType
from katcp_aio.wire.values import registry

__all__ = ["pytest_collection_modifyitems", "pytest_runtest_setup"]

# Derandomized, so that a change is noticed each time or never; and none is made smaller once it is noticed.
hypothesis.settings.register_profile(
    "mutation",
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile("mutation")

_rows = strategies.strategies.rows
_kinds = {name: row.kind for name, row in _rows.items() if row.kind is not None}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Put the tests of the changed module first, and those by chance last."""
    changed = os.environ.get("MUTANT_UNDER_TEST", "").split(".x")[0]  # package.module.x_function__mutmut_1
    own = f"test_{changed.rpartition('.')[2]}.py"
    items.sort(key=lambda item: (getattr(item.obj, "is_hypothesis_test", False), item.path.name != own))


def pytest_runtest_setup(item):
    """Let each test begin with nothing resolved or remembered, and with strategies made anew."""
    registry._forget()  # noqa: SLF001 - nobody else has a use for this
    for name, kind in _kinds.items():
        _rows[name] = strategies._without_parameters(kind)  # noqa: SLF001 - as above
    for kind in MessageType:
        kind.heads.clear()
    for remembered in message._bare, message._heads, message._last_inform:  # noqa: SLF001 - as above
        remembered.clear()
