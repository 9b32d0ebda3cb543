"""Who is told of which inform."""

import logging

import pytest

from katcp_aio.client.informs import InformTable, inform_methods, typed_callback
from katcp_aio.errors import UsageError
from katcp_aio.reports import TroubleLog
from katcp_aio.wire.dialect import V4, V51
from katcp_aio.wire.message import Message
from katcp_aio.wire.values import Timestamp

__all__ = []

X = Message.inform("x")


@pytest.fixture
def trouble():
    return TroubleLog(logging.getLogger("katcp_aio.test"), lambda: 0.0, 10)


def test_callbacks_in_the_order_they_were_added_each_as_often():
    table, seen = InformTable(), []
    cancel = table.add("x", lambda inform: seen.append(1))
    table.add("x", lambda inform: seen.append(2))
    table.add("y", lambda inform: seen.append(3))
    table.dispatch(X)
    cancel()
    cancel()
    table.dispatch(X)
    assert seen == [1, 2, 2]


def test_the_same_callback_twice_is_cancelled_once_at_a_time():
    table, seen = InformTable(), []
    cancel = table.add("x", seen.append)
    table.add("x", seen.append)
    cancel()
    cancel()  # does nothing, to the other least of all
    table.dispatch(X)
    assert seen == [X]


def test_one_that_is_ended_by_another_is_not_called_any_more():
    table, seen = InformTable(), []
    table.add("x", lambda _inform: cancel())
    cancel = table.add("x", seen.append)
    table.dispatch(X)
    assert seen == []


def test_what_nobody_wants_goes_to_the_one_who_takes_the_rest():
    rest = []
    table = InformTable(rest.append)
    cancel = table.add("x", lambda inform: None)
    table.dispatch(X)
    assert rest == []
    cancel()
    table.dispatch(X)
    assert rest == [X]
    InformTable().dispatch(X)


def test_a_callback_may_remove_itself_and_add_others():
    table, seen = InformTable(), []

    def once(inform):
        cancel()
        table.add("x", seen.append)

    cancel = table.add("x", once)
    table.dispatch(X)
    assert seen == []
    table.dispatch(X)
    assert seen == [X]


def test_a_coroutine_function_would_never_run():
    async def callback(inform):
        pass

    with pytest.raises(UsageError, match="plain function"):
        InformTable().add("x", callback)


def test_arguments_are_decoded_by_the_dialect_of_the_moment(trouble):
    seen = []

    def callback(when: Timestamp, *rest: int):
        seen.append((when, *rest))

    dialect = V51
    typed = typed_callback(callback, "x", lambda: dialect, trouble)
    typed(Message.inform("x", 1500, 1, 2))
    dialect = V4
    typed(Message.inform("x", 1500))
    typed(Message.inform("x", "never"))
    assert seen == [(1500.0, 1, 2), (1.5,)]
    assert trouble.counts == {"bad inform": 1}


def test_a_typed_callback_is_a_plain_function_with_types_that_exist(trouble):
    async def waits(text: str):
        pass

    def untypable(thing: object):
        pass

    for callback in (waits, untypable):
        with pytest.raises(UsageError):
            typed_callback(callback, "x", lambda: V51, trouble)


def test_methods_by_the_names_of_their_informs():
    class Base:
        inform_nothing = 1

        def inform_a(self):
            return "base"

        def inform_b_c(self):
            return "base"

    class Derived(Base):
        def inform_a(self):
            return "derived"

    methods = inform_methods(Derived())
    assert {name: method() for name, method in methods.items()} == {"a": "derived", "b-c": "base"}
