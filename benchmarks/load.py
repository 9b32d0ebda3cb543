"""The load on a server: raw sockets in a process of its own, which knows as little of KATCP as it can.

It counts line ends and looks at the last line that came. Law: the load generator is never what is measured.
"""

import selectors
import socket
import time

from .child import Role

__all__ = ["Load"]

CHUNK = 1 << 18
KEPT = 300  # bytes of the last line
PATIENCE = 15.0  # seconds without a byte, after which a server counts as hung


class Peer:
    """One connection to a server."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.in_flight = 0
        self.last = b""  # the start of the last line that came
        self.whole = True  # all of it has come
        self.reply = b""  # the start of the last reply that was waited for

    def receive(self) -> bytes:
        data = self.sock.recv(CHUNK)
        if not data:
            raise ConnectionError(f"the server closed the connection: {self.last!r}")
        if self.whole:
            self.last = b""
        self.whole = data.endswith(b"\n")
        before = data.rfind(b"\n", 0, -1) + 1
        if before or len(self.last) < KEPT:
            self.last = (self.last * (not before) + data[before : before + KEPT])[:KEPT].rstrip(b"\n")
        return data

    def ended_by(self, name: bytes) -> bool:
        """Whether the last line is that reply, and has come."""
        return self.whole and self.last.startswith(b"!" + name)

    def ask(self, line: bytes, name: bytes) -> int:
        """Send a request and wait for its reply, whatever comes around it; return how many lines came."""
        self.sock.sendall(line)
        mark = b"\n!" + name
        got = bytearray(b"\n")
        searched, start, end = 0, -1, -1
        while end < 0:
            got += self.receive()
            if start < 0:
                start = got.find(mark, searched)
                searched = max(0, len(got) - len(mark))
            if start >= 0:
                end = got.find(b"\n", start + 1)
        self.reply = bytes(got[start + 1 : min(end, start + KEPT)])
        return got.count(b"\n") - 1

    def check(self, line: bytes, name: bytes) -> int:
        """As :meth:`ask`, and see that the reply is ok."""
        lines = self.ask(line, name)
        if self.reply.partition(b" ")[2][:2] != b"ok":
            raise RuntimeError(f"the server answered {self.reply!r}")
        return lines


class Load(Role):
    """Keeps its connections from one call to the next."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    def open(self, port: int, clients: int = 1) -> None:
        """Connect, and wait until the server has said all that it says to newcomers."""
        for _ in range(clients):
            peer = Peer(port)
            peer.ask(b"?watchdog\n", b"watchdog")
            self.peers.append(peer)
        for peer in self.peers:  # the older ones were told of the newer ones
            peer.ask(b"?watchdog\n", b"watchdog")

    def close(self) -> None:
        for peer in self.peers:
            peer.sock.close()
        self.peers.clear()

    async def stop(self) -> None:
        self.close()

    def check(self, request: str) -> None:
        """See that a request is answered with ok, and that nothing else is on its way to any connection."""
        line = request.replace("%d", "1").encode() + b"\n"
        name = line[1:].split(b"[")[0].split()[0]
        for peer in self.peers:
            peer.check(line, name)

    def repeat(self, name: str, times: int) -> dict[str, float]:
        """Ask one long question several times; return how many lines came."""
        line = f"?{name}[9]\n".encode()
        began = time.perf_counter()
        lines = sum(self.peers[0].check(line, name.encode()) for _ in range(times))
        return {"seconds": time.perf_counter() - began, "lines": lines}

    def pipelined(self, request: str, seconds: float, window: int = 5000, batch: int = 500) -> dict[str, float]:
        """Keep ``window`` requests of each connection in flight; ``%d`` in a request is its message id."""
        lines = [request.replace("%d", str(mid)).encode() + b"\n" for mid in range(1, 1001)]
        blocks = [b"".join(lines[at : at + batch]) for at in range(0, len(lines), batch)]
        for peer in self.peers:
            peer.in_flight = 0
        done = sent = 0
        began = time.perf_counter()
        ends = began + seconds
        with selectors.DefaultSelector() as selector:
            for peer in self.peers:
                selector.register(peer.sock, selectors.EVENT_READ, peer)
                while peer.in_flight < window:
                    peer.sock.sendall(blocks[sent % len(blocks)])
                    peer.in_flight += batch
                    sent += 1
            waiting = len(self.peers)
            while waiting:
                ready = selector.select(PATIENCE)
                if not ready:
                    raise TimeoutError("the server does not answer")
                more = time.perf_counter() < ends
                for key, _ in ready:
                    peer = key.data
                    count = peer.receive().count(b"\n")
                    done += count
                    peer.in_flight -= count
                    while more and peer.in_flight <= window - batch:
                        peer.sock.sendall(blocks[sent % len(blocks)])
                        peer.in_flight += batch
                        sent += 1
                    waiting -= peer.in_flight == 0
        return {"requests": done, "seconds": time.perf_counter() - began}

    def sequential(self, request: str, seconds: float) -> dict[str, float]:
        """Send each request when the reply to the one before has come; latencies in microseconds."""
        peer = self.peers[0]
        line = request.replace("%d", "7").encode() + b"\n"
        times = []
        clock = time.perf_counter
        before = began = clock()
        while before < began + seconds:
            peer.sock.sendall(line)
            while peer.receive()[-1:] != b"\n":
                pass
            now = clock()
            times.append(now - before)
            before = now
        times.sort()
        middle, late = times[len(times) // 2] * 1e6, times[len(times) * 99 // 100] * 1e6
        worst = times[-1] * 1e3  # milliseconds
        return {"requests": len(times), "seconds": before - began, "p50": middle, "p99": late, "worst": worst}

    def connects(self, port: int, seconds: float, together: int = 20) -> dict[str, float]:
        """Connect, ask one thing, disconnect; some clients together, so that the server is what is waited for."""
        count = 0
        began = time.perf_counter()
        while time.perf_counter() < began + seconds:
            peers = [Peer(port) for _ in range(together)]
            for peer in peers:
                peer.sock.sendall(b"?watchdog\n")
            for peer in peers:
                while not peer.last.startswith((b"!watchdog", b"#client-connected")):
                    peer.receive()
                peer.sock.close()
            count += together
        return {"requests": count, "seconds": time.perf_counter() - began}

    def large(self, size: int, seconds: float) -> dict[str, float]:
        """Echo one argument of ``size`` bytes, one after another."""
        peer = self.peers[0]
        line = b"?echo[1] " + b"x" * size + b"\n"
        count = 0
        began = time.perf_counter()
        while time.perf_counter() < began + seconds:
            peer.sock.sendall(line)
            got = 0
            while True:
                data = peer.receive()
                got += len(data)
                if data.endswith(b"\n"):
                    break
            if got < size:
                raise RuntimeError(f"{got} bytes came back of {size}: {peer.last!r}")
            count += 1
        return {"requests": count, "seconds": time.perf_counter() - began}

    def listing(self, name: str, lines: int) -> dict[str, float]:
        """Ask one long question, while another client asks ?watchdog all the time; its worst wait in milliseconds."""
        asker, other = self.peers[:2]
        with selectors.DefaultSelector() as selector:
            for peer in (asker, other):
                selector.register(peer.sock, selectors.EVENT_READ, peer)
            began = before = time.perf_counter()
            worst = taken = 0.0
            count = 0
            asker.sock.sendall(f"?{name}[9]\n".encode())
            other.sock.sendall(b"?watchdog[1]\n")
            quiet = False  # the other client's last question was answered after the listing had come
            while not (taken and quiet):
                for key, _ in selector.select(PATIENCE):
                    peer, data = key.data, key.data.receive()
                    now = time.perf_counter()
                    if peer is asker:
                        count += data.count(b"\n")
                        if peer.ended_by(name.encode()):
                            taken = now - began
                    elif data.endswith(b"\n"):
                        worst = max(worst, now - before)
                        quiet = bool(taken)
                        if not quiet:
                            before = now
                            other.sock.sendall(b"?watchdog[1]\n")
        if count != lines + 1:
            raise RuntimeError(f"{count} lines came instead of {lines + 1}: {asker.last!r}")
        return {"seconds": taken, "lines": count, "worst": worst * 1e3}

    def subscribe(self, names: list[str], strategy: str) -> dict[str, float]:
        """Have every connection sample sensors in one bulk request; the time is that of all together."""
        line = f"?sensor-sampling[9] {','.join(names)} {strategy}\n".encode()
        began = time.perf_counter()
        lines = sum(peer.check(line, b"sensor-sampling") for peer in self.peers)
        return {"seconds": time.perf_counter() - began, "lines": lines}

    def resubscribe(self, names: list[str], times: int) -> None:
        """Have the first connection sample sensors in one bulk request, and stop it, several times over."""
        for _ in range(times):
            for strategy in ("event", "none"):
                line = f"?sensor-sampling[9] {','.join(names)} {strategy}\n".encode()
                self.peers[0].check(line, b"sensor-sampling")

    def receive(self, final: str) -> dict[str, float]:
        """Take informs until each connection was told ``final`` as the last thing of a line."""
        marker = f" {final}".encode()
        lines = 0
        with selectors.DefaultSelector() as selector:
            for peer in self.peers:
                selector.register(peer.sock, selectors.EVENT_READ, peer)
            began = time.perf_counter()
            waiting = len(self.peers)
            while waiting:
                ready = selector.select(PATIENCE)
                if not ready:
                    raise TimeoutError(f"{waiting} clients were never told {final}, after {lines} lines")
                for key, _ in ready:
                    peer = key.data
                    lines += peer.receive().count(b"\n")
                    if peer.whole and peer.last.endswith(marker):
                        selector.unregister(peer.sock)
                        waiting -= 1
        return {"lines": lines, "ended": time.time(), "seconds": time.perf_counter() - began}

    def periods(self, names: list[str], seconds: float, batch: int = 200) -> dict[str, float]:
        """Sample sensors every second, some in each request, and see when their reports come.

        A sensor's grid is taken to start when its request was sent, so that lateness is never told too small.
        """
        peer = self.peers[0]
        starts: dict[bytes, float] = {}
        slots = dict.fromkeys((name.encode() for name in names), -1)  # the first report comes at once
        late = []

        def take(data: bytes) -> None:
            now = time.perf_counter()
            for line in data.split(b"\n"):
                if line.startswith(b"#sensor-status "):
                    name = line.split(b" ", 4)[3]
                    slots[name] = slot = slots[name] + 1
                    if slot > 0:
                        late.append(now - starts[name] - slot)

        for at in range(0, len(names), batch):
            some = names[at : at + batch]
            now = time.perf_counter()
            starts.update((name.encode(), now) for name in some)
            peer.sock.sendall(f"?sensor-sampling[9] {','.join(some)} period 1\n".encode())
            rest = b""
            while b"\n!sensor-sampling" not in rest:
                rest += peer.receive()
            whole, _, rest = rest.rpartition(b"\n")
            take(whole)
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            whole, _, rest = (rest + peer.receive()).rpartition(b"\n")
            take(whole)
        late.sort()
        if len(late) < len(names) * (seconds - 2):
            raise RuntimeError(f"only {len(late)} periodic informs came: {peer.last!r}")
        return {"p50": late[len(late) // 2] * 1e3, "worst": late[-1] * 1e3, "lines": len(late)}
