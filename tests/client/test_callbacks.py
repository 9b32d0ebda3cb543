"""Callbacks of a program."""

from katcp_aio.client.callbacks import Callbacks

__all__ = []


def test_they_are_called_in_order_and_one_that_raises_stops_no_other(caplog):
    callbacks, told = Callbacks("weather"), []
    callbacks.add(lambda what: told.append(("first", what)))
    callbacks.add(lambda _what: 1 / 0)
    callbacks.add(lambda what: told.append(("last", what)))
    callbacks.call("rain")
    assert told == [("first", "rain"), ("last", "rain")]
    assert "raised on weather 'rain'" in caplog.text


def test_one_that_was_added_twice_is_ended_once_at_a_time():
    callbacks, told = Callbacks("weather"), []
    first, second = callbacks.add(told.append), callbacks.add(told.append)
    first()
    first()  # does nothing, to the other least of all
    callbacks.call("rain")
    assert told == ["rain"]
    second()
    callbacks.call("sun")
    assert told == ["rain"]


def test_one_that_is_ended_by_another_is_not_called_any_more():
    callbacks, told = Callbacks("weather"), []

    def end(what):
        told.append(what)
        cancel()
        callbacks.add(told.append)  # hears of the next

    callbacks.add(end)
    cancel = callbacks.add(told.append)
    callbacks.call("rain")
    assert told == ["rain"]
