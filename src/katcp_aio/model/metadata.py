"""What is said of a sensor beyond the specification. Law: for programs, in words of its own, not in the description.

Labels say what a sensor belongs to, as Prometheus has them, and ``set_by`` names the request that sets it. On the wire
each is one argument of #sensor-metadata, ``label:rack=3`` or ``set-by=set-rate``; words with other keys are for others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import attrs

from .checks import check_text

__all__ = ["NO_METADATA", "Metadata"]

_MOST_LABELS = 32  # of one sensor: a monitoring system makes a series of each combination, and finds more a burden
_LONGEST_NAME = 64  # characters of a label's name, or a request's
_LONGEST_VALUE = 256  # characters of a label's value: it is put to each line that tells of the sensor

_LABEL = r"(?!__)[A-Za-z_][A-Za-z0-9_]*"  # two underscores begin what Prometheus keeps for itself
_REQUEST = r"[A-Za-z][A-Za-z0-9-]*"  # section 2.1

_LABEL_KEY = "label:"
_SET_BY_KEY = "set-by"


@attrs.frozen
class Metadata:
    """Labels, and the request that sets a sensor. See :meth:`make`; false where there is neither."""

    labels: Mapping[str, str] = attrs.field(hash=False)  #: cannot be changed
    set_by: str | None  #: a request of the same device that takes a value for the sensor

    def __bool__(self) -> bool:
        return self.set_by is not None or bool(self.labels)

    @staticmethod
    def make(sensor: str, labels: Mapping[str, str] | None, set_by: str | None) -> Metadata:
        """Check what is said of ``sensor``, and return it; all that say nothing share one object.

        Raises:
            TypeError: labels that are no mapping, or a name or value that is no str.
            ValueError: a name that is not allowed, a value with control characters, or too much of anything.
        """
        if not labels and set_by is None:
            return NO_METADATA
        if set_by is not None:
            _check_word(set_by, _REQUEST, "request that sets it", sensor)
        return Metadata(_check_labels(labels, sensor) if labels else NO_METADATA.labels, set_by)

    def words(self) -> tuple[bytes, ...]:
        """Return the arguments that tell this, as key=value; not escaped yet."""
        words = [f"{_LABEL_KEY}{name}={value}" for name, value in self.labels.items()]
        if self.set_by is not None:
            words.insert(0, f"{_SET_BY_KEY}={self.set_by}")
        return tuple(word.encode() for word in words)

    @staticmethod
    def from_words(sensor: str, words: Iterable[bytes]) -> Metadata:
        """Read the arguments after the name of ``sensor``; what has another key is left out.

        Raises:
            ValueError: no key=value, or one that :meth:`make` does not take.
        """
        labels: dict[str, str] = {}
        set_by = None
        for word in words:
            key, equals, value = word.decode().partition("=")
            if not equals:
                raise ValueError(
                    f"the metadata of sensor {sensor} has {key[:_LONGEST_NAME]!r}, which is no key=value, in it"
                )
            if key == _SET_BY_KEY:
                set_by = value
            elif key.startswith(_LABEL_KEY):
                labels[key.removeprefix(_LABEL_KEY)] = value
        return Metadata.make(sensor, labels, set_by)


NO_METADATA = Metadata(MappingProxyType({}), None)  #: of most sensors


def _check_labels(labels: Mapping[str, str], sensor: str) -> Mapping[str, str]:
    """Return a copy that cannot be changed."""
    if not isinstance(labels, Mapping):
        raise TypeError(f"the labels of sensor {sensor} are a mapping, not {labels!r}")
    if len(labels) > _MOST_LABELS:
        raise ValueError(f"sensor {sensor} has {len(labels)} labels; {_MOST_LABELS} are allowed")
    for name, value in labels.items():
        _check_word(name, _LABEL, "label", sensor)
        if len(check_text(value, f"label {name}", sensor)) > _LONGEST_VALUE:
            raise ValueError(f"the label {name} of sensor {sensor} is longer than {_LONGEST_VALUE} characters")
    return MappingProxyType(dict(labels))


def _check_word(word: str, grammar: str, what: str, sensor: str) -> None:
    if not isinstance(word, str):
        raise TypeError(f"sensor {sensor}: the name of a {what} is a str, not {word!r}")
    if len(word) > _LONGEST_NAME or not re.fullmatch(grammar, word):
        raise ValueError(f"sensor {sensor}: {word[:_LONGEST_NAME]!r} is no name of a {what}")
