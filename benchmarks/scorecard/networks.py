"""Rows that need a network to break: one of namespaces that the row makes itself, and takes down again.

A device, or a peer that is to vanish, is put behind a pair of virtual interfaces. Nothing of it touches the machine's
own network.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .raw import Raw
from .rows import Skip

__all__ = ["Namespace", "namespace", "remove"]

NETWORK = "198.51.100"  # is kept for documentation: nobody's machine has an address in it


def do(*command: str) -> None:
    """Run a command."""
    subprocess.run(command, check=True, capture_output=True, timeout=10)


class Namespace:
    """A network of its own behind a pair of interfaces; ``here`` and ``there`` are the addresses of its two ends.

    Args:
        owner: the process whose it is; two rows may run at the same time.
    """

    def __init__(self, owner: int) -> None:
        self.name, self.near = f"katcp{owner}", f"kat{owner}"
        self.prefix = ("ip", "netns", "exec", self.name)
        self.here, self.there = (f"{NETWORK}.{owner % 62 * 4 + end}" for end in (1, 2))

    def link(self, state: str) -> None:
        """Set the far end of the cable ``up`` or ``down``."""
        do("ip", "-n", self.name, "link", "set", "far", state)

    def connect(self, port: int) -> Raw:
        """Return a client whose socket is in the namespace, while this process is not."""
        before = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            setns(there)
            return Raw.connect((self.here, port))
        finally:
            setns(before)
            os.close(before)
            os.close(there)

    def do(self, *command: str) -> None:
        """Run a command inside.

        Raises:
            Skip: there is no such command here.
        """
        if shutil.which(command[0]) is None:
            raise Skip(f"there is no {command[0]} command")
        do(*self.prefix, *command)


def setns(descriptor: int) -> None:
    """Move this thread to another network; Python has a function for it from 3.12 on."""
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def namespace() -> Iterator[Namespace]:
    """Make a namespace with one cable to here.

    Raises:
        Skip: this is not possible here.
    """
    if os.geteuid() != 0:
        raise Skip("network namespaces need root")
    if shutil.which("ip") is None:
        raise Skip("there is no ip command")
    net = Namespace(os.getpid())
    try:
        do("ip", "netns", "add", net.name)
    except subprocess.CalledProcessError as error:
        raise Skip(f"no network namespaces: {error.stderr.decode().strip()}") from None
    try:
        do("ip", "link", "add", net.near, "type", "veth", "peer", "name", "far", "netns", net.name)
        do("ip", "addr", "add", f"{net.here}/30", "dev", net.near)
        do("ip", "link", "set", net.near, "up")
        do("ip", "-n", net.name, "addr", "add", f"{net.there}/30", "dev", "far")
        do("ip", "-n", net.name, "link", "set", "far", "up")
        do("ip", "-n", net.name, "link", "set", "lo", "up")
        yield net
    except subprocess.CalledProcessError as error:
        raise Skip(f"{' '.join(error.cmd)}: {error.stderr.decode().strip()}") from None
    finally:
        remove(os.getpid())


def remove(owner: int) -> None:
    """Take down what a row has made, if it has, and has not done so itself."""
    net = Namespace(owner)
    if Path(f"/run/netns/{net.name}").exists():
        subprocess.run(["ip", "link", "del", net.near], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", net.name], capture_output=True, check=False)
