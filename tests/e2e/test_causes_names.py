# SPDX-License-Identifier: Apache-2.0
"""Server names, clocks, old servers, pre-shared keys: what each side requires of the other."""
import os
import ssl
import struct
import subprocess

import peer
import servers
import stalls
from stalls import PYTHON, ending, reproduction
from test_causes_configuration import check_refusal, curl, of_server, s_client

NAMED = [PYTHON, stalls.CLIENTS / "named.py"]
REJECTS = "ssl_reject_handshake on;"


def check_advice(seen, *words):
    for word in words:
        assert word in seen.final.advice, seen.final
    return seen


# ---- the server's name ---------------------------------------------------------------


@reproduction("SERVER_NAME", "configuration", "curl", "it asks by address, the server knows one name")
def test_no_name(authority, start):
    port = start(servers.nginx(authority.ecdsa, more=REJECTS)).port
    seen = ending(["/usr/bin/curl", "-sk", "-m", "20", f"https://127.0.0.1:{port}/"])
    assert "named no server" in seen.evidence() and seen.final.confidence == "high"
    return check_advice(check_refusal(seen, "unrecognized name"), "SSL_set_tlsext_host_name")


@reproduction("SERVER_NAME", "configuration", "curl", "it asks for a name that is not served, in TLS 1.2")
def test_unknown_name(authority, start):
    port = start(servers.nginx(authority.ecdsa, only=servers.TLS12, more=REJECTS)).port
    seen = ending(curl(port))
    assert '"localhost"' in seen.evidence()
    return check_refusal(seen, "unrecognized name")


@reproduction("SERVER_NAME", "configuration", "nginx, a proxy", "proxy_ssl_server_name is off")
def test_proxy_sends_no_name(authority, start):
    port = start(servers.nginx(authority.ecdsa, more=REJECTS)).port
    trace = stalls.served(
        lambda **more: servers.nginx(location=f"location / {{ proxy_pass https://127.0.0.1:{port}; }}", **more),
        lambda server: subprocess.run(curl(server.port, scheme="http"), capture_output=True, timeout=20))
    seen = stalls.Seen(None, [r for r in trace.handshakes if r.role == "client"][-1], trace)
    return check_advice(check_refusal(seen, "unrecognized name"), "proxy_ssl_server_name")


@reproduction("SERVER_NAME", "configuration", "nginx", "its client asks for a name that it does not serve")
def test_server_rejects_name(authority):
    seen = of_server(lambda **more: servers.nginx(authority.ecdsa, more=REJECTS, **more), curl)
    assert "we sent the fatal alert 112" in seen.evidence()
    return check_advice(seen, "Serve that name")


def refuses_by_alert_40(certificate):
    """A server that answers every ClientHello with alert 40, as some servers with many names do."""

    def refuse(connection, _name, _context):
        return ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    context.sni_callback = refuse

    def behave(_peer, connection):
        context.wrap_socket(connection, server_side=True)

    return behave


@reproduction("CIPHER_MISMATCH", "configuration", "python3", "it names no server, and is told of a handshake failure",
              also="SERVER_NAME")
def test_bare_failure(authority, start):
    port = start(peer.Peer(refuses_by_alert_40(authority.ecdsa))).port
    seen = ending([*NAMED, port, "-"])
    assert seen.final.confidence == "medium"
    return check_refusal(seen, "alert 40")


@reproduction("SERVER_NAME", "configuration", "openssl s_client",
              "it names no server, and the default certificate is another host's", also="CERTIFICATE")
def test_default_certificate(authority, start):
    port = start(servers.nginx(authority.wrong_host)).port
    seen = ending(s_client(port, "-noservername", "-verify_hostname", "localhost", "-verify_return_error",
                           "-CAfile", authority.ca))
    return check_refusal(seen, "certificate verify failed")


# ---- certificates and the clock -------------------------------------------------------------


@reproduction("CERTIFICATE", "configuration", "curl", "the server's certificate is not yet valid")
def test_not_yet_valid(authority, start):
    port = start(servers.nginx(authority.future)).port
    seen = ending(["/usr/bin/curl", "-sS", "--cacert", authority.ca, f"https://localhost:{port}/"])
    assert "valid from 2048-01-01" in seen.evidence() and "clock said 20" in seen.evidence()
    return check_advice(check_refusal(seen, "certificate is not yet valid"), "clock first")


@reproduction("CERTIFICATE", "configuration", "python3", "the server's certificate has expired, in TLS 1.2")
def test_expired_python(authority, start):
    port = start(servers.nginx(authority.expired, only=servers.TLS12)).port
    seen = ending([*NAMED, port, "localhost", authority.ca])
    assert "to 2020-01-01" in seen.evidence()
    return check_advice(check_refusal(seen, "certificate has expired"), "Renew")


@reproduction("CERTIFICATE", "configuration", "openssl s_server", "its client's certificate has expired")
def test_server_expired(authority):
    seen = of_server(
        lambda **more: servers.s_server(authority.ecdsa, only=servers.TLS12, more=[
            "-Verify", "1", "-CAfile", authority.ca, "-verify_return_error"], **more),
        lambda port: s_client(port, "-cert", authority.expired.cert, "-key", authority.expired.key))
    return check_refusal(seen, "certificate has expired")


# ---- old servers -------------------------------------------------------------------------------


def lacks_renegotiation_info(behaving, connection):
    """A TLS 1.2 ServerHello without extensions."""
    behaving.read_hello(connection)
    body = b"\x03\x03" + os.urandom(32) + b"\0" + b"\xc0\x2f" + b"\0"
    hello = b"\x02" + struct.pack(">I", len(body))[1:] + body
    connection.sendall(b"\x16\x03\x03" + struct.pack(">H", len(hello)) + hello)
    peer.wait_for_eof(connection)


@reproduction("LEGACY_RENEGOTIATION", "configuration", "curl", "the server does not know RFC 5746")
def test_legacy_renegotiation(start):
    seen = ending(curl(start(peer.Peer(lacks_renegotiation_info)).port))
    return check_advice(check_refusal(seen, "unsafe legacy renegotiation disabled"), "SSL_OP_LEGACY_SERVER_CONNECT")


@reproduction("LEGACY_RENEGOTIATION", "configuration", "python3", "the server does not know RFC 5746")
def test_legacy_renegotiation_python(start):
    return check_refusal(ending([*NAMED, start(peer.Peer(lacks_renegotiation_info)).port, "localhost"]),
                         "unsafe legacy renegotiation disabled")


@reproduction("PROTOCOL_MISMATCH", "configuration", "openssl s_server", "its client speaks TLS 1.1, the security level is 2")
def test_old_version(authority):
    seen = of_server(
        lambda **more: servers.s_server(authority.rsa, more=["-cipher", "DEFAULT@SECLEVEL=2"], **more),
        lambda port: s_client(port, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"))
    return check_advice(check_refusal(seen, "TLSv1.1"), "SECLEVEL=0")


@reproduction("PROTOCOL_MISMATCH", "configuration", "openssl s_client", "TLS 1.1 at most, its security level is 2")
def test_old_version_of_client(authority, start):
    port = start(servers.s_server(authority.rsa, more=["-cipher", "DEFAULT@SECLEVEL=0"])).port
    seen = ending(s_client(port, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=2"))
    return check_advice(check_refusal(seen, "TLSv1.1"), "SECLEVEL=0")


@reproduction("CERTIFICATE", "configuration", "openssl s_client", "the server's key is too small for the security level")
def test_small_key(authority, start):
    port = start(servers.s_server(authority.small, more=["-cipher", "DEFAULT@SECLEVEL=0"])).port
    seen = ending(s_client(port, "-cipher", "DEFAULT@SECLEVEL=2", "-verify_return_error", "-CAfile", authority.ca))
    return check_refusal(seen, "certificate verify failed")


# ---- pre-shared keys ----------------------------------------------------------------------------


PSK = ["-psk_identity", "us", "-psk"]


@reproduction("PSK_MISMATCH", "configuration", "stunnel", "it does not know its client's identity")
def test_psk_identity(authority, directory):
    secrets = directory / "secrets"
    secrets.write_text("somebody:0123456789abcdef0123456789abcdef\n")
    secrets.chmod(0o600)
    seen = of_server(
        lambda **more: servers.stunnel(authority.ecdsa, 1, only=servers.TLS12,
                                       settings=f"ciphers = PSK\nPSKsecrets = {secrets}", **more),
        lambda port: s_client(port, *PSK, "abcdef01abcdef01abcdef01abcdef01"))
    return check_refusal(seen, "psk identity not found")


@reproduction("PSK_MISMATCH", "configuration", "openssl s_server", "its client has another key, in TLS 1.3")
def test_psk_key(authority):
    seen = of_server(
        lambda **more: servers.s_server(authority.ecdsa, only=servers.TLS13, www=False, more=[*PSK, "abcdef01"], **more),
        lambda port: s_client(port, "-ciphersuites", "TLS_AES_128_GCM_SHA256", *PSK, "abcdef02"))
    return check_refusal(seen, "binder does not verify")
