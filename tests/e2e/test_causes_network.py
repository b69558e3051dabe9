# SPDX-License-Identifier: Apache-2.0
"""Stalls caused by the network or the peer."""
import os
import re
import signal
import socket

import pytest

import network
import peer
import servers
import stalls
from stalls import PYTHON, Running, Traced, ending, hanging, reproduction

CURL = ["/usr/bin/curl", "-sSk"]
S_CLIENT = ["/usr/bin/openssl", "s_client", "-brief", "-connect"]
BLOCKING = [PYTHON, stalls.CLIENTS / "blocking.py"]


def curl(port, *more):
    return [*CURL, *more, f"https://localhost:{port}/"]


def s_client(port, *more):
    return [*S_CLIENT, f"127.0.0.1:{port}", *more]


def silent(start, behave=peer.silent_after_hello, **more):
    return start(peer.Peer(behave, **more)).port


def check_silence(seen, sent=(400, 700)):
    for record in seen.records():
        assert not record.bytes_in and sent[0] <= record.bytes_out <= sent[1], record
        assert record.role == "client" and "client hello" in record.states[-1]["state"]
    assert "was acknowledged" in seen.evidence(), seen.evidence()
    assert seen.final.confidence == "high", seen.final
    return seen


@reproduction("PEER_SILENT", "peer", "curl", "the server accepts and reads nothing")
def test_curl_silent_after_accept(start):
    return check_silence(hanging(curl(silent(start, peer.silent_after_accept))))


@reproduction("PEER_SILENT", "peer", "openssl s_client, blocking",
              "the server reads the ClientHello and says nothing")
def test_s_client_silent_after_hello(start):
    return check_silence(hanging(s_client(silent(start))), sent=(250, 400))


@reproduction("PEER_SILENT", "peer", "psql", "the server says nothing after it agreed to TLS")
def test_psql_silent(start):
    port = silent(start, preamble=peer.postgres_preamble)
    return check_silence(hanging(["/usr/bin/psql", "-Xc", "select 1", f"host=127.0.0.1 port={port} "
                                  "user=test dbname=test sslmode=require gssencmode=disable"]), (250, 400))


class Stopped:
    """A server whose processes are stopped until the test ends; the kernel accepts connections for it."""

    def __init__(self, server):
        self.port, self.group = server.port, server.process.pid
        os.killpg(self.group, signal.SIGSTOP)

    def stop(self):
        """Continues it first, so that it can stop gracefully."""
        os.killpg(self.group, signal.SIGCONT)


def stopped(start, server):
    return start(Stopped(start(server))).port


@reproduction("PEER_SILENT", "peer", "python3, blocking", "nginx is stopped with SIGSTOP")
def test_python_stopped_nginx(authority, start):
    port = stopped(start, servers.nginx(authority.ecdsa))
    return check_silence(hanging([*BLOCKING, port, authority.ca]))


@reproduction("PEER_SILENT", "peer", "redis-cli", "stunnel is stopped with SIGSTOP")
def test_redis_cli_stopped_stunnel(authority, start):
    port = stopped(start, servers.stunnel(authority.ecdsa, 1))
    return check_silence(hanging(["/usr/bin/redis-cli", "--tls", "--cacert", authority.ca,
                                  "-p", port, "ping"]), sent=(250, 400))


@reproduction("PEER_SILENT", "peer", "python3 asyncio, memory BIO",
              "the server reads the ClientHello and says nothing")
def test_asyncio_silent(authority, start):
    seen = hanging(["/usr/bin/python3", stalls.CLIENTS / "memory_bio.py", silent(start), authority.ca])
    # only the program knows its socket; the one that fits is idle
    assert seen.final.confidence == "medium" and "BIO_STARVED" in seen.final.not_told_from
    return seen


# ---- on the path ----------------------------------------------------------------


def check_unacknowledged(seen):
    for record in seen.records():
        assert not record.bytes_in, record
        assert re.search(r"[1-9]\d* segments? \(.*not acknowledged", "\n".join(record.evidence)), record
    return seen


@reproduction("TX_NOT_ACKED", "network", "curl", "after connect() nothing of the client arrives")
def test_curl_not_acknowledged(authority, start, make_network):
    net = make_network()
    server = start(servers.nginx(authority.ecdsa, within=net.far))
    net.far.drop("tcp dport != 0 meta length > 100")
    return check_unacknowledged(hanging(curl(server.port), within=net.near))


@reproduction("TX_NOT_ACKED", "network", "openssl s_client, blocking",
              "after connect() nothing of the client arrives")
def test_s_client_not_acknowledged(authority, start, make_network):
    net = make_network()
    server = start(servers.nginx(authority.ecdsa, within=net.far))
    net.far.drop("tcp dport != 0 meta length > 100")
    return check_unacknowledged(hanging(s_client(server.port), within=net.near))


@reproduction("TX_NOT_ACKED", "network", "python3, blocking",
              "a large ClientHello in an MTU black hole: packets over 1000 B vanish")
def test_python_mtu_black_hole(authority, start, make_network):
    net = make_network()
    server = start(servers.nginx(authority.ecdsa, within=net.far))
    net.far.drop("tcp dport != 0 meta length > 1000")
    seen = hanging([PYTHON, stalls.CLIENTS / "large_hello.py", server.port], within=net.near)
    assert "larger than one segment" in seen.evidence()
    return check_unacknowledged(seen)


@reproduction("TX_NOT_ACKED", "network", "nginx",
              "its flight with a large certificate chain meets an MTU black hole")
def test_server_mtu_black_hole(authority, start, make_network):
    net = make_network()
    net.near.drop("tcp sport != 0 meta length > 1000")

    def provoke(server):
        return Running(curl(server.port), within=net.near)

    return stalls.serving(lambda **more: servers.nginx(authority.rsa, within=net.far, **more), provoke)


@reproduction("PEER_SILENT", "peer", "curl", "the server's program does not accept: it is in the queue")
def test_accept_queue(start):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return check_silence(hanging(curl(listener.getsockname()[1])))


def check_large_hello(seen):
    for record in seen.records():
        assert record.bytes_out > 1460 and not record.bytes_in, record
        assert record.confidence == "low", record
    return seen


@reproduction("CLIENT_HELLO_DROPPED", "network", "python3, blocking",
              "a middlebox swallows a ClientHello of two packets")
def test_large_hello_swallowed(start, make_network):
    net = make_network()
    port = start(peer.Peer(peer.silent_after_hello, listener=net.listen())).port
    return check_large_hello(hanging([PYTHON, stalls.CLIENTS / "large_hello.py", port], within=net.near))


@reproduction("CLIENT_HELLO_DROPPED", "network", "python3, blocking",
              "a middlebox resets the connection at a ClientHello of two packets")
def test_large_hello_reset(start, make_network):
    net = make_network()
    port = start(peer.Peer(peer.reset_after_hello, listener=net.listen())).port
    return check_large_hello(ending([PYTHON, stalls.CLIENTS / "large_hello.py", port], within=net.near))


@reproduction("TCP_NOT_CONNECTED", "network", "a C program", "it begins before connect() has finished")
def test_not_connected(make_network):
    net = make_network()
    net.far.drop("tcp flags syn")
    return hanging([stalls.STALLS / "connect_early", network.FAR, "8443"], within=net.near)


@reproduction("TCP_NOT_CONNECTED", "network", "a C program", "the server's accept queue is full")
def test_full_accept_queue(make_network):
    net = make_network()
    with net.listen(backlog=0) as listener:
        port = listener.getsockname()[1]
        with net.near.call(socket.create_connection, ("127.0.0.1", port)):
            return hanging([stalls.STALLS / "connect_early", "127.0.0.1", port], within=net.near)


# ---- in mid-flight ----------------------------------------------------------------


def check_partial(seen, size):
    for record in seen.records():
        assert record.bytes_in == size, record
        assert any(f"{size} B came" in line for line in record.evidence), record
    return seen


def half_a_flight(authority, start, size=700):
    server = start(servers.nginx(authority.rsa))
    return start(peer.Peer(peer.relay(server.port, peer.stops_after(size)))).port


@reproduction("RX_PARTIAL", "peer", "curl", "the server stops after 700 B of its flight")
def test_curl_half_a_flight(authority, start):
    return check_partial(hanging(curl(half_a_flight(authority, start))), 700)


@reproduction("RX_PARTIAL", "peer", "python3, blocking", "the server stops in its ServerHello")
def test_python_half_a_record(authority, start):
    return check_partial(hanging([*BLOCKING, half_a_flight(authority, start, 60), authority.ca]), 60)


@reproduction("RX_PARTIAL", "peer", "openssl s_client, blocking",
              "the server stops after 700 B of its flight")
def test_s_client_half_a_flight(authority, start):
    return check_partial(hanging(s_client(half_a_flight(authority, start))), 700)


@reproduction("RX_PARTIAL", "peer", "curl", "the server's flight trickles in")
def test_dripping(authority, start):
    server = start(servers.nginx(authority.rsa))
    port = start(peer.Peer(peer.relay(server.port, peer.drips(100, 0.12, 1400)))).port
    seen = ending(curl(port))
    assert seen.final.outcome == "ok" and seen.final.duration_ns > 1.2e9
    return seen


@reproduction("RX_PARTIAL", "peer", "python3, blocking", "the server's flight trickles in")
def test_python_dripping(authority, start):
    server = start(servers.nginx(authority.rsa))
    port = start(peer.Peer(peer.relay(server.port, peer.drips(100, 0.12, 1400)))).port
    seen = ending([*BLOCKING, port, authority.ca])
    assert seen.final.outcome == "ok" and "pieces" in seen.evidence()
    return seen


# ---- a slow path --------------------------------------------------------------------

NARROW = "8kbit"  # a full segment takes a second and a half
SEGMENTS = 5  # seconds until enough segments have arrived to decide


@pytest.fixture(scope="module")
def long_chain(authority):
    return authority.with_long_chain(authority.rsa, 12)


def narrow(argv, server, net):
    """A client that receives the server's flight slowly: looked at meanwhile, and when it has finished."""
    with Traced(argv, within=net.near) as traced:
        live = traced.hangs(seconds=SEGMENTS)
        trace = traced.end(None)
        seen = stalls.Seen(live, trace.only(), trace, traced.text())
    assert seen.final.outcome == "ok" and seen.final.bytes_in > 9000, seen
    for record in seen.records():
        said = re.search(r"came in (\d+) segments over .*: (\d+) B per second", "\n".join(record.evidence))
        assert int(said[1]) >= 3 and 800 < int(said[2]) < 1600, record
    return seen


@reproduction("NARROW_PATH", "network", "curl", "the server's certificate chain of 10 kB comes at 8 kbit/s")
def test_narrow_curl(long_chain, start, make_network):
    net = make_network(rate=NARROW)
    server = start(servers.nginx(long_chain, within=net.far))
    return narrow(curl(server.port), server, net)


@reproduction("NARROW_PATH", "network", "python3, blocking",
              "the server's certificate chain of 10 kB comes at 8 kbit/s")
def test_narrow_python(authority, long_chain, start, make_network):
    net = make_network(rate=NARROW)
    server = start(servers.s_server(long_chain, more=["-cert_chain", long_chain.cert], within=net.far))
    seen = narrow([*BLOCKING, server.port, authority.ca], server, net)
    # inside the call, nobody saw that there were many waits instead of one
    assert seen.final.confidence == "low" and "RX_PARTIAL" in seen.final.not_told_from
    return seen


@reproduction("NARROW_PATH", "network", "openssl s_client, blocking",
              "the server's certificate chain of 10 kB comes at 8 kbit/s in TLS 1.2")
def test_narrow_s_client(long_chain, start, make_network):
    net = make_network(rate=NARROW)
    server = start(servers.nginx(long_chain, only=servers.TLS12, within=net.far))
    return narrow(s_client(server.port), server, net)


@reproduction("NARROW_PATH", "network", "nginx", "its certificate chain of 10 kB leaves at 8 kbit/s")
def test_narrow_server(long_chain, make_network):
    net = make_network(rate=NARROW)

    def provoke(server):
        return Running(curl(server.port), within=net.near)

    seen = stalls.serving(lambda **more: servers.nginx(long_chain, within=net.far, **more), provoke,
                          seconds=SEGMENTS)
    for record in seen.records():
        assert record.bytes_out > 9000 and record.confidence == "high", record
        assert "packets queue up on the path" in "\n".join(record.evidence), record
    return seen


# ---- the end of a connection ---------------------------------------------------------


@reproduction("PEER_CLOSED", "peer", "python3, blocking",
              "the server resets the connection after the ClientHello")
def test_reset(authority, start):
    seen = ending([*BLOCKING, silent(start, peer.reset_after_hello), authority.ca])
    assert "errno 104" in seen.evidence()
    return seen


@reproduction("PEER_CLOSED", "peer", "psql", "the server ends the connection after the ClientHello")
def test_closed(start):
    port = silent(start, peer.close_after_hello, preamble=peer.postgres_preamble)
    return ending(["/usr/bin/psql", "-Xc", "select 1", f"host=127.0.0.1 port={port} user=test "
                   "dbname=test sslmode=require gssencmode=disable"])


@reproduction("PEER_CLOSED", "peer", "stunnel", "a port probe connects and leaves")
def test_probe(authority):
    def leave(server):
        socket.create_connection(("127.0.0.1", server.port)).close()
        servers.await_that(lambda: "SSL_accept" in server.output(), server.output)

    trace = stalls.served(lambda **more: servers.stunnel(authority.ecdsa, 1, **more), leave)
    seen = stalls.Seen(None, trace.handshakes[0], trace)
    assert not seen.final.bytes_in and "probe" in seen.evidence()
    return seen


# ---- distance -------------------------------------------------------------------------


@reproduction("SLOW_BUT_FINE", "none", "curl", "TLS 1.2 over a round trip of 600 ms")
def test_far_away(authority, start, make_network):
    net = make_network(delay=0.3)
    server = start(servers.nginx(authority.ecdsa, within=net.far))
    seen = ending(curl(server.port, "--tls-max", "1.2"), within=net.near)
    assert seen.final.outcome == "ok" and seen.final.duration_ns > 1.15e9
    assert "2 round trips" in seen.evidence()
    return seen


@reproduction("SLOW_BUT_FINE", "none", "openssl s_client",
              "a HelloRetryRequest over a round trip of 600 ms")
def test_hello_retry_far_away(authority, start, make_network):
    net = make_network(delay=0.3)
    server = start(servers.nginx(authority.ecdsa, only=servers.TLS13, within=net.far,
                                 more="ssl_ecdh_curve secp384r1;"))
    seen = ending(s_client(server.port, "-groups", "X25519:P-384"), within=net.near)
    assert seen.final.outcome == "ok" and "HelloRetryRequest" in seen.evidence()
    return seen
