"""Registries: types of one's own, what a child knows, tables of encoders, and the types of other devices' sensors."""

import enum
import math

import pytest
from tests.wire.kinds import Level, Mode

from katcp_aio.wire.datatypes import Address, Lru, Now, Timestamp
from katcp_aio.wire.dialect import V4, V51, server_dialect
from katcp_aio.wire.values import TypeRegistry, registry

__all__ = []


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __eq__(self, other):
        return type(other) is type(self) and (self.x, self.y) == (other.x, other.y)

    __hash__ = None


class Pixel(Point):
    pass


def write_point(point):
    return b"%d/%d" % (point.x, point.y)


def read_point(raw):
    x, y = raw.split(b"/")
    return Point(int(x), int(y))


@pytest.fixture
def types():
    return registry.child()


def test_a_type_of_one_s_own(types):
    types.register(Point, "point", write_point, read_point, default=lambda: Point(0, 0))
    found = types.resolve(Point)
    assert (found.name, found.usage, found.default) == ("point", "point", Point(0, 0))
    assert (found.python, found.params) == (Point, ())
    assert types.encode(Point(1, 2)) == b"1/2"
    assert types.encode(Pixel(1, 2)) == b"1/2"
    assert types.decode(Point, b"1/2") == Point(1, 2)
    assert types.decode(Point | None, b"1/2") == Point(1, 2)
    assert types.decode(str | Point, b"1/2") == Point(1, 2)  # who can read it more strictly is asked first
    assert types.decode(str | Point, b"1") == "1"
    assert found.check(Pixel(1, 2)) == Pixel(1, 2)
    with pytest.raises(TypeError, match="of type str is no point"):
        found.check("1/2")
    with pytest.raises(ValueError, match=r"^'1' is no point: not enough values"):
        types.decode(Point, b"1")


def test_an_address_is_more_of_one_than_a_type_of_one_s_own(types):
    types.register(Point, "point", write_point, lambda _raw: Point(0, 0))
    assert types.decode(Point | Address, b"1.2.3.4") == Address("1.2.3.4")
    assert types.decode(Point | Address, b"anything") == Point(0, 0)


def test_a_registry_without_a_parent_knows_the_types_of_the_specification():
    types = TypeRegistry()
    assert [types.encode(value) for value in (5, True, "a", Mode.IDLE)] == [b"5", b"1", b"a", b"idle"]


def test_a_reason_is_one_line_and_may_be_missing(types):
    def refuse(raw):
        raise ValueError(*(["two\nlines in \N{MICRO SIGN}s"] if raw else []))

    types.register(Point, "point", write_point, refuse)
    assert types.resolve(Point).default is None
    with pytest.raises(ValueError, match=r"^'' is no point$"):
        types.decode(Point, b"")
    with pytest.raises(ValueError, match=r"^'x' is no point: two\\x0alines in \\xb5s$"):
        types.decode(Point, b"x")


def test_an_encoder_gives_bytes(types):
    types.register(Point, "point", str, read_point)
    with pytest.raises(TypeError, match="the encoder of point returned str, not bytes"):
        types.encode(Point(1, 2))


def test_registering_twice_is_refused(types):
    types.register(Point, "point", write_point, read_point)
    with pytest.raises(ValueError, match="registered already"):
        types.register(Point, "point", write_point, read_point)
    with pytest.raises(ValueError, match="registered already"):
        registry.register(int, "integer", str.encode, int)


def test_what_a_child_learns_stays_with_it(types):
    types.register(Point, "point", write_point, read_point)
    for other in (registry, registry.child()):
        with pytest.raises(TypeError, match="no KATCP type"):
            other.encode(Point(1, 2))


def test_a_child_knows_what_its_parents_learn_later():
    parent = TypeRegistry()
    child = parent.child().child()
    with pytest.raises(TypeError):
        child.encode(Point(1, 2))
    parent.register(Point, "point", write_point, read_point)
    assert child.encode(Point(1, 2)) == b"1/2"
    assert child.from_wire("point").decoder(V51)(b"1/2") == Point(1, 2)


def test_a_name_of_the_specification_means_for_clients_what_it_says_there(types):
    types.register(Point, "string", write_point, read_point)
    types.register(bool, "boolean", lambda value: b"yes" if value else b"no", {b"yes": True, b"no": False}.__getitem__)
    assert types.resolve(Point).name == "string"
    assert types.from_wire("string").decoder(V51)(b"pump") == "pump"
    assert types.from_wire("boolean").decoder(V51)(b"yes") is True  # bool, as this registry has it


def test_a_child_may_write_a_known_type_in_its_own_way(types):
    assert types.encode(True) == b"1"
    types.register(bool, "boolean", lambda value: b"yes" if value else b"no", {b"yes": True, b"no": False}.__getitem__)
    assert types.encode(True) == b"yes"
    assert types.encode(1) == b"1"
    assert registry.encode(True) == b"1"


def test_an_enum_may_have_its_own_way(types):
    types.register(Level, "integer", lambda value: b"%d" % value, lambda raw: Level(int(raw)))
    assert types.encode(Level.HIGH) == b"2"
    assert types.decode(Level, b"2") is Level.HIGH
    assert types.encode(Mode.IDLE) == b"idle"


def test_what_is_remembered_of_classes_is_bounded():
    types = registry.child()
    for number in range(1100):
        found = enum.Enum(f"Mode{number}", {"A": 1})
        assert types.encode(found.A) == b"a"
        assert types.decode(found, b"a") is found.A
        assert types.encode(Timestamp(number)) == b"%d.0" % number if number else True


def test_a_table_for_who_encodes_many():
    types = registry.child()
    old, new = types.encoders(V4), types.encoders()
    values = [1, True, "a", 2.5, Timestamp(1001.9), Mode.IDLE, Now.NOW]
    for _ in range(2):
        assert [old[type(value)](value) for value in values] == [b"1", b"1", b"a", b"2.5", b"1001900", b"idle", b"now"]
        assert new[Timestamp](Timestamp(1001.9)) == b"1001.9"
    with pytest.raises(TypeError, match="no KATCP type"):
        new[type(None)](None)
    types.register(Mode, "mode", lambda mode: b"own", Mode)
    assert new[Mode](Mode.IDLE) == b"own"  # the table is kept up to date
    assert types.encoders(server_dialect("5.1-MI")) is new  # flags have nothing to do with values


# --- sensors of other devices ---


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("integer", b"+5", 5),
        ("float", b"nan", None),
        ("boolean", b"1", True),
        ("lru", b"error", Lru.ERROR),
        ("timestamp", b"1.5", Timestamp(1.5)),
        ("timestamp", b"-1.5e1", Timestamp(-15)),
        ("address", b"1.2.3.4:5", Address("1.2.3.4", 5)),
        ("string", b"\xff", r"\xff"),
        ("discrete", b"idle", "idle"),
        ("of-another-device", b"\xff", b"\xff"),
    ],
)
def test_types_of_other_devices(name, raw, value):
    found = registry.from_wire(name)
    read = found.decoder(V51, lenient=True)(raw)
    assert read == value if value is not None else math.isnan(read)


def test_a_discrete_sensor_of_another_device():
    found = registry.from_wire("discrete", [b"a", b"b", b"a", b"\xff"])
    assert (found.name, found.params, found.python) == ("discrete", (b"a", b"b", b"a", b"\xff"), str)
    assert found.decoder(V51)(b"a") == "a"
    assert found.encoder(V51)(r"\xff") == b"\xff"
    assert found.decoder(V51, lenient=True)(b"unlisted") == "unlisted"
    with pytest.raises(ValueError, match="is no discrete"):
        found.decoder(V51)(b"unlisted")
    with pytest.raises(TypeError, match="is no discrete"):
        found.check("unlisted")
