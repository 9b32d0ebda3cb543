"""A device. Law: a client costs what its bounds allow, and nothing that it does is felt by another.

From below: :mod:`context` and :mod:`handlers` (one request, and what answers it); :mod:`calls` and :mod:`session` (the
walk of a request, and the client that it belongs to); :mod:`sampling`, :mod:`patterns`, :mod:`access`, :mod:`audit` and
:mod:`logs`; :mod:`listeners`, :mod:`handshakes`, :mod:`services`, :mod:`interface` and :mod:`clientele` (what a server
keeps); :mod:`base` (its life), :mod:`requests` and :mod:`sensor_requests` (the standard requests), :mod:`device`, and
:mod:`runner`.
"""

from __future__ import annotations

__all__: list[str] = []
