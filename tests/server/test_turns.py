import pytest

from katcp_aio.server.turns import in_turns


class Turns:
    """Each turn ends with the second look at the time."""

    def __init__(self):
        self.looks = 0
        self.events = []

    def begin_turn(self):
        self.looks = 0

    def turn_is_over(self):
        self.looks += 1
        return self.looks > 1

    async def end_turn(self):
        self.events.append("others")
        self.begin_turn()


async def test_work_is_done_in_order_and_others_come_between():
    turns = Turns()

    def work():
        for number in range(40):
            turns.events.append(number)
            yield number

    assert await in_turns(work(), turns) == list(range(40))
    assert [event for event in turns.events if event != "others"] == list(range(40))
    assert turns.events.count("others") == 2
    assert turns.events.index("others") == 16


async def test_what_the_work_raises_is_passed_on():
    with pytest.raises(ZeroDivisionError):
        await in_turns(map((1).__truediv__, (1, 0)), Turns())


async def test_no_work_takes_no_turn():
    turns = Turns()
    assert await in_turns([], turns) == []
    assert turns.events == []
