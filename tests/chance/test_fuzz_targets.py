"""What is fuzzed holds for what the fuzzer has found so far, and for what hypothesis finds."""

from pathlib import Path

import pytest
from fuzz.targets import TARGETS
from hypothesis import given
from hypothesis import strategies as st

__all__ = []

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
PIECES = [b"?", b"!", b"#", b"a", b"-", b"[1]", b" ", b"\\_", b"\\", b"\n", b"\r", b"\0", b"ok", b"1", b".5", b"\xff"]
DATA = st.binary() | st.lists(st.sampled_from(PIECES) | st.binary(max_size=3)).map(b"".join)


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_breaks_no_promise(name):
    found = sorted((CORPUS / name).iterdir())
    assert found
    for path in found:
        TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
@given(data=DATA)
def test_no_bytes_break_a_promise(name, data):
    TARGETS[name](data)
