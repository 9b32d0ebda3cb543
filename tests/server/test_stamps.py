import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from katcp_aio.server import stamps
from katcp_aio.server.stamps import stamp_encoder
from katcp_aio.wire.dialect import V4, V51
from katcp_aio.wire.formats import time_encoder

NOW = 1_795_345_731.0
# One step of the float, and the halves, quarters, ... whose decimals end exactly between two that could be written.
FRACTIONS = [0.0, 2.0**-22, 2.0**-8, 3 * 2.0**-8, 0.1, 0.5, 0.999999, 0.9999999, 1 - 2.0**-22]
TIMES = st.one_of(
    st.sampled_from([2.0**29, 2.0**30, 2.0**31, 2.0**32, NOW]).flatmap(
        lambda whole: st.floats(whole - 1, whole + 1) | st.integers(0, 20_000_000).map(lambda n: whole + n / 1e7)
    ),
    st.sampled_from(FRACTIONS).map(NOW.__add__),
    st.floats(0, 1e16),
    st.integers(0, 2**34).map(float),  # a time is a float, see check_time()
)


def written(encode, times):
    return [encode(time) for time in times]


@pytest.mark.parametrize("dialect", [V51, V4])
@given(times=st.lists(TIMES))
def test_times_are_written_as_the_dialect_writes_them(dialect, times):
    assert written(stamp_encoder(dialect), times) == written(time_encoder(dialect), times)


@given(times=st.lists(st.floats(0, 1), min_size=3), whole=st.sampled_from([2.0**29, 2.0**31 - 1, 2.0**33 - 1, NOW]))
@example(times=FRACTIONS, whole=NOW)
@example(times=[number / 1000 for number in range(1000)], whole=NOW)
@example(times=[number / 256 for number in range(256)], whole=NOW)
def test_times_of_one_second_are_written_as_any_are(times, whole):
    of_it = [whole + time for time in times]
    assert written(stamp_encoder(V51), of_it) == [repr(time).encode() for time in of_it]


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf, -math.inf])
def test_what_is_no_time_is_refused_and_forgotten(bad):
    encode = stamp_encoder(V51)
    for _ in range(3):
        with pytest.raises(ValueError, match="is no timestamp"):
            encode(bad)
        assert written(encode, [NOW, NOW + 0.25]) == [b"1795345731.0", b"1795345731.25"]


def test_seconds_that_have_one_time_each_all_go_the_long_way(monkeypatch):
    long = []
    monkeypatch.setattr(stamps, "time_encoder", lambda dialect: lambda time: long.append(time) or b"")
    times = [NOW + number * 0.9375 for number in range(8)]
    written(stamp_encoder(V51), times)
    assert long == times


def test_only_the_first_two_times_of_a_second_go_the_long_way(monkeypatch):
    long = []
    monkeypatch.setattr(stamps, "time_encoder", lambda dialect: lambda time: long.append(time) or repr(time).encode())
    encode = stamp_encoder(V51)
    for second in (NOW, NOW + 5, NOW + 3):
        fractions = (0.1234567, 0.2345671, 0.123456, 0.234567, 0.9999991, 0.0000002, 0.25, 0.98, 0.0)
        times = [second + fraction for fraction in fractions]
        assert written(encode, times) == [repr(time).encode() for time in times]
        assert long == times[:2]
        long.clear()
