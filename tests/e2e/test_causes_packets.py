# SPDX-License-Identifier: Apache-2.0
"""What only the kernel knows about a connection: closed windows, gaps in received data, probes, firewalls."""
import contextlib
import re
import signal
import socket

import pytest

import peer
import servers
import stalls
from stalls import PYTHON, Running, Traced, hanging, reproduction

CURL = ["/usr/bin/curl", "-sSk"]
LARGE_HELLO = [PYTHON, stalls.CLIENTS / "large_hello.py"]


def curl(port, *more):
    return [*CURL, *more, f"https://localhost:{port}/"]


def said(record):
    return "\n".join(record.evidence)


@pytest.fixture(scope="module")
def long_chain(authority):
    return authority.with_long_chain(authority.rsa, 12)


# ---- a peer that does not read ---------------------------------------------------


def check_shut(seen):
    for record in seen.records():
        assert re.search(r"[1-9][\d.]* k?B wait to be sent, and the peer's window has room for \d+ B",
                         said(record)), record
        assert record.confidence == "high" and "acknowledged" not in said(record), record
    return seen


def small_listener():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


@reproduction("PEER_WINDOW_SHUT", "peer", "python3, blocking",
              "the server reads nothing, and has no room for all of the ClientHello")
def test_client_window_shut(start):
    port = start(peer.Peer(peer.silent_after_accept, listener=small_listener())).port
    return check_shut(hanging([*LARGE_HELLO, port, "1000"]))


@contextlib.contextmanager
def deaf_client(server):
    """Sends its ClientHello, then reads no more than its small buffer holds."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        client.connect(("127.0.0.1", server.port))
        client.sendall(peer.client_hello())
        yield


@reproduction("PEER_WINDOW_SHUT", "peer", "nginx", "its client reads nothing of a certificate chain of 10 kB")
def test_server_window_shut(long_chain):
    return check_shut(stalls.serving(lambda **more: servers.nginx(long_chain, **more), deaf_client))


# ---- gaps in received data -------------------------------------------------------


def check_hole(seen):
    for record in seen.records():
        assert re.search(r"[1-9]\d* segments? arrived without (its|their) predecessors", said(record)), record
    assert seen.live.confidence == "high", seen.live
    return seen


@reproduction("RX_LOST", "network", "curl", "the large packets of the server's flight vanish, a small one arrives")
def test_client_hole(long_chain, start, make_network):
    net = make_network()
    server = start(servers.nginx(long_chain, within=net.far))
    net.near.drop("tcp sport != 0 meta length > 1400")
    return check_hole(hanging(curl(server.port), within=net.near))


@reproduction("RX_LOST", "network", "stunnel", "the first of two packets of a ClientHello vanishes")
def test_server_hole(authority, make_network):
    net = make_network()
    net.far.drop("tcp dport != 0 meta length > 1400")

    def provoke(server):
        return Running([*LARGE_HELLO, server.port], within=net.near)

    return check_hole(stalls.serving(
        lambda **more: servers.stunnel(authority.ecdsa, 1, within=net.far, **more), provoke))


# ---- already read ----------------------------------------------------------------


def records(count):
    """Forwards this many TLS records of the server, then stalls."""

    def forward(connection, upstream):
        for _ in range(count):
            connection.sendall(peer.read_record(upstream))
        peer.silent_after_accept(None, connection)

    return forward


def test_hole_that_was_filled(long_chain, start, make_network):
    """One packet is lost once, and is there after its retransmission: what is missing then, the peer has not sent."""
    net = make_network()
    net.near.drop("tcp sport != 0 meta length > 1400 numgen inc mod 1000000 == 0")
    server = start(servers.nginx(long_chain, only=servers.TLS12))
    port = start(peer.Peer(peer.relay(server.port, records(2)), listener=net.listen())).port
    seen = hanging(curl(port, "--tls-max", "1.2"), within=net.near)
    for record in seen.records():
        assert (record.cause, record.fault) == ("RX_PARTIAL", "peer"), record
        assert "RX_LOST" not in [other["cause"] for other in record.also or []], record


@reproduction("PEER_SILENT", "peer", "openssl s_client, blocking",
              "the server asks for another ClientHello (HelloRetryRequest), and is silent then")
def test_silent_after_retry(authority, start):
    server = start(servers.nginx(authority.ecdsa, only=servers.TLS13, more="ssl_ecdh_curve secp384r1;"))
    # the HelloRetryRequest, and a ChangeCipherSpec for middleboxes
    port = start(peer.Peer(peer.relay(server.port, records(2)))).port
    seen = hanging(["/usr/bin/openssl", "s_client", "-brief", "-groups", "X25519:P-384",
                    "-connect", f"127.0.0.1:{port}"])
    for record in seen.records():
        assert 90 < record.bytes_in < 120 and "was acknowledged" in said(record), record
        assert record.confidence == "high", record
    return seen


@contextlib.contextmanager
def half_a_hello(server):
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(peer.client_hello()[:51])
        yield


@reproduction("RX_PARTIAL", "peer", "stunnel", "its client sends only 51 B of a ClientHello")
def test_half_a_hello(authority):
    seen = stalls.serving(lambda **more: servers.stunnel(authority.ecdsa, 1, **more), half_a_hello)
    for record in seen.records():
        assert "51 B came" in said(record) and "no ClientHello" not in said(record), record
    return seen


@reproduction("RX_PARTIAL", "peer", "a C program, a server, blocking",
              "its client sends only 51 B of a ClientHello")
def test_half_a_hello_inside(start):
    with Traced([stalls.STALLS / "accept_loop"]) as traced:
        traced.port = int(servers.await_that(lambda: traced.text().split(), "its port")[0])
        with half_a_hello(traced):
            live = traced.hangs()
            trace = traced.end()
        seen = stalls.Seen(live, trace.only(), trace)
    for record in seen.records():
        assert "51 B came" in said(record) and "no ClientHello" not in said(record), record
    return seen


# ---- probes and firewalls -------------------------------------------------------------


def unanswered(start, net):
    """A silent server, and a path to it that breaks after it has read the ClientHello."""
    return start(peer.Peer(peer.silent_after_hello, preamble=peer.postgres_preamble, listener=net.listen()))


def psql(port, count):
    return ["/usr/bin/psql", "-Xc", "select 1", f"host=127.0.0.1 port={port} user=test dbname=test "
            "sslmode=require gssencmode=disable keepalives=1 keepalives_idle=1 keepalives_interval=1 "
            f"keepalives_count={count}"]


@reproduction("TX_NOT_ACKED", "network", "psql", "the path to a silent server breaks: keepalive probes are not answered")
def test_keepalive(start, make_network):
    net = make_network()
    server = unanswered(start, net)
    with Traced(psql(server.port, 4), within=net.near) as traced:
        server.wait_hellos()
        net.far.drop("meta length > 0")
        live = traced.hangs(lambda r: r.cause == "TX_NOT_ACKED")
        trace = traced.end(None)
        seen = stalls.Seen(live, trace.only(), trace)
    assert re.search(r"[1-9] keepalive probes? (is|are) not answered", said(live)), live
    assert "gave up sending" not in seen.evidence() and "keepalive probes were not answered" in seen.evidence()
    return seen


@reproduction("TX_NOT_ACKED", "host", "curl", "a rule of its own host drops the ClientHello")
def test_own_firewall(authority, start, make_network):
    net = make_network()
    server = start(servers.nginx(authority.ecdsa, within=net.far))
    net.near.drop("tcp dport != 0 meta length > 100", hook="output")
    seen = hanging(curl(server.port), within=net.near)
    for record in seen.records():
        assert "were never sent" in said(record) and "OUTPUT" in record.advice, record
        assert "acknowledged" not in said(record), record
    return seen
