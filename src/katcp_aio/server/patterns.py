"""Regular expressions from the network. Law: whatever the pattern, a name costs a bounded number of steps.

Python's own engine tries one way after another, and a pattern of thirty characters can have it try for years. So a
pattern is read here first, into a tree. What cannot be bounded is refused: back-references, look-around, repeats
without a bound inside others. Of the rest, the number of ways to match is counted: few, and Python's engine does it;
many, and :class:`Automaton` does, which follows all ways at the same time and looks at each character once (or RE2,
where google-re2 is installed). The subset is Python's syntax, and means what it means there.
"""

from __future__ import annotations

import importlib
import re
import string
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ..limits import Limits
from ..reports import plain

__all__ = ["Automaton", "compile_pattern"]

Matcher = Callable[[str], bool]  #: whether the pattern is found in a name

_NAME_CHARACTERS = string.ascii_letters + string.digits + ".-_"  # section 7; others cannot come
_LENGTH = 100  # characters of a long name, for which the ways are counted
_MAX_WAYS = 20_000  # for one name, in Python's engine: less than a millisecond
_MAX_STATES = 256  # characters of a pattern, with repeats written out
_MAX_BUILT = 4 * _MAX_STATES  # parts of an automaton, with those that match nothing
_MAX_SIZE = 2000  # the same with only as many copies as there must be
_MAX_DEPTH = 20  # groups in groups
_MAX_WORK = 1_000_000  # of one automaton: 0.2 s, in many turns
_MAX_REMEMBERED = 10_000  # steps of an automaton

_QUANTIFIER = re.compile(r"[*+?]|\{(?!\})(?P<low>[0-9]*)(?P<comma>,)?(?P<high>[0-9]*)\}")
_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_ANCHORS = {"^": "start", "\\A": "start", "$": "end", "\\Z": "end", "\\b": "word", "\\B": "word"}


class _Node(NamedTuple):
    """A part of a pattern."""

    kind: str  # "one", "anchor", "all" (parts in sequence), "any" (alternatives) or "repeat"
    text: str = ""  # of "one": what Python's engine reads as one character; of "anchor": where it holds
    parts: tuple[_Node, ...] = ()
    low: int = 1
    high: float = 1  # inf: no bound

    def nodes(self) -> Iterator[_Node]:
        yield self
        for part in self.parts:
            yield from part.nodes()

    @property
    def endless(self) -> bool:
        return self.high == float("inf")

    @property
    def size(self) -> int:
        """How many steps one way through takes at least."""
        return max(1, self.low) * (1 + sum(part.size for part in self.parts))

    def ways(self) -> float:
        """Return a bound on how many ways there are to match one text of ``_LENGTH`` characters from one position."""
        if self.kind in ("one", "anchor"):
            return 1
        ways = [part.ways() for part in self.parts]
        if self.kind == "any":
            return sum(ways)
        if self.kind == "all":
            product = 1.0
            for number in ways:
                product = min(product * number, 1e9)
            return product
        total, power = 0.0, ways[0] ** min(self.low, 30)
        for _ in range(self.low, int(min(self.high, self.low + _LENGTH)) + 1):
            total += power
            power = min(power * ways[0], 1e9)
        return total


class _Parser:
    """Reads a pattern; recursive, as groups are."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def parse(self) -> _Node:
        node = self._alternatives(0)
        if self._at < len(self._text):
            raise ValueError("unbalanced parenthesis")
        return node

    def _alternatives(self, depth: int) -> _Node:
        if depth > _MAX_DEPTH:
            raise ValueError(f"more than {_MAX_DEPTH} groups in one another are not allowed")
        branches = [self._sequence(depth)]
        while self._text.startswith("|", self._at):
            self._at += 1
            branches.append(self._sequence(depth))
        return branches[0] if len(branches) == 1 else _Node("any", parts=tuple(branches))

    def _sequence(self, depth: int) -> _Node:
        parts = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._atom(depth)))
        return parts[0] if len(parts) == 1 else _Node("all", parts=tuple(parts))

    def _repeated(self, atom: _Node) -> _Node:
        quantifier = self._quantifier()
        if quantifier is None:
            return atom
        low, high = quantifier
        if atom.kind == "anchor":
            raise ValueError("an anchor cannot be repeated")
        if high == float("inf") and any(node.endless for node in atom.nodes()):
            raise ValueError("nested repeats without a bound are not allowed")
        if self._text.startswith("?", self._at):
            self._at += 1  # lazy: finds the same names
        elif self._text.startswith("+", self._at):
            raise ValueError("possessive repeats are not allowed")
        if self._quantifier() is not None:
            raise ValueError("a repeat cannot be repeated")
        return _Node("repeat", parts=(atom,), low=low, high=high)

    def _quantifier(self) -> tuple[int, float] | None:
        found = _QUANTIFIER.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        if found[0] in "*+?":
            return {"*": (0, float("inf")), "+": (1, float("inf")), "?": (0, 1.0)}[found[0]]
        low = int(found["low"] or 0)
        high = float(found["high"] or "inf") if found["comma"] else float(low)
        if high < low:
            raise ValueError("a repeat whose most is less than its least")
        return low, high

    def _atom(self, depth: int) -> _Node:
        text, at = self._text, self._at
        character = text[at]
        if character == "(":
            return self._group(depth)
        if character == "[":
            found = _CLASS.match(text, at)
            if found is None:
                raise ValueError("unterminated character set")
            self._at = found.end()
            return _Node("one", found[0])
        if character == "\\":
            return self._escape()
        if character in "*+?":
            raise ValueError("nothing to repeat")
        self._at += 1
        if character in _ANCHORS:
            return _Node("anchor", _ANCHORS[character])
        return _Node("one", "." if character == "." else re.escape(character))

    def _escape(self) -> _Node:
        escape = self._text[self._at : self._at + 2]
        self._at += 2
        if escape in _ANCHORS:
            return _Node("anchor", _ANCHORS[escape])
        following = escape[1:]
        if following.isdigit():
            raise ValueError("back-references are not allowed")
        if not following or (following.isalnum() and following not in "dDwWsS"):
            raise ValueError(f"the escape {plain(escape)} is not allowed")
        return _Node("one", escape)

    def _group(self, depth: int) -> _Node:
        opening = re.compile(r"\((?:\?:|\?P<[A-Za-z_][A-Za-z0-9_]*>)?").match(self._text, self._at)
        assert opening is not None  # noqa: S101 - a parenthesis stands there
        self._at = opening.end()
        if self._text.startswith("?", self._at):
            if self._text.startswith(("?=", "?!", "?<"), self._at):
                raise ValueError("look-around is not allowed")
            raise ValueError("of the groups that begin with (? only (?: and (?P<name> are allowed")
        node = self._alternatives(depth + 1)
        if not self._text.startswith(")", self._at):
            raise ValueError("missing ), unterminated subpattern")
        self._at += 1
        return node


class Automaton:
    """Finds a pattern in a name by following all ways at the same time (a position automaton, as Glushkov's).

    Each character of the pattern is one bit; the set of those that the last character of the name can have been is one
    number. A step from one such number to the next is computed once and remembered.

    Args:
        pattern: the tree of a pattern.
        ignore_case: whether letters match in either case.

    Raises:
        ValueError: the pattern is too long when its repeats are written out, or has anchors elsewhere than at its ends.
    """

    def __init__(self, pattern: _Node, *, ignore_case: bool = False) -> None:
        self.steps = 0  #: characters looked at, ever
        self.work = 0  #: bits followed, in steps that had to be computed
        self._flags = re.IGNORECASE if ignore_case else re.NOFLAG
        self._fitting: dict[str, list[str]] = {}  # for each kind of bit: the characters
        self._built = 0  # parts, copies included
        self._follow: list[int] = []  # for each bit: which may come next
        self._masks = dict.fromkeys(_NAME_CHARACTERS, 0)  # for each character: which bits it fits
        parts = list(pattern.parts) if pattern.kind == "all" else [pattern]
        self._from_start = bool(parts) and parts[0].text == "start"
        self._to_end = bool(parts) and parts[-1].text == "end"
        body = parts[self._from_start : len(parts) - self._to_end]
        self._empty, self._first, self._last = self._build(_Node("all", parts=tuple(body)))
        self._remembered: dict[tuple[int, str], int] = {}

    def __call__(self, name: str) -> bool:
        """Return whether the pattern is found in ``name``.

        Raises:
            ValueError: the names so far took too many steps. It takes a pattern that was made for it, and thousands of
                names.
        """
        if self._empty and not (self._from_start and self._to_end):
            return True
        remembered = self._remembered
        state, entry = 0, self._first
        for character in name:
            self.steps += 1
            following = remembered.get((state, character)) if entry else None
            if following is None:
                following = self._step(state, entry, character)
                if entry:
                    remembered[state, character] = following
            state = following
            if state & self._last and not self._to_end:
                return True
            if self._from_start:
                entry = 0
                if not state:
                    return False
        return bool(state & self._last) or (self._empty and not name)

    @property
    def remembered(self) -> int:
        """How many steps are remembered; bounded."""
        return len(self._remembered)

    def _step(self, state: int, entry: int, character: str) -> int:
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        follow = self._follow
        while state:
            bit = state & -state
            entry |= follow[bit.bit_length() - 1]
            state ^= bit
            self.work += 1
        if self.work > _MAX_WORK:
            raise ValueError("regular expression: takes too long for so many sensors")
        return entry & self._masks.get(character, 0)

    def _build(self, node: _Node) -> tuple[bool, int, int]:
        """Add a part; return whether it matches nothing at all, and with which bits it can begin and end."""
        self._built += 1
        if self._built > _MAX_BUILT:
            raise ValueError("too many repeats")
        if node.kind == "one":
            return self._add(node.text)
        if node.kind == "anchor":
            raise ValueError("too complex with anchors inside")
        if node.kind == "any":
            branches = [self._build(part) for part in node.parts]
            first = last = 0
            for _, begins, ends in branches:
                first |= begins
                last |= ends
            return any(empty for empty, _, _ in branches), first, last
        if node.kind == "all":
            return self._chain(map(self._build, node.parts))
        return self._chain(self._copies(node))

    def _copies(self, node: _Node) -> Iterator[tuple[bool, int, int]]:
        """Add the copies that a repeat stands for; the one without a bound goes round."""
        part = node.parts[0]
        for _ in range(node.low):
            yield self._build(part)
        for _ in range(1 if node.endless else int(node.high) - node.low):
            _, first, last = self._build(part)
            if node.endless:
                self._link(last, first)
            yield True, first, last

    def _chain(self, parts: Iterable[tuple[bool, int, int]]) -> tuple[bool, int, int]:
        empty, first, last = True, 0, 0
        for skips, begins, ends in parts:
            self._link(last, begins)
            first |= begins if empty else 0
            last = ends | (last if skips else 0)
            empty = empty and skips
        return empty, first, last

    def _add(self, text: str) -> tuple[bool, int, int]:
        if len(self._follow) >= _MAX_STATES:
            raise ValueError(f"more than {_MAX_STATES} characters with its repeats written out")
        bit = 1 << len(self._follow)
        self._follow.append(0)
        fitting = self._fitting.get(text)
        if fitting is None:
            fits = re.compile(text, self._flags).fullmatch
            fitting = self._fitting[text] = [character for character in self._masks if fits(character)]
        for character in fitting:
            self._masks[character] |= bit
        return False, bit, bit

    def _link(self, sources: int, targets: int) -> None:
        while sources:
            bit = sources & -sources
            self._follow[bit.bit_length() - 1] |= targets
            sources ^= bit


def compile_pattern(raw: bytes, limits: Limits) -> Matcher:
    """Return what finds a regular expression, without its slashes, in a name.

    Python's syntax without back-references, look-around, nested repeats without a bound, possessive repeats and most
    escapes with letters; ``(?i)`` may stand at the beginning.

    Raises:
        ValueError: the pattern is malformed, not allowed, or longer than ``limits.max_pattern`` bytes. The text is one
            line for the client.
    """
    if len(raw) > limits.max_pattern:
        raise ValueError(f"regular expression longer than {limits.max_pattern} bytes")
    text = raw.decode("utf-8", "backslashreplace")
    ignore_case = text.startswith("(?i)")
    text = text.removeprefix("(?i)")
    flags = re.IGNORECASE if ignore_case else re.NOFLAG
    try:
        with warnings.catch_warnings():  # of sets that may mean something else in some future version
            warnings.simplefilter("ignore")
            tree = _Parser(text).parse()
            if tree.size > _MAX_SIZE:
                raise ValueError("too many repeats")
            compiled = re.compile(text, flags)
            from_start = tree.kind == "all" and bool(tree.parts) and tree.parts[0].text == "start"
            if tree.ways() * (1 if from_start else _LENGTH) <= _MAX_WAYS:
                search: Callable[[str], object] = compiled.search
                return lambda name: search(name) is not None
            return _re2(text, ignore_case=ignore_case) or Automaton(tree, ignore_case=ignore_case)
    except (ValueError, re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"regular expression: {plain(error)}") from None


def _re2(text: str, *, ignore_case: bool) -> Matcher | None:
    """Return RE2's matcher, as bounded and faster; None if it is not installed or will not have the pattern."""
    try:
        re2: Any = importlib.import_module("re2")
        search = re2.compile(("(?i)" if ignore_case else "") + text).search
    except Exception:  # noqa: BLE001 - whatever is wrong with it, there is the automaton
        return None
    return lambda name: search(name) is not None
