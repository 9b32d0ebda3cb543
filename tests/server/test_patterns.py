"""Regular expressions from the network: what is found is what Python finds, in a bounded number of steps."""

import random
import re
import string
import sys
import time
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katcp_aio.limits import Limits
from katcp_aio.server.patterns import Automaton, compile_pattern

LIMITS = Limits()
NAMES = ["rate", "dsp.fft-0.shift", "dsp.fft-1.shift", "a", "aaaa", "aaaab", "ABBA", "m000_rsc-9", "x" * 100]


def found(pattern, names=NAMES):
    matcher = compile_pattern(pattern.encode(), LIMITS)
    return [name for name in names if matcher(name)]


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "rate",
        "^dsp[.]",
        r"^dsp\.fft-\d\.shift$",
        "a.*b",
        "a$",
        "^a$",
        r"\Aa\Z",
        "shift|rate",
        "(dsp|rate)",
        "(?:ff|a)+t?",
        "(?P<what>fft)-[0-9]",
        "(?i)abba",
        "(?i)RATE",
        "a{4}",
        "a{2,3}b",
        "a{,2}b",
        "a{3,}",
        "a{,}b",
        "x{}",
        "{",
        "a+?b",
        "[^a-z]",
        "[]a]",
        r"[\]a-]",
        r"\bfft\b",
        r"\w\W\w",
        "a*a*a*a*b",
        "(a|aa)*b",
        "(a|a)+b",
        "(ab|a|b)*c?$",
        ".*a.*a.*a.*b.*",
        "^.*f.*t.*t$",
        "^(a|b)*b$",
        "^r(a|t)+",
        "()",
        "(|a)b",
        "é|rate",
    ],
)
def test_it_finds_what_python_finds(pattern):
    assert found(pattern) == [name for name in NAMES if re.search(pattern, name)]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"^(([a-z0-9.-])+)+!$", "nested repeats without a bound are not allowed"),
        ("(a*)*", "nested repeats without a bound are not allowed"),
        ("((a+)b){2,}", "nested repeats without a bound are not allowed"),
        (r"(a)\1", "back-references are not allowed"),
        ("(?P<x>a)(?P=x)", "of the groups that begin with (? only (?: and (?P<name> are allowed"),
        ("(?=a)", "look-around is not allowed"),
        ("(?<!a)b", "look-around is not allowed"),
        ("(?>a)", "of the groups that begin with (? only (?: and (?P<name> are allowed"),
        ("a++", "possessive repeats are not allowed"),
        ("(a", "missing ), unterminated subpattern"),
        ("a)", "unbalanced parenthesis"),
        ("[a", "unterminated character set"),
        ("*a", "nothing to repeat"),
        ("a**", "a repeat cannot be repeated"),
        ("a{3,2}", "a repeat whose most is less than its least"),
        ("^*", "an anchor cannot be repeated"),
        ("\\", "the escape \\ is not allowed"),
        (r"\N{DIGIT ONE}", "the escape \\N is not allowed"),
        ("\\é", "the escape \\\\xe9 is not allowed"),  # texts for people are in ASCII
        ("[z-a]", "bad character range z-a at position 1"),
        ("(" * 30 + ")" * 30, "more than 20 groups in one another are not allowed"),
        ("((a{300}){300}){300}", "too many repeats"),
        ("(((|){250}){40}){40}", "too many repeats"),
        ("(((|){0,250}){0,250}){0,250}", "too many repeats"),
        ("(a|b){0,200}(a|c){0,200}", "more than 256 characters with its repeats written out"),
        (r"(a|\bb)*(a|b)*", "too complex with anchors inside"),
    ],
)
def test_what_cannot_be_bounded_or_read_is_refused_in_one_line(pattern, reason):
    with pytest.raises(ValueError) as caught:
        compile_pattern(pattern.encode(), LIMITS)
    assert str(caught.value) == f"regular expression: {reason}"


def test_a_long_pattern_is_refused():
    assert compile_pattern(b"a" * 256, LIMITS)("a" * 256)
    with pytest.raises(ValueError, match="longer than 256 bytes"):
        compile_pattern(b"a" * 257, LIMITS)


def test_bytes_that_are_no_text_find_nothing():
    assert not compile_pattern(b"^[\xff\n]", LIMITS)("y")


PIECES = ["a", "b", ".", "[ab]", "[^a]", "c", r"\d"]


def patterns():
    piece = st.sampled_from(PIECES)
    return st.recursive(
        piece,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=4).map("".join),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
            st.builds("(?:{}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"])),
        ),
        max_leaves=8,
    )


@given(patterns(), st.tuples(st.booleans(), st.booleans()), st.text("abc0.", min_size=1, max_size=12))
def test_both_engines_agree_with_python(pattern, anchors, name):
    pattern = "^" * anchors[0] + f"(?:{pattern})" + "$" * anchors[1]
    try:
        matcher = compile_pattern(pattern.encode(), LIMITS)
    except ValueError:
        return
    assert matcher(name) == (re.search(pattern, name) is not None)


@given(patterns(), st.lists(st.text("abc0.", min_size=1, max_size=12), min_size=1, max_size=5))
def test_the_automaton_agrees_with_python(pattern, names):
    # Alternatives of which there are too many for the other engine; they are never found.
    pattern = f"(?:{pattern})|(?:Z|Z)*(?:Z|Z)*(?:Z|Z)*Z"
    try:
        matcher = compile_pattern(pattern.encode(), LIMITS)
    except ValueError:
        return
    assert isinstance(matcher, Automaton)
    assert [matcher(name) for name in names] == [re.search(pattern, name) is not None for name in names]


@given(st.text("ab()[]{}*+?|.^$\\-,019", max_size=40))
def test_any_text_is_a_pattern_or_refused(text):
    try:
        matcher = compile_pattern(text.encode(), LIMITS)
    except ValueError:
        return
    expected = re.compile(text)
    for name in ("a", "b0", "ab", "a.b-9"):
        assert matcher(name) == (expected.search(name) is not None)


NASTY = [
    "a*a*a*a*a*a*a*Z",
    "(a|a)*(a|a)*(a|a)*Z",
    "(a|aa)+Z$",
    "(a?){0,60}Z",
    ".*a.*a.*a.*a.*a.*a.*Z",
    "(a|b)*a(a|b){60}Z",
    "(?:a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?)+Z",
    "[ab]*[ab]*[ab]*[ab]*[ab]*Z",
    "(ab?|a?b|a|b)*Z",
]


@pytest.mark.parametrize("pattern", NASTY)
def test_each_character_is_looked_at_once_whatever_the_pattern(pattern):
    matcher = compile_pattern(pattern.encode(), LIMITS)
    assert isinstance(matcher, Automaton)
    chance = random.Random(1)
    names = ["a" * 100] + ["".join(chance.choices("ab", k=100)) for _ in range(50)]
    assert not any(matcher(name) for name in names)
    assert matcher.steps == 100 * len(names)
    assert matcher.work <= 256 * matcher.steps


def test_what_python_itself_is_given_has_few_ways():
    """The bound of the analysis, as time: a hundredfold of what the slowest such pattern takes."""
    name = "a" * 100
    for pattern in ("a*b", "^a*a*b", "(a|a|a|a)(a|a|a|a)b", "a{0,90}b", "(ab|aa){0,3}b", "(aa)*b"):
        matcher = compile_pattern(pattern.encode(), LIMITS)
        assert not isinstance(matcher, Automaton)
        began = time.perf_counter()
        assert not matcher(name)
        assert time.perf_counter() - began < 0.1


def test_an_automaton_does_not_remember_without_end():
    matcher = compile_pattern(b"(a|b)*a(a|b){60}c", LIMITS)
    chance = random.Random(2)
    for _ in range(150):
        matcher("".join(chance.choices("ab", k=100)))
    assert matcher.remembered <= 10_000


def test_a_pattern_that_takes_too_long_for_many_names_is_given_up():
    matcher = compile_pattern(b"(a|b)*a(a|b){60}Z", LIMITS)
    chance = random.Random(3)
    names = ["".join(chance.choices("ab", k=100)) for _ in range(1000)]
    with pytest.raises(ValueError, match="regular expression: takes too long for so many sensors"):
        list(map(matcher, names))
    assert matcher.work < 1_001_000


def test_re2_is_used_where_it_is_installed(monkeypatch):
    asked = []

    def compile_(pattern):
        asked.append(pattern)
        return re.compile(pattern)

    monkeypatch.setitem(sys.modules, "re2", types.SimpleNamespace(compile=compile_))
    assert found("(a|b)*a(a|b)*b$") == ["aaaab"]
    assert found("(?i)(a|b)*a(a|b)*b$", ["AAB"]) == ["AAB"]
    assert asked == ["(a|b)*a(a|b)*b$", "(?i)(a|b)*a(a|b)*b$"]

    monkeypatch.setitem(sys.modules, "re2", types.SimpleNamespace())
    assert found("(a|b)*a(a|b)*b$") == ["aaaab"]


def test_all_characters_of_names_are_known_to_the_automaton():
    matcher = compile_pattern(b"(.|.)*(.|.)*(.|.)*(.|.)*Z$", LIMITS)
    assert isinstance(matcher, Automaton)
    assert all(matcher(character + "Z") for character in string.ascii_letters + string.digits + ".-_")
