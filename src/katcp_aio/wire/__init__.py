"""Bytes <-> messages, and arguments <-> values. Law: no socket, no loop, no clock; the peer's bytes never raise here.

From below: :mod:`dialect` (what differs between versions), :mod:`datatypes`, :mod:`formats`, :mod:`valuetype` and
:mod:`compound` (how values are written), :mod:`values` (which Python type is which), :mod:`escapes`, :mod:`message` and
:mod:`parser`.
"""

__all__ = []
