# SPDX-License-Identifier: Apache-2.0
"""Broken TLS peers, scripted: each misbehaves in one well-defined way.

As a command (`peer.py MODE`) it prints its port and serves until it is killed.
"""
import contextlib
import re
import select
import socket
import ssl
import struct
import sys
import threading
import time

HTTP_400 = (b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
            b"Content-Length: 12\r\nConnection: close\r\n\r\nBad Request\n")
POSTGRES_SSL_REQUEST = struct.pack(">II", 8, 80877103)


class Peer:
    """Listens on a free loopback port; `behave(connection)` handles each client. `listener`: a socket in
    another network, for example.

    hellos counts the ClientHellos read; wait_hellos(n) waits for them.
    """

    def __init__(self, behave, preamble=None, listener=None):
        self.behave, self.preamble = behave, preamble
        self.listener = listener or socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.changed = threading.Condition()
        self.accepted = self.hellos = 0
        self.connections = []
        self.closing = False
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.accepted += 1
                self.connections.append(connection)
                self.changed.notify_all()
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, connection):
        try:
            if self.preamble:
                self.preamble(connection)
            self.behave(self, connection)
        except (OSError, EOFError, ssl.SSLError):
            pass
        finally:
            connection.close()

    def read_hello(self, connection):
        hello = read_record(connection)
        with self.changed:
            self.hellos += 1
            self.changed.notify_all()
        return hello

    def wait_hellos(self, count=1, timeout=20):
        with self.changed:
            if not self.changed.wait_for(lambda: self.hellos >= count, timeout):
                raise TimeoutError(f"{self.hellos} of {count} ClientHellos came")

    def wait_accepted(self, count=1, timeout=20):
        with self.changed:
            if not self.changed.wait_for(lambda: self.accepted >= count, timeout):
                raise TimeoutError(f"{self.accepted} of {count} connections came")

    def close(self):
        self.closing = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.hang_up()
        for thread in self.threads:
            thread.join(10)

    def hang_up(self):
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def read_record(connection):
    """One TLS record, header included."""
    header = read_exactly(connection, 5)
    return header + read_exactly(connection, struct.unpack(">H", header[3:])[0])


def client_hello():
    """A ClientHello to be sent by hand."""
    context = ssl.create_default_context()
    output = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), output, server_hostname="localhost").do_handshake()
    return output.read()


def wait_for_eof(connection):
    while connection.recv(65536):
        pass


# ---- preambles -------------------------------------------------------------

def postgres_preamble(connection):
    """What a PostgreSQL server sends before TLS begins."""
    if read_exactly(connection, 8) != POSTGRES_SSL_REQUEST:
        raise EOFError
    connection.sendall(b"S")


# ---- behaviors ------------------------------------------------------------

def silent_after_accept(_peer, connection):
    """Reads nothing: what the client sends stays in the socket buffer."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    poll.poll()


def silent_after_hello(peer, connection):
    peer.read_hello(connection)
    wait_for_eof(connection)


def plain_text(peer, connection):
    peer.read_hello(connection)
    connection.sendall(HTTP_400)
    connection.shutdown(socket.SHUT_WR)
    wait_for_eof(connection)


def reset_after_hello(peer, connection):
    peer.read_hello(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close_after_hello(peer, connection):
    peer.read_hello(connection)
    connection.shutdown(socket.SHUT_WR)
    wait_for_eof(connection)


def close_after_accept(_peer, connection):
    connection.shutdown(socket.SHUT_WR)
    wait_for_eof(connection)


def relay(port, forward):
    """In front of a real server: its bytes pass through `forward(connection, upstream)`."""

    def behave(_peer, connection):
        upstream = socket.create_connection(("127.0.0.1", port))
        back = threading.Thread(target=_copy, args=(connection, upstream), daemon=True)
        back.start()
        try:
            forward(connection, upstream)
        finally:
            connection.close()
            upstream.close()

    return behave


def _copy(source, target):
    """Until the end or a reset: the target is notified of either."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def stops_after(size):
    """Forwards `size` bytes of the server's flight, then stalls."""

    def forward(connection, upstream):
        connection.sendall(read_exactly(upstream, size))
        silent_after_accept(None, connection)

    return forward


def drips(piece, interval, total):
    """Forwards `piece` bytes every `interval` seconds; after `total` bytes, without delay."""

    def forward(connection, upstream):
        sent = 0
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := upstream.recv(piece if sent < total else 65536):
            connection.sendall(data)
            sent += len(data)
            if sent < total:
                time.sleep(interval)

    return forward


def late(seconds):
    """Delays what the server sends by so many seconds, so that the client has to wait for it."""

    def forward(connection, upstream):
        while data := upstream.recv(65536):
            time.sleep(seconds)
            connection.sendall(data)

    return forward


BEHAVIORS = {function.__name__.replace("_", "-"): function for function in (
    silent_after_accept, silent_after_hello, plain_text, reset_after_hello,
    close_after_hello, close_after_accept)}


def main(arguments):
    if len(arguments) != 1 or arguments[0] not in BEHAVIORS:
        print(f"usage: peer.py {re.sub(' ', '|', ' '.join(BEHAVIORS))}", file=sys.stderr)
        return 2
    with Peer(BEHAVIORS[arguments[0]]) as peer:
        print(peer.port, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
