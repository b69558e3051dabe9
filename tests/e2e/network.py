# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces connected by a wire with chosen faults.

The namespaces have no names: descriptors of this process and the programs inside keep them alive, so
nothing is left over however a test ends. A wire without delay is a veth pair; with delay it is a pair
of TUN devices and a thread that forwards each packet when it is due.
"""
import collections
import contextlib
import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import threading
import time

NEAR, FAR = "192.0.2.1", "192.0.2.2"
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x1, 0x1000
libc = ctypes.CDLL(None, use_errno=True)


def why_not():
    """Why namespaces cannot be made here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    return None


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Namespace:
    """A network namespace; within: the prefix that runs a command there."""

    def __init__(self, address):
        self.address = address
        self.fd = in_thread(self._make)
        self.within = ["/usr/bin/nsenter", f"--net=/proc/{os.getpid()}/fd/{self.fd}", "--"]

    @staticmethod
    def _make():
        checked(libc.unshare(CLONE_NEWNET))
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def call(self, function, *arguments):
        """Calls a function in this namespace; sockets that it opens stay there."""

        def there():
            checked(libc.setns(self.fd, CLONE_NEWNET))
            return function(*arguments)

        return in_thread(there)

    def command(self, *argv, stdin=None):
        result = subprocess.run([*self.within, *argv], input=stdin, text=True, capture_output=True)
        assert result.returncode == 0, (argv, stdin, result.stderr)

    def drop(self, *rules, hook="input"):
        """Silently drops incoming packets (with hook "output": outgoing ones) that match one of these
        nftables rules."""
        lines = "\n".join(f"add rule inet test {hook} {rule} drop" for rule in rules)
        self.command("nft", "-f", "-", stdin="add table inet test\n"
                     f"add chain inet test {hook} {{ type filter hook {hook} priority 0; }}\n"
                     f"{lines}\n")

    def close(self):
        os.close(self.fd)


def in_thread(function):
    """Its result; only the thread changes its namespace, then it ends."""
    results, errors = [], []

    def body():
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def open_tun():
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"wire", IFF_TUN | IFF_NO_PI))
    return fd


class DelayingWire(threading.Thread):
    """Forwards packets between two TUN devices, each `delay` seconds after its arrival."""

    def __init__(self, ends, delay):
        super().__init__(daemon=True)
        self.ends, self.delay = ends, delay
        self.queue = collections.deque()
        self.stopping, self.stopper = os.pipe2(os.O_CLOEXEC)
        self.start()

    def run(self):
        poll = select.poll()
        for fd in (*self.ends, self.stopping):
            poll.register(fd, select.POLLIN)
        while True:
            wait = self.queue[0][0] - time.monotonic() if self.queue else None
            ready = [fd for fd, _ in poll.poll(wait and max(wait * 1000, 0))]
            if self.stopping in ready:
                return
            for fd in ready:
                self._take(fd)
            self._deliver()

    def _take(self, fd):
        to = self.ends[1 - self.ends.index(fd)]
        try:
            while True:
                self.queue.append((time.monotonic() + self.delay, to, os.read(fd, 65536)))
        except BlockingIOError:
            pass

    def _deliver(self):
        while self.queue and self.queue[0][0] <= time.monotonic():
            _, to, packet = self.queue.popleft()
            with contextlib.suppress(OSError):  # the other end is not up yet
                os.write(to, packet)

    def close(self):
        os.close(self.stopper)
        self.join()
        for fd in (*self.ends, self.stopping):
            os.close(fd)


class Network:
    """near and far: Namespaces; 127.0.0.1 of near leads to 127.0.0.1 of far.

    delay: in each direction, in seconds. loss: share of packets that near and far each lose, at
    regular intervals, so that a retransmission is hardly ever lost as well. rate: for tc, of packets
    toward near. mtu: of both ends.
    """

    def __init__(self, delay=0, loss=0, rate=None, mtu=1500):
        self.near, self.far, self.wire = Namespace(NEAR), Namespace(FAR), None
        try:
            self._connect(delay, mtu)
            self._join_localhost()
            if loss:
                for end in self.near, self.far:
                    end.drop(f"numgen inc mod {round(1 / loss)} == 1")
            if rate:
                self.far.command("tc", "qdisc", "add", "dev", "wire", "root", "tbf", "rate", rate,
                                 "burst", "1600", "limit", "30000")
        except BaseException:
            self.close()
            raise

    def _connect(self, delay, mtu):
        if delay:
            self.wire = DelayingWire([end.call(open_tun) for end in (self.near, self.far)], delay)
        else:
            self.near.command("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire",
                              "netns", f"/proc/{os.getpid()}/fd/{self.far.fd}")
        for end in self.near, self.far:
            end.command("ip", "-batch", "-", stdin=f"link set lo up\nlink set wire mtu {mtu} up\n"
                        f"address add {end.address}/24 dev wire\n")

    def _join_localhost(self):
        for end in self.near, self.far:
            end.command("sysctl", "-q", "net.ipv4.conf.all.route_localnet=1")
        self.near.command("nft", "-f", "-", stdin="""add table ip local
add chain ip local output { type nat hook output priority -100; }
add chain ip local postrouting { type nat hook postrouting priority 100; }
add rule ip local output ip daddr 127.0.0.1 dnat to %s
add rule ip local postrouting oifname "wire" masquerade
""" % FAR)
        self.far.command("nft", "-f", "-", stdin="""add table ip local
add chain ip local prerouting { type nat hook prerouting priority -100; }
add rule ip local prerouting iifname "wire" dnat to 127.0.0.1
""")

    def listen(self, backlog=128):
        """A socket that listens at the far end."""
        return self.far.call(lambda: socket.create_server(("127.0.0.1", 0), backlog=backlog))

    def close(self):
        if self.wire:
            self.wire.close()
        self.near.close()
        self.far.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
