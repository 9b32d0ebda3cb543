"""Who the other end is. Law: a peer without an address has a name all the same."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress

from ..wire.datatypes import Address

__all__ = ["find_address", "name_peer"]


def find_address(writer: asyncio.StreamWriter) -> Address | None:
    """Return the peer's address, or None where it has none (Unix sockets, memory)."""
    peer = writer.get_extra_info("peername")
    if isinstance(peer, tuple) and len(peer) >= 2:
        with contextlib.suppress(ValueError):
            return Address(ipaddress.ip_address(peer[0].partition("%")[0]), peer[1])
    return None


def name_peer(writer: asyncio.StreamWriter) -> str:
    """Return what to call the peer: its address, or the name of its socket."""
    peer = writer.get_extra_info("peername")
    if isinstance(peer, tuple) and len(peer) == 2 and peer[0].replace(".", "").isdigit():
        return f"{peer[0]}:{peer[1]}"  # IPv4, whose text needs no rewriting: 10 us of what a connection costs
    if (address := find_address(writer)) is not None:
        return str(address)
    if not peer:
        peer = writer.get_extra_info("sockname")  # of a Unix socket: only the server's end has a name
    if isinstance(peer, str) and peer:  # a path may have bytes in it that are no text
        return peer.encode("utf-8", "backslashreplace").decode()
    return "unknown peer" if peer else "memory"
