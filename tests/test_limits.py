"""Bounds: each is a positive number, and says its unit, what happens beyond it and why it is there."""

import attrs
import pytest

from katcp_aio.limits import Limits

__all__ = []

UNITS = (
    "arguments",
    "bytes",
    "seconds",
    "lines",
    "clients",
    "connections",
    "requests",
    "handlers",
    "sensors",
    "changes",
    "informs",
    "questions",
    "readings",
    "components",
    "#log informs",
)

every_bound = pytest.mark.parametrize("field", attrs.fields(Limits), ids=lambda field: field.name)


@every_bound
def test_has_a_unit_and_a_reason(field):
    reason = field.metadata["reason"]
    assert any(unit in reason for unit in UNITS), f"{field.name} has no unit: {reason}"
    assert len(reason.split()) >= 4
    assert "\n" not in reason


@every_bound
def test_is_a_number_above_zero(field):
    default = getattr(Limits(), field.name)
    assert default > 0
    assert type(default) is (int if field.type in ("int", int) else float)
    for bad in (0, -1, -0.5, float("nan")):
        with pytest.raises((ValueError, TypeError)):
            Limits(**{field.name: bad})
    with pytest.raises(TypeError):
        Limits(**{field.name: "many"})
    assert getattr(Limits(**{field.name: default * 2}), field.name) == default * 2


def test_a_count_is_whole():
    with pytest.raises(TypeError):
        Limits(max_clients=2.5)


def test_limits_never_change():
    limits = Limits()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        limits.max_clients = 5
    assert attrs.evolve(limits, max_clients=5).max_clients == 5
    assert limits == Limits()


def test_a_bound_that_does_not_exist_is_refused():
    with pytest.raises(TypeError):
        Limits(max_clientz=5)
