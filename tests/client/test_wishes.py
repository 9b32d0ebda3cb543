import re

from katcp_aio.client.wishes import NONE, Loan, Sampling, Wishes, batches

EVENT, AUTO, SLOW = Sampling("event"), Sampling("auto"), Sampling("period", (10,))


def loan(name, *choices, told=None):
    return Loan(name, list(choices), (told if told is not None else []).append)


def test_a_name_goes_before_a_pattern_and_that_before_a_loan():
    wishes = Wishes()
    assert not wishes
    assert wishes.effective("rate") is None
    lent = loan("rate", EVENT)
    wishes.lend(lent)
    assert wishes.effective("rate") == EVENT
    wishes.set_pattern(re.compile("ra"), SLOW)
    assert wishes.effective("rate") == SLOW
    wishes.set("rate", AUTO)
    assert wishes.effective("rate") == AUTO
    assert wishes.effective("ray") == SLOW
    wishes.set("rate", NONE)
    assert wishes.effective("rate") == EVENT  # somebody still looks
    assert wishes.end(lent)
    assert not wishes.end(lent)
    assert wishes.effective("rate") is None


def test_the_youngest_pattern_counts_and_replaces_what_was_wished_for_those_it_matches():
    wishes = Wishes()
    wishes.set("rate", AUTO)
    wishes.set_pattern(re.compile("r"), EVENT)
    assert wishes.effective("rate") == EVENT
    wishes.set_pattern(re.compile("rate"), SLOW)
    assert (wishes.effective("rate"), wishes.effective("r")) == (SLOW, EVENT)
    wishes.set_pattern(re.compile("r"), NONE)
    assert wishes.effective("rate") is None


def test_what_is_refused_is_wished_no_more_and_what_held_before_holds_on():
    wishes = Wishes()
    wishes.set("rate", EVENT)
    wishes.accept(["rate"], EVENT)
    wishes.set("rate", SLOW)
    wishes.refuse("rate", SLOW, ValueError())
    assert wishes.effective("rate") == EVENT
    wishes.refuse("rate", EVENT, ValueError())
    assert wishes.effective("rate") is None


def test_a_pattern_that_is_refused_for_one_holds_for_the_others_until_that_one_is_another():
    wishes = Wishes()
    wishes.set_pattern(re.compile("."), EVENT)
    wishes.refuse("rate", EVENT, ValueError())
    assert (wishes.effective("rate"), wishes.effective("mode")) == (None, EVENT)
    wishes.forget_refusals(["rate"])
    assert wishes.effective("rate") == EVENT


def test_what_is_refused_is_so_to_all_who_wish_it():
    wishes = Wishes()
    wishes.set_pattern(re.compile("rate"), EVENT)
    wishes.set("rate", EVENT)
    wishes.refuse("rate", EVENT, ValueError("never"))
    assert wishes.effective("rate") is None


def test_a_pattern_is_tried_again_for_those_that_it_matches_and_for_no_others():
    wishes = Wishes()
    for name in ("rate", "mode"):
        wishes.set_pattern(re.compile(name), EVENT)
        wishes.refuse(name, EVENT, ValueError("never"))
    wishes.set_pattern(re.compile("rate"), EVENT)
    assert (wishes.effective("rate"), wishes.effective("mode")) == (EVENT, None)


def test_what_was_taken_on_holds_on_if_what_was_wished_meanwhile_is_refused():
    wishes = Wishes()
    wishes.set("rate", EVENT)
    wishes.set("rate", AUTO)
    wishes.accept(["rate"], EVENT)
    wishes.refuse("rate", AUTO, ValueError("never"))
    assert wishes.effective("rate") == EVENT


def test_what_a_program_wishes_holds_on_for_a_sensor_that_is_not_there():
    wishes, told, error = Wishes(), [], ValueError("unknown sensor")
    for wish in (lambda: wishes.set("rate", EVENT)), (lambda: wishes.set_pattern(re.compile("rate"), EVENT)):
        wish()
        wishes.refuse("rate", EVENT, error, absent=True)
        assert wishes.effective("rate") == EVENT
    wishes.lend(loan("mode", EVENT, told=told))
    wishes.refuse("mode", EVENT, error, absent=True)
    assert told == [error]


def test_a_loan_takes_the_next_choice_and_then_hears_why_not():
    wishes, told, error = Wishes(), [], ValueError("never")
    wishes.lend(loan("rate", EVENT, AUTO, told=told))
    wishes.refuse("rate", EVENT, ValueError())
    assert wishes.effective("rate") == AUTO
    assert told == []
    wishes.refuse("rate", AUTO, error)
    assert wishes.effective("rate") is None
    assert told == [error]


def test_batches_are_by_wish_and_bounded():
    wanted = {"a": EVENT, "b": SLOW, "c": EVENT, "d": EVENT, "e": Sampling("period", (10.0,))}
    assert batches(wanted, 2) == [
        (EVENT, ["a", "c"]),
        (EVENT, ["d"]),
        (SLOW, ["b"]),
        (Sampling("period", (10.0,)), ["e"]),  # equal, but written in another way
    ]


def test_the_wish_for_nothing_where_there_is_no_pattern_leaves_nothing_behind():
    wishes = Wishes()
    wishes.set("rate", AUTO)
    wishes.set_pattern(re.compile("r"), NONE)
    assert not wishes
