# SPDX-License-Identifier: Apache-2.0
"""Real client programs, unmodified: a good handshake and each way in which it can fail.

Every case runs the program twice, without and with the shim, against fresh peers: a user must not be
able to tell the runs apart, and the records must match what happened.
"""
import dataclasses
import pathlib

import pytest

import peer
import servers
import tracing

CLIENTS_DIRECTORY = pathlib.Path(__file__).parent / "clients"

# Figures of load generators; the words around them are compared.
AB_VARIES = [
    (r"^(Time taken for tests|Requests per second|Time per request|Transfer rate|"
     r"Server (?:Port|Temp Key)|Server Hostname|Complete requests): .*$", r"\1: <n>"),
    (r"^ .* (received|sent)$|^(Connect|Processing|Waiting|Total): .*$", "<n>"),
    (r"^ +\d+% .*$", "<n>"),
    (r"\(\d+ bytes\)|\d+ bytes", "<n> bytes"),
]
WRK_VARIES = [(r"[\d.]+(us|ms|s|k|%|KB|MB|B)?\b", "<n>"), (r" +", " "), (r"connect <n>.*", "errors")]


@dataclasses.dataclass
class Client:
    name: str
    argv: list  # {port} and {ca} are filled in
    fn: str  # what drives its handshake
    server: str = "nginx"
    bio: tuple = ()  # the name of its transport
    sni: str = "localhost"
    env: dict = dataclasses.field(default_factory=dict)
    varies: list = dataclasses.field(default_factory=list)
    verifies: bool = True
    several: bool = False  # makes more than one connection
    limit: str = "2"  # seconds until it is killed if its peer is silent
    preamble: object = None
    # Limits it to TLS 1.2 if it ignores the system's configuration.
    at_most_12: list = None

    def command(self, port, authority, at_most_12=False):
        extra = self.at_most_12 if at_most_12 and self.at_most_12 else []
        argv = []
        for argument in map(str, self.argv):
            argv += extra if argument == "{at_most_12}" else [
                argument.format(port=port, ca=authority.ca)]
        return argv if "{at_most_12}" in self.argv else argv + extra


CLIENTS = {c.name: c for c in (
    Client("curl", ["/usr/bin/curl", "-sS", "--cacert", "{ca}", "https://localhost:{port}/"],
           "SSL_connect", bio=("OpenSSL CF BIO",), at_most_12=["--tls-max", "1.2"]),
    Client("python", ["/usr/bin/python3", CLIENTS_DIRECTORY / "blocking.py", "{port}", "{ca}"],
           "SSL_do_handshake", bio=("socket",)),
    Client("asyncio", ["/usr/bin/python3", CLIENTS_DIRECTORY / "memory_bio.py", "{port}", "{ca}"],
           "SSL_do_handshake", bio=("memory buffer",)),
    Client("s_client", ["/usr/bin/openssl", "s_client", "-connect", "127.0.0.1:{port}",
                        "-servername", "localhost", "-CAfile", "{ca}", "-verify_return_error",
                        "-brief"], "SSL_write", server="s_server", bio=("socket",)),
    Client("psql", ["/usr/bin/psql", "-XAtc", "select version from pg_stat_ssl where ssl",
                    "host=127.0.0.1 port={port} user=test dbname=postgres sslmode=verify-full "
                    "sslrootcert={ca} gssencmode=disable"],
           "SSL_connect", server="postgres", bio=("libpq socket",), sni=None,
           preamble=peer.postgres_preamble),
    Client("redis-cli", ["/usr/bin/redis-cli", "--tls", "--cacert", "{ca}", "-h", "127.0.0.1",
                         "-p", "{port}", "ping"],
           "SSL_connect", server="redis", bio=("socket",), sni=None),
    Client("ruby", ["/usr/bin/ruby", CLIENTS_DIRECTORY / "http.rb", "{port}", "{ca}"],
           "SSL_connect", bio=("socket",), at_most_12=["1.2"]),
    Client("php", ["/usr/bin/php", "-n", CLIENTS_DIRECTORY / "http.php", "{port}", "{ca}"],
           "SSL_connect", bio=("socket",), at_most_12=["1.2"]),
    Client("perl", ["/usr/bin/perl", CLIENTS_DIRECTORY / "http.pl", "{port}", "{ca}"],
           "SSL_connect", bio=("socket",)),
    # by address: for a name with two addresses, ab begins its handshake on the one that refuses
    Client("ab", ["/usr/bin/ab", "-q", "-S", "-n", "3", "-c", "1", "{at_most_12}",
                  "https://127.0.0.1:{port}/"], "SSL_do_handshake", bio=("socket",), sni=None,
           at_most_12=["-fTLS1.2"], varies=AB_VARIES, verifies=False, several=True),
    Client("wrk", ["/usr/bin/wrk", "-t1", "-c2", "-d1s", "https://localhost:{port}/"],
           "SSL_connect", bio=("socket",), varies=WRK_VARIES, verifies=False, several=True,
           limit="1", env={"TLSTALL_SIZE": "64M"}),  # it spins: enough space in case the reader gets no CPU time
)}


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS.keys())
def client(request):
    return request.param


def server_of(client, authority, request, start, certificate=None, only=None):
    """A server for the protocol that the client speaks."""
    certificate = certificate or authority.ecdsa
    if client.server == "postgres":
        return start(request.getfixturevalue("cluster").server(certificate, only=only))
    if client.server == "redis":
        return start(servers.redis(certificate, authority, only=only))
    return start(getattr(servers, client.server)(certificate, only=only))


@pytest.fixture
def real_server(client, authority, request, start):
    """real_server(certificate, only) for the protocol that the client speaks."""
    return lambda certificate, only=None: server_of(client, authority, request, start, certificate,
                                                    only)


def both(client, authority, port, env=None, limit=None, at_most_12=False):
    """Runs it twice, compares, returns the plain result and the trace."""
    argv = client.command(port(), authority, at_most_12)
    prefix = ["timeout", limit] if limit else []
    env = {**client.env, **(env or {})}
    plain = tracing.run([*prefix, *argv], env=env)
    argv = client.command(port(), authority, at_most_12)
    with_shim = tracing.traced([*prefix, *argv], env=env)
    tracing.compare(plain, with_shim, client.varies)
    assert with_shim.trace.handshakes, "the shim saw nothing"
    return plain, with_shim.trace


def broken(client, authority, start, behave, **more):
    peers = []

    def port():
        peers.append(start(peer.Peer(behave, client.preamble)))
        return peers[-1].port

    return *both(client, authority, port, **more), peers[-1]


def check_basics(client, trace):
    for handshake in trace.handshakes:
        assert handshake.role == "client"
        assert handshake.sni == client.sni
        # Behind a custom BIO, the descriptor is unknown.
        if client.bio == ("socket",) or handshake.peer:
            assert handshake.peer.startswith("127.0.0.1:"), handshake
        # The only call may hang until the program is killed: then only the handshake shows it.
        for first in trace.ops(handshake)[:1]:
            assert (first.fn, first.role) == (client.fn, "client")
            assert (first.bio_read, first.bio_write) == client.bio * 2
            assert (first.fd is not None) == (client.bio == ("socket",)) or client.name == "psql"


def test_good(client, authority, real_server):
    server = real_server(authority.ecdsa)
    plain, trace = both(client, authority, lambda: server.port)
    assert plain.status == 0, plain
    check_basics(client, trace)
    assert len(trace.handshakes) == 1 or client.several
    for handshake in trace.handshakes:
        if client.name == "wrk" and handshake.outcome == "abandoned":
            continue  # cut off at the end of its second
        assert handshake.outcome == "ok", handshake
        assert handshake.version == "TLSv1.3" and handshake.cipher.startswith("TLS_")
        assert handshake.cause == "NONE" and handshake.fault == "none"
        # A resumed handshake needs no certificate.
        assert handshake.resumed or handshake.bytes_in > 500, handshake
        names = [state["state"] for state in handshake.states]
        assert any("server hello" in name for name in names), names
        last = trace.ops(handshake)[handshake.calls - 1]
        assert last.error_class == "success" or client.fn == "SSL_write", last


def test_silent_after_accept(client, authority, start):
    plain, trace, silent = broken(client, authority, start, peer.silent_after_accept, limit=client.limit)
    assert plain.status == 124
    check_silent(client, trace)


def test_silent_after_hello(client, authority, start):
    plain, trace, silent = broken(client, authority, start, peer.silent_after_hello, limit=client.limit)
    assert plain.status == 124 and silent.hellos >= 1
    check_silent(client, trace)


def check_silent(client, trace):
    check_basics(client, trace)
    for handshake in trace.handshakes:
        assert handshake.outcome in ("in_flight", "abandoned"), handshake
        assert handshake.duration_ns > 500e6, handshake
        assert handshake.cause == "PEER_SILENT" and handshake.fault == "peer", handshake
        assert "client hello" in handshake.states[-1]["state"]
        assert not handshake.alerts and not handshake.bytes_in
        assert handshake.evidence and handshake.advice
        waited = sum(handshake.time[part] for part in ("wait_in_call_ns", "gap_waiting_ns"))
        busy = client.name in ("wrk",)  # spins in its calls
        assert busy or waited > 0.8 * handshake.duration_ns, handshake


def test_plain_text(client, authority, start):
    _, trace, _ = broken(client, authority, start, peer.plain_text, limit=client.several and "3")
    check_basics(client, trace)
    failed = [h for h in trace.handshakes if h.outcome == "failed"]
    assert failed
    for handshake in failed:
        assert handshake.error == "SSL_ERROR_SSL"
        assert handshake.reason == "wrong version number"
        assert handshake.cause == "PLAINTEXT_PEER" and handshake.fault == "configuration"


def broken_off(client, trace):
    """The handshakes that OpenSSL was told have failed."""
    if client.name == "asyncio":
        # It reads the socket itself, and frees the SSL object when the peer is gone.
        assert [h.outcome for h in trace.handshakes] in (["abandoned"], ["in_flight"])
        return []
    failed = [h for h in trace.handshakes if h.outcome == "failed"]
    assert failed, trace.handshakes
    return failed


def test_reset(client, authority, start):
    _, trace, _ = broken(client, authority, start, peer.reset_after_hello,
                         limit=client.several and "3")
    check_basics(client, trace)
    for handshake in broken_off(client, trace):
        assert handshake.cause == "PEER_CLOSED" and handshake.fault == "peer"
        assert handshake.error == "SSL_ERROR_SYSCALL", handshake
        if client.bio == ("socket",):
            # What follows (SSL_shutdown) fails for another reason.
            assert trace.ops(handshake)[handshake.calls - 1].errno == 104  # ECONNRESET


def test_close(client, authority, start):
    _, trace, _ = broken(client, authority, start, peer.close_after_hello,
                         limit=client.several and "3")
    check_basics(client, trace)
    for handshake in broken_off(client, trace):
        assert handshake.cause == "PEER_CLOSED" and handshake.fault == "peer", handshake
        # Python and PHP tell OpenSSL to accept an unexpected end of stream.
        assert handshake.error in ("SSL_ERROR_SSL", "SSL_ERROR_SYSCALL",
                                   "SSL_ERROR_ZERO_RETURN"), handshake
        if handshake.error == "SSL_ERROR_SSL":
            assert handshake.reason == "unexpected eof while reading"


def test_expired(client, authority, real_server):
    if not client.verifies:
        pytest.skip(f"{client.name} accepts any certificate")
    server = real_server(authority.expired)
    plain, trace = both(client, authority, lambda: server.port)
    assert plain.status != 0
    check_basics(client, trace)
    for handshake in trace.handshakes:
        assert handshake.outcome == "failed" and handshake.error == "SSL_ERROR_SSL", handshake
        assert handshake.reason == "certificate verify failed"
        assert handshake.verify_result in (10, "certificate has expired"), handshake
        alert = handshake.alerts[-1]
        assert alert["by"] == "us" and "expired" in alert["description"], alert
        assert handshake.cause.startswith("CERTIFICATE") and handshake.fault == "configuration"


def test_protocol_mismatch(client, authority, real_server, tmp_path):
    """The client may use at most TLS 1.2, the server only TLS 1.3."""
    config = tmp_path / "openssl.cnf"
    config.write_text("openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = limits\n"
                      "[limits]\nMaxProtocol = TLSv1.2\n")
    server = real_server(authority.ecdsa, only=servers.TLS13)
    plain, trace = both(client, authority, lambda: server.port, env={"OPENSSL_CONF": str(config)},
                        limit=client.several and "3", at_most_12=True)
    assert plain.status != 0 or client.several
    check_basics(client, trace)
    failed = [h for h in trace.handshakes if h.outcome == "failed"]
    assert failed
    for handshake in failed:
        assert handshake.error == "SSL_ERROR_SSL", handshake
        assert handshake.reason == "tlsv1 alert protocol version"
        alert = handshake.alerts[-1]
        assert alert["by"] == "peer" and "protocol version" in alert["description"], alert
        assert handshake.cause.startswith("PROTOCOL") and handshake.fault == "configuration"
