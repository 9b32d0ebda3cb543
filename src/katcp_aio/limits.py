"""Every bound of the library, in one frozen object. Law: a bound has a unit, a default, a reason and one enforcer.

Pass ``Limits(max_in_flight=64)`` to a server or a client to change one; what a breach leads to is told with each.
"""

from __future__ import annotations

from typing import TypeVar

import attrs

__all__ = ["Limits"]

_Number = TypeVar("_Number", int, float)

_KIB = 1024
_MIB = 1024 * 1024


def _bound(default: _Number, reason: str) -> _Number:
    """Declare one bound: a number above zero, whole if the default is; the reason is shown in the documentation."""
    return attrs.field(default=default, metadata={"reason": reason})


@attrs.frozen(kw_only=True, cache_hash=True)  # hashed for each connection, to find its socket's options
class Limits:
    """Bounds on what a peer can make this side hold, do or wait for. Immutable; see ``attrs.evolve``."""

    # The wire
    max_line: int = _bound(
        16 * _MIB, "bytes of one line that a server accepts; longer: dropped to its end and answered"
    )
    max_reply_line: int = _bound(
        40 * _MIB, "bytes of one line that a client accepts; 16 MiB of NULs are 32 on the wire"
    )
    max_arguments: int = _bound(250_000, "arguments of one message, 20 ms to take apart; more: malformed")
    read_chunk: int = _bound(
        64 * _KIB, "bytes held unread of what a peer sent; twice as many: the socket is left alone"
    )
    parse_chunk: int = _bound(16 * _KIB, "bytes parsed at once, 5 ms for the worst; then the others have a turn")

    # One connection
    write_high: int = _bound(64 * _KIB, "bytes waiting to be sent above which a peer's requests are no longer read")
    write_low: int = _bound(16 * _KIB, "bytes waiting to be sent below which they are read again")
    max_backlog: int = _bound(4 * _MIB, "bytes waiting to be sent to a server's client; more: it is disconnected")
    stall_timeout: float = _bound(30.0, "seconds a peer may leave its output unread; longer: it is disconnected")
    close_timeout: float = _bound(
        1.0, "seconds for what is promised to drain on closing; longer: the socket is aborted"
    )
    batch_time: float = _bound(0.0015, "seconds of work for one peer before the others have a turn")
    keepalive_idle: int = _bound(30, "seconds of silence before TCP asks whether the peer is still there")
    keepalive_interval: int = _bound(5, "seconds between two such questions")
    keepalive_count: int = _bound(3, "such questions without an answer before the connection counts as lost")

    # A server
    max_clients: int = _bound(1000, "clients of one server; more: told so with #disconnect and closed")
    max_clients_per_address: int = _bound(
        64, "clients from one address of another host, or from one /64 of IPv6; more: told so and closed"
    )
    accept_backlog: int = _bound(512, "connections that wait to be accepted; more: the kernel has them try again")
    max_in_flight: int = _bound(32, "requests of one client that wait at once; at it, the client is not read further")
    max_abandoned: int = _bound(100, "handlers left running by clients that went; more: the oldest are cancelled")
    max_subscriptions: int = _bound(200_000, "sensors that one client samples; more: the request fails")
    max_held: int = _bound(1, "readings of a sensor kept for a client that does not read; more: the oldest is dropped")
    min_period: float = _bound(0.001, "seconds, shortest sampling period; a shorter one is raised to it")
    max_pattern: int = _bound(256, "bytes of a /regular expression/ from the network; longer: the request fails")
    max_interface_changes: int = _bound(
        8, "changes told one by one in a loop turn; more: one summary #interface-changed"
    )
    log_rate: int = _bound(10, "lines a second logged about one kind of trouble; more: counted, and told as one line")
    stop_timeout: float = _bound(
        3.0, "seconds for handlers and clients when a server stops; longer: cancelled, aborted"
    )
    stop_margin: float = _bound(
        0.5, "seconds beyond stop_timeout for handlers to clean up and for clients to take their last lines"
    )
    handshake_timeout: float = _bound(10.0, "seconds for a TLS handshake")

    # A client
    connect_timeout: float = _bound(10.0, "seconds to establish the transport")
    negotiate_timeout: float = _bound(2.0, "seconds to wait for the device to say what protocol it speaks")
    max_pending: int = _bound(10_000, "requests of one client that wait for a reply; more: UsageError")
    max_informs: int = _bound(1_000_000, "informs kept for one reply; more: ReplyTooLong")
    write_piece: int = _bound(
        1400, "bytes of requests, about a packet, gathered in a loop turn; more: sent, and the device can begin"
    )
    late_timeout: float = _bound(
        5.0, "seconds that the missing reply to a request given up may hold up the next; longer: connected anew"
    )
    max_mailbox: int = _bound(1000, "informs waiting in a stream; more: the device is not read until they are taken")
    max_log_context: int = _bound(20, "#log informs kept to explain a reply that fails without a reason")
    max_versions: int = _bound(
        200, "components whose versions a device tells on connecting that are kept; more: not kept"
    )
    bulk_batch: int = _bound(500, "sensors named in one bulk ?sensor-sampling")
    max_readings: int = _bound(1000, "readings waiting in one async iterator; more: the oldest are dropped and counted")
    max_sweep: int = _bound(
        100, "requests under way at once while one is made for each of many sensors; more: they wait"
    )
    resync_interval: float = _bound(0.1, "seconds between two readings of a device's whole lists; sooner: it waits")
    max_single_changes: int = _bound(20, "sensors or requests asked for one by one; more: all of them at once")
    max_download: int = _bound(64 * _MIB, "bytes taken from a side port of a device; more: ProtocolError")
    max_recorded: int = _bound(
        100_000, "readings that wait to be recorded, some 15 MB of numbers; more: the oldest are dropped and counted"
    )
    record_timeout: float = _bound(
        5.0, "seconds for a recorder to write what waits when it is closed; longer: counted as lost"
    )

    def __attrs_post_init__(self) -> None:
        """Look at each, and at those that go together."""
        # A validator for each field makes this class, which every program imports, take a quarter longer to build.
        for field in attrs.fields(Limits):
            value = getattr(self, field.name)
            if isinstance(field.default, int) and not isinstance(value, int):
                raise TypeError(f"{field.name} is a whole number, not {value!r}")
            if not value > 0:
                raise ValueError(f"{field.name} is a number above zero, not {value!r}")
        if self.write_low > self.write_high:  # no transport takes that, so that every connection would fail
            raise ValueError(f"write_low, {self.write_low} bytes, is more than write_high, {self.write_high}")

    def __repr__(self) -> str:
        changed = (f for f in attrs.fields(Limits) if getattr(self, f.name) != f.default)
        return f"Limits({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in changed)})"
