# SPDX-License-Identifier: Apache-2.0
"""The fixtures themselves: servers serve, broken peers fail as described, comparisons compare."""
import socket
import ssl
import time

import pytest

import peer
import servers
import tracing
from tracing import Result


def curl(port, *arguments, scheme="https"):
    return tracing.run(["/usr/bin/curl", "-sS", *arguments, f"{scheme}://localhost:{port}/"])


class Writes:
    """A stand-in for a process that writes to its directory until it is stopped."""

    def __init__(self, directory):
        self.directory = directory

    def stop(self):
        (self.directory / "last").touch()


def test_what_was_started_ends_before_its_directory(start, directory):
    start(Writes(directory))


def test_a_free_port_is_free_for_datagrams_too(monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        offered = iter([taken.getsockname()[1], good := servers.free_port()])
        monkeypatch.setattr(servers, "ports", lambda: offered)
        assert servers.free_port() == good


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_certificates(authority, start, kind):
    server = start(servers.s_server(getattr(authority, kind)))
    result = curl(server.port, "--cacert", authority.ca)
    assert result.status == 0 and "s_server" in result.stdout


@pytest.mark.parametrize("kind, words", [("expired", "expired"), ("wrong_host", "subject name")])
def test_bad_certificates(authority, start, kind, words):
    server = start(servers.s_server(getattr(authority, kind)))
    result = curl(server.port, "--cacert", authority.ca)
    assert result.status == 60 and words in result.stderr


@pytest.mark.parametrize("only", [None, servers.TLS12, servers.TLS13])
def test_nginx(authority, start, only):
    server = start(servers.nginx(authority.ecdsa, only=only))
    assert curl(server.port, "--cacert", authority.ca).stdout == "hello\n"
    limited = curl(server.port, "--cacert", authority.ca, "--tls-max", "1.2")
    assert limited.status == (35 if only == servers.TLS13 else 0)


def test_nginx_upstream_and_stunnel(authority, start):
    plain = start(servers.nginx())
    tunnel = start(servers.stunnel(authority.rsa, plain.port))
    front = start(servers.nginx(location=f"location / {{ proxy_pass https://127.0.0.1:{tunnel.port}; }}"))
    assert curl(front.port, scheme="http").stdout == "hello\n"


def test_postgres(authority, cluster, start):
    server = start(cluster.server(authority.ecdsa))
    result = tracing.run(["/usr/bin/psql", "-XAtc", "select version from pg_stat_ssl where ssl",
                          f"host=localhost port={server.port} user=test dbname=postgres "
                          f"sslmode=verify-full sslrootcert={authority.ca}"])
    assert result.stdout == "TLSv1.3\n", result


def test_redis(authority, start):
    server = start(servers.redis(authority.ecdsa, authority))
    result = tracing.run(["/usr/bin/redis-cli", "--tls", "--cacert", authority.ca, "-p",
                          str(server.port), "ping"])
    assert result.stdout == "PONG\n", result


def handshake(port, timeout=20):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(timeout)
        with context.wrap_socket(connection) as tls:
            return tls.version()


@pytest.mark.parametrize("behave", [peer.silent_after_accept, peer.silent_after_hello])
def test_silent_peers(start, behave):
    silent = start(peer.Peer(behave))
    with pytest.raises(socket.timeout):
        handshake(silent.port, timeout=0.3)
    silent.wait_accepted()
    if behave == peer.silent_after_hello:
        silent.wait_hellos()


@pytest.mark.parametrize("behave, error", [
    (peer.plain_text, ssl.SSLError), (peer.reset_after_hello, ConnectionResetError),
    (peer.close_after_hello, (ssl.SSLEOFError, ssl.SSLZeroReturnError)),
    (peer.close_after_accept, (ssl.SSLEOFError, ssl.SSLZeroReturnError))])
def test_broken_peers(start, behave, error):
    broken = start(peer.Peer(behave))
    with pytest.raises(error):
        handshake(broken.port)
    assert broken.accepted == 1
    assert broken.hellos == (0 if "accept" in behave.__name__ else 1)


def test_relay_that_stops(authority, start):
    server = start(servers.s_server(authority.ecdsa))
    relay = start(peer.Peer(peer.relay(server.port, peer.stops_after(200))))
    with pytest.raises(socket.timeout):
        handshake(relay.port, timeout=0.3)


def test_relay_that_drips(authority, start):
    server = start(servers.s_server(authority.ecdsa))
    relay = start(peer.Peer(peer.relay(server.port, peer.drips(50, 0.05, 500))))
    before = time.monotonic()
    assert handshake(relay.port) == "TLSv1.3"
    assert time.monotonic() - before >= 0.45


def test_postgres_preamble(start):
    broken = start(peer.Peer(peer.silent_after_hello, peer.postgres_preamble))
    with socket.create_connection(("127.0.0.1", broken.port)) as connection:
        connection.sendall(peer.POSTGRES_SSL_REQUEST)
        assert connection.recv(10) == b"S"


PLAIN = Result(0, "out 127.0.0.1:4000\n", "err\n")


@pytest.mark.parametrize("other", [
    Result(1, PLAIN.stdout, PLAIN.stderr), Result(0, "out 127.0.0.1:4000", PLAIN.stderr),
    Result(0, PLAIN.stdout, "err\nerr\n"), Result(0, PLAIN.stdout, ""),
    Result(-11, PLAIN.stdout, PLAIN.stderr)])
def test_comparison_sees_differences(other):
    assert tracing.differences(PLAIN, other)
    with pytest.raises(AssertionError):
        tracing.compare(PLAIN, other)


def test_comparison_normalises_only_what_varies():
    assert not tracing.differences(PLAIN, Result(0, "out 127.0.0.1:5123\n", "err\n"))
    assert tracing.differences(PLAIN, Result(0, "out 127.0.0.2:4000\n", "err\n"))


def test_comparison_refuses_to_compare_nothing():
    with pytest.raises(AssertionError):
        tracing.compare(Result(0, "", ""), Result(0, "", ""))
