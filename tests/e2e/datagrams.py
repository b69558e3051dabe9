# SPDX-License-Identifier: Apache-2.0
"""A path for datagrams with chosen losses, and DTLS servers behind it."""
import contextlib
import select
import socket
import threading

import servers


class Path:
    """In front of a DTLS server: `loses(count, data, by_client)` says whether a datagram is lost; count
    numbers the datagrams of that side from 1."""

    def __init__(self, port, loses):
        self.loses, self.counts, self.client = loses, {True: 0, False: 0}, None
        self.near, self.far, self.end = self._socket(), self._socket(), socket.socketpair()
        self.near.bind(("127.0.0.1", 0))
        self.far.connect(("127.0.0.1", port))
        self.port = self.near.getsockname()[1]
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    @staticmethod
    def _socket():
        # a send may take away the error for which a read would wait in vain
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def _run(self):
        while True:
            ready = select.select([self.near, self.far, self.end[1]], [], [])[0]
            if self.end[1] in ready:
                return
            for sock in ready:
                self._pass_on(sock)

    def _pass_on(self, sock):
        by_client = sock is self.near
        # nobody is listening at the other end yet, or any more: the next read or send tells of it
        with contextlib.suppress(OSError):
            data, sender = sock.recvfrom(65535)
            if by_client:
                self.client = sender
            self.counts[by_client] += 1
            if self.loses(self.counts[by_client], data, by_client):
                return
            if by_client:
                self.far.send(data)
            else:
                self.near.sendto(data, self.client)

    def close(self):
        self.end[0].send(b"x")
        self.thread.join()
        for sock in (self.near, self.far, *self.end):
            sock.close()

    stop = close


def nothing(_count, _data, _by_client):
    return False


def all_of_it(_count, _data, _by_client):
    return True


def first_of_client(number):
    return lambda count, _data, by_client: by_client and count <= number


def large_ones_of_server(size):
    return lambda _count, data, by_client: not by_client and len(data) > size


def s_server(certificate, *more, **options):
    """Without tickets, so that all it sends is its flights."""
    server = servers.s_server(certificate, www=False, more=["-dtls", *more], **options)
    return server
