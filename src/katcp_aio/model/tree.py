"""Rules over sensors by name. Law: a parent says what its children say, or that this is unknown, and never a circle.

A :class:`SensorTree` belongs to one set of sensors. Its rules name sensors, which may come, go and be replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from .. import reports
from .checks import check_name
from .follower import Follower, Outcome, settle
from .reading import Reading, Status
from .sensor import Sensor
from .sensorset import SensorSet

__all__ = ["SensorTree", "all_true"]

Named = str | Sensor[Any]  #: a sensor of the set, or its name


def all_true(*children: Sensor[Any]) -> Outcome:
    """Return whether all children, boolean sensors, are true: the rule that a tree has by default.

    One that is false decides. If none is, one without a valid reading makes the status ``unknown``, and the value
    false. All of none is true.

    Raises:
        TypeError: a child is not boolean.
    """
    outcome: Outcome = (None, True)
    for child in children:
        if child.type_name != "boolean":
            raise TypeError(f"sensor {child.name} is {child.type_name}, not boolean")
        if not child.status.valid:
            outcome = (Status.UNKNOWN, False)
        elif not child.value:
            return None, False
    return outcome


@attrs.define(eq=False)
class _Node:
    """A parent: what it is made from, and how."""

    rule: Callable[..., Outcome]
    children: dict[str, None]  # an ordered set


class SensorTree:
    """Sets sensors of a set by rules over others of it, each of which may be made by a rule in turn.

    A parent is set when a child is, or when a child or the parent itself comes or goes; a rule that comes to what the
    parent is already makes no reading. While one of its children is not there the rule is not asked: the parent keeps
    its value, and its status is ``unknown``. Readings have the timestamp of the child's reading that caused them, or
    the time at which a sensor came or went; it never goes back. A rule that raises for a reading is logged.

    To work, the tree has to be referred to; when it is forgotten, nothing of it stays attached.

    Args:
        sensors: where names are looked up, now and later.
    """

    def __init__(self, sensors: SensorSet) -> None:
        self._sensors = sensors
        self._nodes: dict[str, _Node] = {}
        self._parents: dict[str, dict[str, None]] = {}  # child -> parents, in the order of their rules
        self._follower = Follower(self)
        nodes, parents = self._nodes, self._parents
        self._follower.follow_set(sensors, lambda sensor: sensor.name in nodes or sensor.name in parents)

    def __contains__(self, sensor: Named) -> bool:
        """Return whether a sensor is a parent or a child in the tree."""
        name = _name(sensor)
        return name in self._nodes or name in self._parents

    def add(self, parent: Named, children: Iterable[Named] = (), rule: Callable[..., Outcome] = all_true) -> None:
        """Make ``parent`` follow from ``children``, none of which has to be in the set yet.

        Args:
            parent: the sensor that is set.
            children: what it is made from.
            rule: is called with the child sensors, in this order, each to be asked for its ``value``, ``status``, ...;
                returns a value for the parent, or (status, value), or None for "as it is".

        Raises:
            ValueError: the parent has a rule already, or would be made from itself. The tree is as it was.
            Exception: what the rule raises for the sensors that are there. The tree is as it was.
        """
        name = _name(parent)
        if name in self._nodes:
            raise ValueError(f"sensor {name} has a rule already")
        names = dict.fromkeys(map(_name, children))
        for child in names:
            self._check_circle(name, child)
        self._follow(name)
        for child in names:
            self._follow(child)
            self._parents.setdefault(child, {})[name] = None
        self._nodes[name] = _Node(rule, names)
        try:
            self._recalculate(name, None)
        except Exception:
            self.remove(name)
            raise

    def remove(self, parent: Named) -> None:
        """Leave a parent as it is from now on. Its place as a child of others stays.

        Raises:
            KeyError: it has no rule.
        """
        name = _name(parent)
        node = self._nodes.pop(name)
        self._forget(name)
        for child in node.children:
            self._part(name, child)

    def link(self, parent: Named, child: Named) -> None:
        """Add one child, the last in order, to a parent; nothing happens if it is one already.

        Raises:
            KeyError: the parent has no rule.
            ValueError: the parent would be made from itself.
            Exception: what the rule raises. The tree is as it was.
        """
        name, child = _name(parent), _name(child)
        children = self._nodes[name].children
        if child in children:
            return
        self._check_circle(name, child)
        self._follow(child)
        self._parents.setdefault(child, {})[name] = None
        children[child] = None
        try:
            self._recalculate(name, None)
        except Exception:
            del children[child]
            self._part(name, child)
            raise

    def unlink(self, parent: Named, child: Named) -> None:
        """Take one child from a parent.

        Raises:
            KeyError: the parent has no rule or no such child.
            Exception: what the rule raises without the child, which is taken away all the same.
        """
        name, child = _name(parent), _name(child)
        del self._nodes[name].children[child]
        self._part(name, child)
        self._recalculate(name, None)

    def children(self, parent: Named) -> tuple[str, ...]:
        """Return the names that a parent is made from, in order; none for what has no rule."""
        node = self._nodes.get(_name(parent))
        return () if node is None else tuple(node.children)

    def parents(self, child: Named) -> tuple[str, ...]:
        """Return the names of the parents that are made from a child."""
        return tuple(self._parents.get(_name(child), ()))

    def followed(self, sensor: Sensor[Any], old: Reading[Any] | None, new: Reading[Any] | None) -> None:
        """Take in what became of one sensor; the follower calls this."""
        if new is not None and old is None and sensor.name in self._nodes:
            self._recalculate(sensor.name, None)  # a parent has come
        for parent in self.parents(sensor):
            try:
                self._recalculate(parent, new if old is not None else None)
            except Exception:  # noqa: BLE001 - the other parents follow from it all the same
                reports.report_exception("the rule of sensor %s failed", parent)

    def _recalculate(self, name: str, cause: Reading[Any] | None) -> None:
        """Set a parent to what its children say now, if it is there; ``cause`` is the child's reading, if one is."""
        parent, node = self._sensors.get(name), self._nodes.get(name)
        if parent is None or node is None:
            return
        children = [self._sensors[child] for child in node.children if child in self._sensors]
        missing = len(children) < len(node.children)
        outcome = (Status.UNKNOWN, parent.value) if missing else node.rule(*children)
        timestamp = self._sensors.clock.time() if cause is None else cause.timestamp
        settle(parent, outcome, timestamp, repeats=False)

    def _follow(self, name: str) -> None:
        sensor = self._sensors.get(name)
        if sensor is not None:
            self._follower.follow(sensor)

    def _part(self, parent: str, child: str) -> None:
        """Note that ``child`` is a child of ``parent`` no more."""
        parents = self._parents[child]
        del parents[parent]
        if not parents:
            del self._parents[child]
            self._forget(child)

    def _forget(self, name: str) -> None:
        """Follow a sensor no more, unless it still has a place in the tree."""
        sensor = self._sensors.get(name)
        if sensor is not None and name not in self:
            self._follower.leave(sensor)

    def _check_circle(self, parent: str, child: str) -> None:
        """Raise ValueError if ``child`` is ``parent``, or made from it in any number of steps."""
        paths: list[tuple[str, ...]] = [(child,)]
        seen = set()
        while paths:
            path = paths.pop()
            if path[-1] == parent:
                raise ValueError("a circle: " + " is made from ".join((parent, *path)))
            if path[-1] not in seen:
                seen.add(path[-1])
                paths += [(*path, below) for below in self.children(path[-1])]


def _name(sensor: Named) -> str:
    return sensor.name if isinstance(sensor, Sensor) else check_name(sensor)
