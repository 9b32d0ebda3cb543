import copy

import pytest

from katcp_aio.client.names import Directory, NameSpace, attribute_name


@pytest.mark.parametrize(
    ("name", "attribute"),
    [("rate", "rate"), ("set-rate", "set_rate"), ("a.b-c_d", "a_b_c_d"), ("class", "class_"), ("2fast", "_2fast")],
)
def test_attributes(name, attribute):
    assert attribute_name(name) == attribute


def space(items, **options):
    return NameSpace(Directory("sensor", lambda: "pump", items=items, **options))


def test_by_item_and_by_attribute():
    names = space({"a.b": 1, "get": 2})
    assert (names.a_b, names["a.b"], names.get) == (1, 1, 2)
    assert (list(names), len(names), "a.b" in names, "a_b" in names) == (["a.b", "get"], 2, True, False)
    assert dir(names) == ["a_b", "get"]
    assert repr(names) == "<2 sensors of pump>"


def test_no_name_of_a_device_is_taken():
    public = [name for name in dir(NameSpace) if not name.startswith("_")]
    assert public == []


def test_collisions_and_what_is_not_there():
    names = space({"a.b": 1, "a-b": 2})
    with pytest.raises(AttributeError, match=r"sensors 'a\.b' and 'a-b' of pump share the attribute a_b"):
        _ = names.a_b
    with pytest.raises(AttributeError, match="pump has no sensor 'c'"):
        _ = names.c
    assert not hasattr(names, "c")
    with pytest.raises(AttributeError, match="has no sensor 'c', nor is any other known: is the client connected"):
        _ = space({}).c
    with pytest.raises(KeyError):
        _ = names["a_b"]


def test_things_are_made_once_and_again_when_they_changed():
    made = []

    def make(name):
        made.append(name)
        return object()

    directory = Directory("request", lambda: "pump", make, {"a": "", "b": ""})
    names = NameSpace(directory)
    first = names.a
    assert names.a is first
    assert made == ["a"]
    directory.items = {"a": "", "c": ""}
    directory.changed("a")
    assert names.a is not first
    assert dir(names) == ["a", "c"]
    with pytest.raises(KeyError):
        _ = names["b"]


def test_a_copy_shows_the_same_names_and_item_access_completes_them():
    names = space({"a.b": 1, "get": 2})
    assert copy.copy(names).a_b == 1
    assert names._ipython_key_completions_() == ["a.b", "get"]
