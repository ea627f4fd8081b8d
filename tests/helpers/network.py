"""A network of its own on this machine, with hosts that can be cut off: namespaces at a bridge.

For Linux, and for those who may make networks: root, or anybody within ``unshare --map-root-user --net``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

BRIDGE = f"uw{os.getpid()}"


@dataclass(frozen=True)
class Host:
    """One host: its address, its end of the cable at the bridge, and the process that holds its namespace."""

    address: str
    cable: str
    holder: subprocess.Popen

    def command(self, *command: str) -> list[str]:
        """``command``, run there."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--", *command]

    def cut_off(self) -> None:
        """From now on nothing that is sent arrives, and nobody is told; connections stay open."""
        _ip("link", "set", self.cable, "nomaster")

    def bring_back(self) -> None:
        """What is sent arrives again."""
        _ip("link", "set", self.cable, "master", BRIDGE)


class Network:
    """The addresses 198.18.x.0/24, of which this machine has the first; they are for tests of networks (RFC 2544)."""

    def __init__(self) -> None:
        self._subnet = f"198.{18 + os.getpid() // 256 % 2}.{os.getpid() % 256}"
        self.address = f"{self._subnet}.1"
        self._hosts: list[Host] = []

    def __enter__(self) -> Network:
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{self.address}/24", "dev", BRIDGE)
        for device in ("lo", BRIDGE):  # within `unshare --net` the former is down, too
            _ip("link", "set", device, "up")
        return self

    def __exit__(self, *error: object) -> None:
        for host in self._hosts:
            host.holder.communicate()
        _ip("link", "del", BRIDGE)

    def add_host(self) -> Host:
        """Another host, which reaches the others and this machine."""
        number = len(self._hosts) + 2
        holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
        host = Host(f"{self._subnet}.{number}", f"{BRIDGE}h{number}", holder)
        self._hosts.append(host)
        while os.readlink(f"/proc/{holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        _ip("link", "add", host.cable, "type", "veth", "peer", "name", "cable", "netns", str(holder.pid))
        for change in (f"addr add {host.address}/24 dev cable", "link set cable up", "link set lo up"):
            subprocess.run(host.command("ip", *change.split()), check=True)
        host.bring_back()
        _ip("link", "set", host.cable, "up")
        return host


def can_make_networks() -> bool:
    """Whether this process may."""
    if sys.platform != "linux" or not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        return False
    with contextlib.suppress(subprocess.CalledProcessError):
        with Network() as network:
            network.add_host()
        return True
    return False


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
