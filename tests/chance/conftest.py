"""How long chance has: ``HYPOTHESIS_PROFILE=long pytest tests/chance`` for a night, and a blink otherwise."""

import os

import hypothesis
import pytest

__all__ = []

_PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
_QUICK = {"deadline": None, "print_blob": True, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}

hypothesis.settings.register_profile("long", max_examples=5000, **_QUICK)
if _PROFILE == "long":
    hypothesis.settings.load_profile(_PROFILE)


def pytest_collection_modifyitems(items):
    """Let the long runs take their time."""
    if _PROFILE == "long":
        for item in items:
            item.add_marker(pytest.mark.timeout(3600))
