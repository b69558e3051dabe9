# SPDX-License-Identifier: Apache-2.0
"""Real clients and servers of the Debian suite that this runs in, as in test_clients.py and
test_servers.py but without what differs between versions: the number of handshakes, their outcome and
cause, and the same output with and without the shim."""
import os
import subprocess

import pytest

import peer
import servers
import suite
import test_clients
import tracing

coverage = pytest.mark.coverage

# How they get to libssl.
WAYS = {
    "curl": ("transitive", "curl"),
    "python": ("plugin, RTLD_LOCAL", "python3, blocking"),
    "asyncio": ("plugin, RTLD_LOCAL", "python3, memory BIO"),
    "s_client": ("direct link", "openssl s_client"),
    "redis-cli": ("direct link", "redis-cli"),
    "ruby": ("plugin, RTLD_LOCAL", "ruby"),
    "perl": ("plugin, RTLD_LOCAL", "perl"),
    "php": ("direct link", "php"),
}


@pytest.fixture(params=[pytest.param(test_clients.CLIENTS[name], id=name, marks=coverage(*way))
                        for name, way in WAYS.items()])
def client(request):
    suite.needs(request.param.argv[0])
    if suite.EMULATED and request.param.name not in ("curl", "s_client"):
        pytest.skip("not run under emulation, which is slow")
    return request.param


real_server = test_clients.real_server


def counted(trace, outcome, cause):
    assert [(h.role, h.outcome, h.cause) for h in trace.handshakes] in (
        [("client", o, cause)] for o in outcome), trace.handshakes


def test_good(client, authority, real_server):
    suite.needs({"redis": "/usr/bin/redis-server", "nginx": "/usr/sbin/nginx"}.get(
        client.server, "/usr/bin/openssl"))
    server = real_server(authority.ecdsa)
    plain, trace = test_clients.both(client, authority, lambda: server.port)
    assert plain.status == 0, plain
    counted(trace, ["ok"], "NONE")
    handshake = trace.only()
    assert handshake.version == "TLSv1.3" and handshake.sni == client.sni


def test_silent_peer(client, authority, start):
    limit = "8" if suite.EMULATED else client.limit
    plain, trace, silent = test_clients.broken(client, authority, start, peer.silent_after_hello,
                                               limit=limit)
    assert plain.status == 124 and silent.hellos == 1
    counted(trace, ["in_flight", "abandoned"], "PEER_SILENT")
    assert trace.only().fault == "peer" and trace.only().duration_ns > 100e6


@pytest.mark.parametrize("name", [
    pytest.param("s_server", marks=coverage("direct link", "openssl s_server")),
    pytest.param("nginx", marks=coverage("direct link", "nginx")),
    pytest.param("stunnel", marks=coverage("direct link", "stunnel4"))])
def test_server(name, authority, start):
    """Its client is s_client, which prints what it saw."""
    suite.needs({"nginx": "/usr/sbin/nginx", "stunnel": "/usr/bin/stunnel4"}.get(
        name, "/usr/bin/openssl"))
    answers = []
    for trace in (False, True):
        server = start(make_server(name, authority, start, trace))
        command = test_clients.CLIENTS["s_client"].command(server.port, authority)
        answers.append(tracing.run(command))
        if trace:
            server.await_handshake()
        server.end()
    tracing.compare(*answers)
    assert answers[0].status == 0
    handshakes = [h for h in server.trace.check().handshakes if h.states]
    assert [(h.role, h.outcome, h.cause, h.version) for h in handshakes] == [
        ("server", "ok", "NONE", "TLSv1.3")], handshakes


def make_server(name, authority, start, trace):
    if name == "stunnel":
        # Silent: in every run, the end of the client's standard input ends the connection.
        target = start(peer.Peer(peer.silent_after_accept)).port
        return servers.stunnel(authority.ecdsa, target, trace=trace)
    if name == "nginx":
        return servers.nginx(authority.ecdsa, trace=trace)
    return servers.s_server(authority.ecdsa, trace=trace, www=False)


@coverage("the shim left out", "openssl s_client", "the comparison fails")
def test_comparison_fails_without_the_shim(authority, start, monkeypatch):
    server = start(servers.s_server(authority.ecdsa))
    client = test_clients.CLIENTS["s_client"]
    real = tracing.Recorder.command
    monkeypatch.setattr(tracing.Recorder, "command", lambda self, argv, *program: real(
        self, ["env", "-u", "LD_PRELOAD", *argv], *program))
    with pytest.raises(AssertionError, match="the shim saw nothing"):
        test_clients.both(client, authority, lambda: server.port)


@pytest.mark.parametrize("command", ["look", "attach"])
def test_what_may_be_entered(command):
    """Both enter a running process, which has not been written for other machines."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as cat:
        cat.stdin.write(b"x")
        assert cat.stdout.read(1) == b"x"  # it has loaded its libraries
        result = tracing.run([tracing.TLSTALL, command, str(cat.pid)])
        assert cat.poll() is None
    said = "has no libssl" if os.uname().machine == "x86_64" else f"tlstall {command} works only on x86-64"
    assert result.status == 1 and said in result.stderr, result
