"""Which request a reply belongs to, told without a loop."""

import math

import pytest

from katcp_aio.client.pending import Pending
from katcp_aio.client.slot import Slot
from katcp_aio.wire.dialect import V51
from katcp_aio.wire.message import MAX_MID

__all__ = []


def slot(name="x"):
    return Slot(None, name, (1,), (b"1",), V51)  # without a loop nobody can await it, and nobody has to


def sent(pending, name="x"):
    request = slot(name)
    pending.send(request)
    return request


def queued(pending, name="x"):
    request = slot(name)
    pending.queue[request] = None
    return request


def test_a_reply_with_an_id_finds_its_request():
    pending = Pending()
    first, second = sent(pending), sent(pending)
    assert (first.mid, second.mid) == (1, 2)
    assert pending.find("x", 2) is second
    assert pending.take("x", 2) is second
    assert pending.take("x", 2) is None
    assert pending.take("x", 1) is first
    assert len(pending) == 0


def test_the_name_has_to_fit_too():
    pending = Pending()
    request = sent(pending)
    assert pending.take("y", 1) is None
    assert pending.find("y", 1) is None
    assert pending.take("y", None) is None
    assert pending.take("x", 1) is request


def test_ids_wrap_and_pass_over_those_in_use():
    pending = Pending(first_mid=MAX_MID)
    assert [sent(pending).mid for _ in range(3)] == [MAX_MID, 1, 2]
    pending = Pending(first_mid=MAX_MID)
    pending.send(slot())
    pending.take("x", MAX_MID)
    wrapped = Pending(first_mid=1)
    one = sent(wrapped)
    wrapped.next_mid = MAX_MID  # two thousand million requests take a while
    assert [sent(wrapped).mid for _ in range(2)] == [MAX_MID, 2]
    assert wrapped.find("x", 1) is one


@pytest.mark.parametrize("first_mid", [1, MAX_MID - 1, MAX_MID])
def test_what_had_come_before_a_request_was_sent_is_no_answer_to_it(first_mid):
    pending = Pending(first_mid=first_mid)
    older = sent(pending, "y")
    pending.mark = pending.next_mid
    newer = sent(pending), sent(pending, "y")
    assert pending.take("x", None) is None
    assert pending.take("y", None) is older
    assert pending.find("y", None) is None
    pending.mark = pending.next_mid
    assert (pending.take("x", None), pending.take("y", None)) == newer


@pytest.mark.parametrize("first_mid", [1, MAX_MID])
def test_without_an_id_the_oldest_comes_first_when_the_ids_come_or_go(first_mid):
    pending = Pending(first_mid=first_mid)
    with_id, without, again = sent(pending), queued(pending), slot()
    assert pending.next(ids=False) is without
    pending.send(again)
    assert [pending.take("x", None) for _ in range(3)] == [with_id, without, again]


def test_without_ids_one_is_outstanding_at_a_time():
    pending = Pending()
    first, second = queued(pending), queued(pending)
    assert pending.next(ids=False) is first
    assert pending.next(ids=False) is None
    assert list(pending) == [first, second]
    assert len(pending) == 2
    assert pending.take("x", None) is first
    assert pending.next(ids=False) is second
    assert second.mid is None
    assert second.sent


def test_what_is_queued_goes_out_with_ids_as_well():
    pending = Pending()
    first, second = queued(pending), queued(pending)
    assert pending.next(ids=True) is first
    assert pending.next(ids=True) is second
    assert pending.next(ids=True) is None
    assert pending.in_flight == 2


def test_a_request_given_up_remains_as_a_ghost():
    pending = Pending()
    request = sent(pending)
    pending.give_up(request, 7.0)
    pending.give_up(request, 8.0)
    assert request.given_up == 7.0
    assert request.arguments == ()
    assert len(pending) == 0
    assert pending.take("x", 1) is request
    pending.give_up(request, 9.0)  # it has been answered: nothing to remember
    assert not list(pending)


def test_a_queued_request_given_up_was_never_there():
    pending = Pending()
    request = queued(pending)
    pending.give_up(request, 1.0)
    assert not list(pending)
    assert pending.stuck_since() is None


def test_the_oldest_ghosts_are_forgotten():
    pending = Pending(max_ghosts=2)
    requests = [sent(pending) for _ in range(3)]
    for request in requests:
        pending.give_up(request, 1.0)
    assert pending.find("x", 1) is None
    assert pending.find("x", 2) is requests[1]


def test_a_ghost_without_an_id_holds_up_the_next():
    pending = Pending()
    first = queued(pending)
    pending.next(ids=False)
    pending.give_up(first, 3.0)
    assert pending.stuck_since() is None  # nobody waits behind it
    second = queued(pending)
    assert pending.next(ids=False) is None
    assert pending.stuck_since() == 3.0
    assert pending.take("x", None) is first
    assert pending.next(ids=False) is second
    assert pending.stuck_since() is None


def test_a_reply_without_the_id_goes_to_the_oldest_of_its_name_ghosts_included():
    pending = Pending()
    first, other, second = sent(pending), sent(pending, "y"), sent(pending)
    pending.give_up(first, 3.0)
    assert pending.stuck_since() is None  # so far, replies have had ids
    assert pending.take("y", None) is other
    assert pending.take("x", None) is first
    assert pending.take("x", None) is second


def test_a_ghost_with_an_id_is_stuck_where_its_name_is_answered_without():
    pending = Pending()
    sent(pending)
    assert pending.take("x", None)
    ghost = sent(pending)
    pending.give_up(ghost, 3.0)
    assert pending.stuck_since() is None
    sent(pending)
    assert pending.stuck_since() == 3.0


def test_deadlines():
    pending = Pending()
    early, late, never = sent(pending), queued(pending), sent(pending)
    early.deadline, late.deadline = 1.0, 2.0
    assert pending.due(0.5) == ([], 1.0)
    assert pending.due(1.0) == ([early], 2.0)
    pending.give_up(early, 1.0)
    assert pending.due(2.0) == ([late], math.inf)
    assert never.deadline == math.inf


@pytest.mark.parametrize("ids", [True, False])
def test_losing_the_connection_forgets_what_was_sent_and_keeps_the_queue(ids):
    pending = Pending()
    request = queued(pending)
    pending.next(ids=ids)
    ghost = sent(pending)
    pending.give_up(ghost, 1.0)
    kept = queued(pending)
    assert pending.lose() == [request]
    assert list(pending) == [kept]
    assert pending.take("x", 1) is None
    assert pending.take("x", None) is None
    assert len(pending) == 1


def test_names_that_were_asked_are_remembered_within_bounds():
    pending = Pending()
    kept = sent(pending, "kept")
    for number in range(3000):
        pending.take(f"x{number}", sent(pending, f"x{number}").mid)
    assert len(pending.asked) <= 2000
    assert pending.find("kept", None) is kept
