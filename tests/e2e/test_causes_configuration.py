# SPDX-License-Identifier: Apache-2.0
"""Handshakes that fail because the two sides do not match."""
import subprocess

import peer
import servers
import stalls
from stalls import PYTHON, Traced, ending, hanging, reproduction

BLOCKING = [PYTHON, stalls.CLIENTS / "blocking.py"]


def curl(port, *more, scheme="https"):
    return ["/usr/bin/curl", "-sSk", "-m", "20", *more, f"{scheme}://localhost:{port}/"]


def s_client(port, *more):
    return ["/usr/bin/openssl", "s_client", "-brief", "-connect", f"127.0.0.1:{port}", *more]


def of_server(make, client, which=lambda record: True):
    """What a traced server records about one client."""

    def run(server):
        subprocess.run(list(map(str, client(server.port))), capture_output=True, timeout=20)
        server.await_handshake(lambda r: r.bytes_in and which(r))

    trace = stalls.served(make, run)
    chosen = [r for r in trace.handshakes if r.bytes_in and which(r)]
    return stalls.Seen(None, chosen[-1], trace)


def check_refusal(seen, reason):
    assert seen.final.outcome in ("failed", "ok") and seen.final.error != "SSL_ERROR_SYSCALL"
    assert reason in seen.evidence(), seen.evidence()
    assert seen.final.duration_ns < 2e9
    return seen


# ---- certificates -------------------------------------------------------------------


@reproduction("CERTIFICATE", "configuration", "curl", "the server's certificate has expired")
def test_expired(authority, start):
    port = start(servers.nginx(authority.expired)).port
    return check_refusal(ending(["/usr/bin/curl", "-sS", "--cacert", authority.ca,
                                 f"https://localhost:{port}/"]), "certificate verify failed")


@reproduction("CERTIFICATE", "configuration", "openssl s_client", "the server's certificate is not signed by a CA that the client trusts")
def test_unknown_ca(authority, start):
    port = start(servers.nginx(authority.ecdsa)).port
    return check_refusal(ending(s_client(port, "-verify_return_error")), "certificate verify failed")


@reproduction("CERTIFICATE", "configuration", "python3", "the server's certificate is for another host")
def test_wrong_host(authority, start):
    port = start(servers.nginx(authority.wrong_host)).port
    return check_refusal(ending([*BLOCKING, port, authority.ca]), "certificate verify failed")


@reproduction("CERTIFICATE", "configuration", "python3", "the server wants a client certificate")
def test_no_client_certificate(authority, start):
    server = start(servers.s_server(authority.ecdsa, only=servers.TLS13, www=False,
                                    more=["-Verify", "1"]))
    return check_refusal(ending([PYTHON, stalls.CLIENTS / "nonblocking.py", server.port, "read"]),
                         "certificate required")


@reproduction("CERTIFICATE", "configuration", "redis-server", "its client shows no certificate")
def test_server_without_client_certificate(authority):
    return check_refusal(of_server(
        lambda **more: servers.redis(authority.ecdsa, authority, clients="yes", **more),
        lambda port: ["/usr/bin/redis-cli", "--tls", "--cacert", authority.ca, "-p", port, "ping"]),
        "did not return a certificate")


@reproduction("CERTIFICATE", "configuration", "nginx", "its client does not know the CA")
def test_server_refused(authority):
    return check_refusal(of_server(
        lambda **more: servers.nginx(authority.ecdsa, only=servers.TLS12, **more),
        lambda port: s_client(port, "-verify_return_error")), "unknown ca")


# ---- versions, ciphers, protocols ---------------------------------------------------------


@reproduction("PROTOCOL_MISMATCH", "configuration", "curl", "TLS 1.2 at most, the server TLS 1.3 only")
def test_version(authority, start):
    port = start(servers.nginx(authority.ecdsa, only=servers.TLS13)).port
    return check_refusal(ending(curl(port, "--tls-max", "1.2")), "protocol version")


@reproduction("PROTOCOL_MISMATCH", "configuration", "nginx", "TLS 1.3 only, its client TLS 1.2 at most")
def test_server_version(authority):
    return check_refusal(of_server(
        lambda **more: servers.nginx(authority.ecdsa, only=servers.TLS13, **more),
        lambda port: curl(port, "--tls-max", "1.2")), "unsupported protocol")


@reproduction("CIPHER_MISMATCH", "configuration", "openssl s_client", "no TLS 1.3 cipher in common")
def test_cipher(authority, start):
    port = start(servers.s_server(authority.ecdsa, only=servers.TLS13, more=[
        "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"])).port
    return check_refusal(ending(s_client(port, "-ciphersuites", "TLS_AES_128_GCM_SHA256")),
                         "handshake failure")


@reproduction("CIPHER_MISMATCH", "configuration", "nginx", "no TLS 1.2 cipher in common")
def test_server_cipher(authority):
    return check_refusal(of_server(
        lambda **more: servers.nginx(authority.rsa, only=servers.TLS12,
                                     more="ssl_ciphers ECDHE-RSA-AES256-GCM-SHA384;", **more),
        lambda port: curl(port, "--ciphers", "ECDHE-RSA-AES128-GCM-SHA256")), "no shared cipher")


@reproduction("ALPN_MISMATCH", "configuration", "openssl s_client", "no application protocol in common")
def test_alpn(authority, start):
    port = start(servers.nginx(authority.ecdsa)).port
    return check_refusal(ending(s_client(port, "-alpn", "imap")), "no application protocol")


# ---- other protocols than TLS ---------------------------------------------------------------


@reproduction("PLAINTEXT_PEER", "configuration", "curl", "https to nginx's port for http")
def test_http_port(start):
    return check_refusal(ending(curl(start(servers.nginx()).port)), "wrong version number")


@reproduction("PLAINTEXT_PEER", "configuration", "stunnel", "http to its port for TLS")
def test_http_request(authority):
    return check_refusal(of_server(lambda **more: servers.stunnel(authority.ecdsa, 1, **more),
                                   lambda port: curl(port, scheme="http")), "http request")


def greets(_peer, connection):
    connection.sendall(b"220 mail.example ESMTP ready\r\n")
    peer.wait_for_eof(connection)


@reproduction("PLAINTEXT_PEER", "configuration", "openssl s_client", "STARTTLS is missing")
def test_no_starttls(start):
    return check_refusal(ending(s_client(start(peer.Peer(greets)).port)), "wrong version number")


# ---- roles -----------------------------------------------------------------------------------


@reproduction("WRONG_ROLE", "configuration", "python3, a server", "it takes the client's role too")
def test_both_clients(authority):
    with Traced([PYTHON, stalls.CLIENTS / "server.py", "client"]) as traced:
        port = int(servers.await_that(lambda: traced.text().split(), "its port")[0])
        subprocess.run(curl(port), capture_output=True, timeout=20)
        servers.await_recorded(traced.recorder, lambda record: record.outcome != "in_flight")
        trace = traced.end()
        return check_refusal(stalls.Seen(None, trace.only(), trace), "unexpected message")


@reproduction("WRONG_ROLE", "configuration", "python3, a client", "it takes the server's role, both wait")
def test_both_servers(authority, start, make_network):
    net = make_network()
    start(servers.nginx(authority.ecdsa, port=443, within=net.far))
    seen = hanging([PYTHON, stalls.CLIENTS / "wrong_role.py", authority.ecdsa.both, "443"],
                   within=net.near)
    assert "PEER_SILENT" in seen.final.not_told_from and seen.final.confidence == "low"
    return seen
