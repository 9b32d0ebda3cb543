import gc
import weakref

import pytest

from katcp_aio.model import Reading, Sensor, SensorSet, SensorTree, Status
from katcp_aio.testing import ManualClock


@pytest.fixture
def clock():
    return ManualClock(wall=1000.0)


@pytest.fixture
def sensors(clock):
    return SensorSet(clock=clock)


@pytest.fixture
def tree(sensors):
    return SensorTree(sensors)


def boolean(sensors, *names, value=None):
    for name in names:
        sensor = sensors.add(Sensor(bool, name))
        if value is not None:
            sensor.value = value
    return [sensors[name] for name in names]


def state(sensor):
    return sensor.status.value, sensor.value


def test_a_boolean_tree(sensors, tree):
    top, left, right, leaf, other = boolean(sensors, "top", "left", "right", "leaf", "other", value=True)
    tree.add(left, [leaf])
    tree.add(right, [leaf, other])
    tree.add(top, [left, right])
    assert state(top) == ("nominal", True)
    other.value = False
    assert [left.value, right.value, top.value] == [True, False, False]
    leaf.value = False
    other.value = True
    assert [left.value, right.value, top.value] == [False, False, False]
    leaf.value = True
    assert top.value is True
    assert tree.children(top) == ("left", "right")
    assert tree.parents(leaf) == ("left", "right")
    assert (tree.children("leaf"), tree.parents("top")) == ((), ())
    assert leaf in tree
    assert "top" in tree
    assert "x" not in tree


def test_links_come_and_go(sensors, tree):
    top, a, b = boolean(sensors, "top", "a", "b", value=True)
    tree.add(top)
    assert state(top) == ("nominal", True)  # all of none
    a.value = b.value = False
    tree.link(top, a)
    assert top.value is False
    tree.link("top", "b")
    tree.link("top", "b")
    tree.unlink("top", "a")
    assert tree.children("top") == ("b",)
    assert top.value is False
    tree.unlink(top, b)
    assert top.value is True
    assert "b" not in tree
    b.value = True
    with pytest.raises(KeyError):
        tree.unlink(top, b)
    for method in (tree.link, tree.unlink):
        with pytest.raises(KeyError):
            method("nobody", a)


def test_a_child_of_two_parents_is_followed_until_both_let_go(sensors, tree):
    first, second, a = boolean(sensors, "first", "second", "a", value=True)
    tree.add(first, [a])
    tree.add(second, [a])
    tree.remove(first)
    a.value = False
    assert (first.value, second.value) == (True, False)
    assert a in tree
    tree.unlink(second, a)
    assert a not in tree


def test_a_child_without_a_valid_reading_makes_the_parent_unknown(sensors, tree):
    top, a, b = boolean(sensors, "top", "a", "b", value=True)
    tree.add(top, ["a", "b"])
    a.status = Status.FAILURE
    assert state(top) == ("unknown", False)
    b.value = False
    assert state(top) == ("nominal", False)


def test_rules_over_sensors_that_do_not_exist_yet(sensors, tree, clock):
    tree.add("power", ["voltage", "current"], rule=lambda voltage, current: voltage.value * current.value)
    voltage = sensors.add(Sensor(float, "voltage", default=2))
    power = sensors.add(Sensor(float, "power"))
    assert power.reading == Reading(1000.0, Status.UNKNOWN, 0.0)
    current = sensors.add(Sensor(float, "current", default=3))
    assert state(power) == ("nominal", 6.0)
    voltage.set(4, timestamp=1001)
    assert power.reading == Reading(1001.0, Status.NOMINAL, 12.0)
    clock.move(10)
    sensors.remove(current)
    assert power.reading == Reading(1010.0, Status.UNKNOWN, 12.0)
    voltage.value = 5
    assert state(power) == ("unknown", 12.0)
    sensors.add(Sensor(float, "current", default=1))
    assert state(power) == ("nominal", 5.0)


def test_replacing_a_child_or_the_parent(sensors, tree):
    top, child = boolean(sensors, "top", "child", value=True)
    tree.add("top", ["child"])
    (new,) = boolean(sensors, "child", value=False)
    assert top.value is False
    child.value = True
    assert top.value is False
    (new_top,) = boolean(sensors, "top")
    assert state(new_top) == ("nominal", False)
    new.value = True
    assert (top.value, new_top.value) == (False, True)


def test_a_rule_of_ones_own_may_give_a_status_or_nothing(sensors, tree):
    level = sensors.add(Sensor(int, "level"))
    text = sensors.add(Sensor(str, "text"))

    def describe(level):
        if level.value < 0:
            return None
        return (Status.WARN, "high") if level.value > 5 else "fine"

    tree.add(text, [level], describe)
    assert state(text) == ("nominal", "fine")
    level.value = 9
    assert state(text) == ("warn", "high")
    level.value = -1
    assert state(text) == ("warn", "high")


def test_what_has_not_changed_makes_no_reading(sensors, tree):
    top, a = boolean(sensors, "top", "a", value=True)
    tree.add(top, [a])
    before = top.reading
    a.value = True
    assert top.reading is before


def test_time_never_goes_back(sensors, tree):
    top, a = boolean(sensors, "top", "a", value=True)
    tree.add(top, [a])
    a.set(False, timestamp=2000)
    a.set(True, timestamp=1500)
    assert top.reading == Reading(2000.0, Status.NOMINAL, True)


@pytest.mark.parametrize(
    ("rules", "parent", "children", "text"),
    [
        ({}, "a", ["a"], "a circle: a is made from a"),
        ({"a": ["b"]}, "b", ["a"], "a circle: b is made from a is made from b"),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"]}, "d", ["x", "a"], "d is made from a is made from . is made from d"),
    ],
)
def test_circles_are_refused_and_change_nothing(sensors, tree, rules, parent, children, text):
    for name, below in rules.items():
        tree.add(name, below)
    with pytest.raises(ValueError, match=text):
        tree.add(parent, children)
    assert tree.children(parent) == ()
    assert "x" not in tree


def test_a_link_that_closes_a_circle(sensors, tree):
    tree.add("a", ["b"])
    tree.add("b", ["c"])
    with pytest.raises(ValueError, match="a circle"):
        tree.link("b", "a")
    assert tree.children("b") == ("c",)


def test_diamonds_are_no_circles(sensors, tree):
    for level in range(30):  # 2 ** 30 paths
        tree.add(f"x{level}", [f"y{level}", f"z{level}"])
        tree.add(f"y{level}", [f"x{level + 1}"])
        tree.add(f"z{level}", [f"x{level + 1}"])
    with pytest.raises(ValueError, match="a circle"):
        tree.add("x30", ["x0"])
    tree.add("top", ["x0"])
    assert tree.parents("x0") == ("top",)


def test_one_rule_a_parent(sensors, tree):
    tree.add("a", ["b"])
    with pytest.raises(ValueError, match="sensor a has a rule already"):
        tree.add("a", ["c"])
    with pytest.raises(ValueError, match="no sensor name"):
        tree.add("a b")


def test_remove_leaves_the_sensor_and_the_links_above_it(sensors, tree):
    top, middle, leaf = boolean(sensors, "top", "middle", "leaf", value=True)
    tree.add(middle, [leaf])
    tree.add(top, [middle])
    tree.remove(middle)
    assert "leaf" not in tree
    leaf.value = False
    assert middle.value is True
    middle.value = False
    assert top.value is False
    with pytest.raises(KeyError):
        tree.remove("middle")
    tree.add(middle, [leaf])


def test_booleans_only_unless_a_rule_says_otherwise(sensors, tree):
    (top,) = boolean(sensors, "top", value=True)
    sensors.add(Sensor(int, "number"))
    with pytest.raises(TypeError, match="sensor number is integer, not boolean"):
        tree.add(top, ["number"])
    assert top not in tree
    assert "number" not in tree
    tree.add(top)
    with pytest.raises(TypeError, match="not boolean"):
        tree.link(top, "number")
    assert tree.children(top) == ()


def test_a_rule_that_raises_later_is_logged(sensors, tree, caplog):
    top, a = boolean(sensors, "top", "a", value=True)
    tree.add(top, ["a"], rule=lambda a: 1 / a.value > 0)
    a.value = False
    assert "ZeroDivisionError" in caplog.text
    assert top.value is True
    a.value = True
    assert top.value is True


def test_a_rule_that_raises_leaves_the_other_parents_of_its_child_alone(sensors, tree, caplog):
    top, other, a = boolean(sensors, "top", "other", "a", value=True)
    tree.add(top, [a], rule=lambda a: 1 / a.value > 0)
    tree.add(other, [a])
    a.value = False
    assert "the rule of sensor top failed" in caplog.text
    assert (top.value, other.value) == (True, False)


def test_a_forgotten_tree_leaves_nothing_attached(sensors):
    top, a = boolean(sensors, "top", "a", value=True)
    tree = SensorTree(sensors)
    tree.add(top, [a])
    watch = weakref.ref(tree)
    del tree
    gc.collect()
    assert watch() is None
    a.value = False
    assert top.value is True


def test_a_sensor_that_left_the_set_is_not_kept(sensors, tree):
    boolean(sensors, "top", "a", value=True)
    tree.add("top", ["a"])
    watch = weakref.ref(sensors.remove("a"))
    assert watch() is None
