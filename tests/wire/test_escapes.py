"""Arguments and what stands for them on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katcp_aio.wire.escapes import escape, escape_all, unescape

__all__ = []

ARGUMENTS = st.binary(max_size=40) | st.text(alphabet="\\_0nret@ \t\r\n\0\x1b", max_size=24).map(str.encode)


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [
        (b"", b"\\@"),
        (b"a", b"a"),
        (b"\\", b"\\\\"),
        (b" ", b"\\_"),
        (b"\0", b"\\0"),
        (b"\n", b"\\n"),
        (b"\r", b"\\r"),
        (b"\x1b", b"\\e"),
        (b"\t", b"\\t"),
        (b"\\ \0\n\r\x1b\t", b"\\\\\\_\\0\\n\\r\\e\\t"),
        (b"\\n", b"\\\\n"),
        (b"\\_\\@", b"\\\\_\\\\@"),
        (b"\n\\\n\\", b"\\n\\\\\\n\\\\"),
        (b"_0nret@", b"_0nret@"),
        (b"\x01\x7f\v\f\xff", b"\x01\x7f\v\f\xff"),
    ],
)
def test_escapes(plain, escaped):
    assert escape(plain) == escaped
    assert unescape(escaped) == plain


@pytest.mark.parametrize(
    ("escaped", "plain"), [(b"a\\@b", b"ab"), (b"\\@\\@", b""), (b"\\@\\_", b" "), (b"\\\\\\@n", b"\\n"), (b"", b"")]
)
def test_the_empty_escape_is_read_anywhere(escaped, plain):
    assert unescape(escaped) == plain


@pytest.mark.parametrize(
    "bad", [b"\\", b"a\\", b"\\z", b"\\ ", b"\\\\\\", b"\\1", b"\\N", b"\\\xff", b"\\n\\", b"a\\\\\n"]
)
def test_other_escapes_are_refused(bad):
    with pytest.raises(ValueError, match=r"bad escape|line end"):
        unescape(bad)


def one_by_one(raw):
    """Unescape as the grammar is written: a character, or a backslash and its code."""
    codes = {"\\": "\\", "_": " ", "0": "\0", "n": "\n", "r": "\r", "e": "\x1b", "t": "\t", "@": ""}
    text, out = iter(raw), []
    for char in text:
        if char != "\\":
            out.append(char)
        elif (code := next(text, "")) in codes:
            out.append(codes[code])
        else:
            return None
    return "".join(out)


@given(st.text(alphabet="\\_0nret@ab", max_size=24))
def test_unescaping_in_steps_is_one_pass(text):
    expected = one_by_one(text)
    try:
        found = unescape(text.encode())
    except ValueError:
        found = None
    assert found == (None if expected is None else expected.encode())


@given(ARGUMENTS)
def test_escaping_undoes_itself(raw):
    line = escape(raw)
    assert line
    assert not set(line) & set(b" \t\r\n\0\x1b")
    assert unescape(line) == raw


@pytest.mark.parametrize("special", [b"\\", b" ", b"\0", b"\n", b"\r", b"\x1b", b"\t", b""])
@pytest.mark.parametrize("others", [[], [b"plain"], [b"plain", b"a b", b"end"], [b"", b"a\nb"]])
def test_a_special_byte_is_escaped_in_whichever_argument_it_stands(special, others):
    for place in range(len(others) + 1):
        arguments = [*others[:place], special, *others[place:]]
        assert escape_all(arguments) == b" ".join(map(escape, arguments))


@given(st.lists(ARGUMENTS, min_size=1, max_size=6))
def test_arguments_together_are_escaped_as_each_alone(arguments):
    assert escape_all(arguments) == b" ".join(map(escape, arguments))
