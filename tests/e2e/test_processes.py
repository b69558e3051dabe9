# SPDX-License-Identifier: Apache-2.0
"""Processes that share SSL objects: one makes them, another drives the handshake, a third frees them."""
import socket
import ssl
import time

import pytest

import servers
import tracing

OPTIONS = ("OPTIONS sip:a@127.0.0.1 SIP/2.0\r\n"
           "Via: SIP/2.0/TLS 127.0.0.1:5;branch=z9hG4bK{0}\r\n"
           "From: <sip:a@b>;tag=1\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: {0}\r\n"
           "CSeq: 1 OPTIONS\r\nMax-Forwards: 7\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("mode", ["all", "handshake", "off"])
def test_objects_in_shared_memory_are_the_program_s(mode, tmp_path):
    program = tracing.PROGRAMS / "shared_objects"
    preload = {"LD_PRELOAD": str(tracing.SHIM), "TLSTALL_DIR": str(tmp_path), "TLSTALL_MODE": mode}
    plain = tracing.run([program])
    assert plain.status == 0 and "status" not in plain.stdout, plain
    tracing.compare(plain, tracing.run([program], env=preload))


def test_objects_in_shared_memory_are_recorded():
    # A handshake that another process continues stays in flight forever in the first one.
    trace = tracing.traced([tracing.PROGRAMS / "shared_objects"], check=False).trace
    by_outcome = {}
    for handshake in trace.handshakes:
        by_outcome.setdefault(handshake.outcome, []).append(handshake)
    assert {outcome: len(all_) for outcome, all_ in by_outcome.items()} == {
        "ok": 12, "in_flight": 1, "abandoned": 1}
    # freed by a process that had never seen it
    (abandoned,) = by_outcome["abandoned"]
    assert abandoned.calls == 1 and abandoned.role == "client"
    # memory was reused, and each object recognized as new
    assert len({h.ssl for h in trace.handshakes}) < len(trace.handshakes)


def ask(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 20) as plain:
        with context.wrap_socket(plain) as tls:
            tls.sendall(OPTIONS.format(time.time_ns()).encode())
            return tls.recv(14)


def test_kamailio(authority, start):
    server = start(servers.kamailio(authority.ecdsa, trace=True))
    for _ in range(5):
        assert ask(server.port) == b"SIP/2.0 200 OK"
    server.end()
    assert "exited by a signal" not in server.log_text()
    accepted = [h for h in server.trace.handshakes if h.role == "server" and h.outcome == "ok"]
    assert len(accepted) == 5
