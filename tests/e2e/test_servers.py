# SPDX-License-Identifier: Apache-2.0
"""Real servers under trace: good handshakes and misbehaving clients. Each case runs the server without
and with the shim; logs and status must match."""
import dataclasses
import fcntl
import re
import socket
import ssl
import struct
import termios

import pytest

import peer
import servers
import tracing

HALF_A_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(90)


@dataclasses.dataclass
class Kind:
    name: str
    fn: str
    status: tuple = (0, 0)  # of the stopped server, without and with tlstall
    starttls: bool = False
    # After this the server answers and closes; None: after a close_notify.
    goodbye: bytes = b"GET / HTTP/1.0\r\n\r\n"
    peeks: bool = False  # looks at the first byte itself: plain text never reaches OpenSSL
    logs: str = ""  # when it is done with a connection
    varies: list = dataclasses.field(default_factory=list)


KINDS = {k.name: k for k in (
    Kind("s_server", "SSL_accept", status=(-15, 143), goodbye=None,
         varies=[(r"^[0-9A-F]+:error", "<thread>:error"),
                 (r"^[A-Za-z0-9+/=]{20,}$", "<session>")]),
    Kind("nginx", "SSL_do_handshake", peeks=True,
         # Notices are about its processes and signals.
         varies=[(r"\d+#\d+: (\*\d+ )?", ""), (r"^.*\[notice\].*\n", "")]),
    Kind("postgres", "SSL_accept", starttls=True, goodbye=b"\0\0\0\4",
         varies=[(r"\(PID \d+\)|PID \d+", "<pid>"), (r"port \d+", "port <n>"),
                 (r"system was shut down.*", "")]),
    Kind("redis", "SSL_accept", goodbye=b"QUIT\r\n",
         varies=[(r"^\d+:[A-Z] \d+ \w+ \d+ [\d:.]+", "<stamp>"), (r"^\d+:signal", "signal"), (r"pid=\d+", "pid=<n>"),
                 (r" \(conn: fd=\d+\)", ""),  # only if the peer is still there
                 (r"(PID|Port|port):? ?\d+", r"\1 <n>"), (r"\d+\.\d+ seconds", "<n> seconds")]),
    Kind("stunnel", "SSL_accept", logs=r"Connection (reset|closed)",
         varies=[(r"^\S+ \S+ LOG", "LOG"), (r"/\S*/tlstall-\w+", "<directory>"), (r"LOG(\d)\[\S+\]", r"LOG\1"),
                 (r"\b[0-9A-F]{12,}\b", "<id>"), (r"FD=\d+", "FD"),
                 (r"Connection (reset/closed|reset|closed)", "Connection over"), (r"PID \d+", "PID")]),
)}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def kind(request):
    return request.param


@pytest.fixture
def serve(kind, authority, request, start):
    """serve(trace, only) starts such a server."""

    def make(trace, only=None):
        if kind.name == "postgres":
            return start(request.getfixturevalue("cluster").server(authority.ecdsa, only=only,
                                                                   trace=trace))
        if kind.name == "redis":
            return start(servers.redis(authority.ecdsa, authority, only=only, trace=trace))
        if kind.name == "stunnel":
            return start(servers.stunnel(authority.ecdsa, start(servers.nginx()).port, only=only,
                                         trace=trace))
        if kind.name == "s_server":  # with -www, no SSL_* call begins its handshakes
            return start(servers.s_server(authority.ecdsa, only=only, trace=trace, www=False))
        return start(servers.nginx(authority.ecdsa, only=only, trace=trace))

    return make


def connect(kind, server):
    connection = socket.create_connection(("127.0.0.1", server.port), 20)
    if kind.starttls:
        connection.sendall(peer.POSTGRES_SSL_REQUEST)
        assert connection.recv(1) == b"S"
    return connection


def client_context(authority, trusting=True, maximum=None):
    context = ssl.create_default_context(cafile=authority.ca if trusting else None)
    if maximum:
        context.maximum_version = maximum
    return context


def both(kind, serve, client, only=None):
    """Runs `client(server)` against it without and with tlstall; returns the latter's trace."""
    seen = []
    for trace in (False, True):
        server = serve(trace, only)
        result = client(server)
        if not hasattr(server, "client"):
            servers.await_that(lambda: re.search(kind.logs, server.log_text()), server.log_text)
        seen.append((result, server.end(), server.log_text()))
        trace = server.trace
    (plain, plain_status, plain_log), (other, status, log) = seen
    assert other == plain
    assert (plain_status, status) == kind.status
    tracing.compare(tracing.Result(0, plain_log, "compared"), tracing.Result(0, log, "compared"),
                    kind.varies)
    trace.check()
    assert all(h.role == "server" for h in trace.handshakes)
    # A call that hangs has not returned, so it is not among the calls.
    return [h for h in trace.handshakes if h.calls or h.outcome == "in_flight"], trace


def await_end(connection):
    """Closes, and waits until the server has finished with this client."""
    try:
        connection.shutdown(socket.SHUT_WR)
        peer.wait_for_eof(connection)
    except OSError:
        pass  # the server was faster


def fail(context, connection):
    """A client whose handshake fails, and which stays until the server closes."""
    with pytest.raises(ssl.SSLError):
        context.wrap_socket(connection.dup(), server_hostname="localhost")
    await_end(connection)


def await_read(server, connection):
    """The kernel shows that everything sent has arrived, and that the server has read it."""
    wanted = f"0100007F:{server.port:04X}"

    def drained():
        with open("/proc/net/tcp", encoding="ascii") as table:
            rows = [line.split() for line in table][1:]
        queues = [row[4] for row in rows if row[1] == wanted and row[3] == "01"]
        underway, = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))
        return queues and not underway and all(queue.endswith(":00000000") for queue in queues)

    servers.await_that(drained, "the server does not read")


def test_good(kind, serve, authority):
    def client(server):
        with connect(kind, server) as connection:
            with client_context(authority).wrap_socket(connection,
                                                       server_hostname="localhost") as tls:
                version = tls.version()
                if kind.goodbye is None:
                    tls.unwrap()
                    return version
                tls.sendall(kind.goodbye)
                while tls.recv(4096):
                    pass
                return version

    handshakes, trace = both(kind, serve, client)
    assert [h.outcome for h in handshakes] == ["ok"], handshakes
    handshake, = handshakes
    assert handshake.version == "TLSv1.3" and handshake.cipher
    assert handshake.sni == "localhost"
    assert trace.ops(handshake)[0].fn == kind.fn
    # s_server counts its reads in a BIO callback, which asking for the descriptor would invoke.
    assert kind.name == "s_server" or handshake.peer.startswith("127.0.0.1:"), handshake
    assert any("client hello" in state["state"] for state in handshake.states)
    assert handshake.cause == "NONE", handshake


def test_client_stops_in_its_hello(kind, serve):
    def client(server):
        connection = connect(kind, server)
        connection.sendall(HALF_A_HELLO)
        await_read(server, connection)
        server.client = connection  # stays open until the server is gone

    handshakes, _ = both(kind, serve, client)
    assert len(handshakes) == 1
    assert handshakes[0].outcome in ("in_flight", "abandoned")
    # Killed before anybody looked: how long it hung is unknown.
    causes = ["UNKNOWN"] if "was killed" in " ".join(handshakes[0].evidence) else [
        "RX_PARTIAL", "PEER_SILENT", "NONE", "ABANDONED"]
    assert handshakes[0].cause in causes, handshakes[0].evidence
    assert not handshakes[0].version or handshakes[0].bytes_in is None or \
        handshakes[0].bytes_in <= len(HALF_A_HELLO)


def test_plain_text(kind, serve):
    def client(server):
        with connect(kind, server) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await_end(connection)

    handshakes, _ = both(kind, serve, client)
    if kind.peeks:
        assert handshakes == []
        return
    assert [(h.outcome, h.error, h.reason) for h in handshakes] == [
        ("failed", "SSL_ERROR_SSL", "http request")]
    assert handshakes[0].cause in ("PLAINTEXT_PEER", "WRONG_ROLE")
    assert handshakes[0].fault == "configuration"


def test_client_closes(kind, serve):
    def client(server):
        with connect(kind, server) as connection:
            connection.sendall(HALF_A_HELLO)
            await_end(connection)

    handshakes, _ = both(kind, serve, client)
    assert [h.outcome for h in handshakes] == ["failed"]
    assert handshakes[0].cause == "PEER_CLOSED" and handshakes[0].fault == "peer"


def test_client_distrusts(kind, serve, authority):
    def client(server):
        with connect(kind, server) as connection:
            fail(client_context(authority, trusting=False), connection)

    handshakes, _ = both(kind, serve, client)
    assert [(h.outcome, h.error) for h in handshakes] == [("failed", "SSL_ERROR_SSL")]
    alert = handshakes[0].alerts[-1]
    assert alert["by"] == "peer" and "unknown CA" in alert["description"], alert
    assert handshakes[0].cause.startswith("CERTIFICATE")


def test_protocol_mismatch(kind, serve, authority):
    def client(server):
        with connect(kind, server) as connection:
            fail(client_context(authority, maximum=ssl.TLSVersion.TLSv1_2), connection)

    handshakes, _ = both(kind, serve, client, only=servers.TLS13)
    assert [(h.outcome, h.reason) for h in handshakes] == [("failed", "unsupported protocol")]
    alert = handshakes[0].alerts[-1]
    assert alert["by"] == "us" and "protocol version" in alert["description"], alert
    assert handshakes[0].cause.startswith("PROTOCOL")


def test_nginx_upstream(authority, start):
    """nginx as a TLS client: a good upstream, then one that does not speak TLS."""
    good = start(servers.s_server(authority.ecdsa))
    bad = start(peer.Peer(peer.plain_text))
    location = (f"location /good {{ proxy_pass https://127.0.0.1:{good.port}/; }}"
                f"location /bad {{ proxy_pass https://127.0.0.1:{bad.port}; }}")
    answers = []
    for trace in (False, True):
        front = start(servers.nginx(location=location, trace=trace))
        answers.append([tracing.run(["/usr/bin/curl", "-s", "-o", "/dev/null", "-w",
                                     "%{http_code}", f"http://127.0.0.1:{front.port}/{path}"]).stdout
                        for path in ("good", "bad")])
        front.end()
    assert answers == [["200", "502"]] * 2
    front.trace.check()
    ok, failed = sorted(front.trace.handshakes, key=lambda h: h.ts_ns)
    assert (ok.role, ok.outcome) == ("client", "ok")
    assert (failed.outcome, failed.reason) == ("failed", "wrong version number")
    assert {front.trace.ops(h)[0].fn for h in (ok, failed)} == {"SSL_do_handshake"}
