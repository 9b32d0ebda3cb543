"""Bytes <-> messages, and arguments <-> values. Law: no socket, no loop, no clock; the peer's bytes never raise here.

From below: :mod:`dialect` (what differs between versions), :mod:`datatypes`, :mod:`formats` and :mod:`valuetype` (how
values are written), :mod:`values` (which Python type is which), :mod:`message` and :mod:`parser`.
"""
