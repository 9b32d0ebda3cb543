"""Who the other end is. Law: a peer without an address has a name all the same."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress

from ..wire.datatypes import Address

__all__ = ["name_peer"]


def name_peer(writer: asyncio.StreamWriter) -> tuple[Address | None, str]:
    """Return the peer's address, where it has one, and what to call it."""
    peer = writer.get_extra_info("peername")
    if isinstance(peer, tuple) and len(peer) >= 2:
        with contextlib.suppress(ValueError):
            address = Address(ipaddress.ip_address(peer[0].partition("%")[0]), peer[1])
            return address, str(address)
    if not peer:
        peer = writer.get_extra_info("sockname")  # of a Unix socket: only the server's end has a name
    return None, peer if peer and isinstance(peer, str) else "unknown peer" if peer else "memory"
