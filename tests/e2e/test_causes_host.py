# SPDX-License-Identifier: Apache-2.0
"""Stalls inside a call, and stalls of servers."""
import contextlib
import re
import socket
import subprocess

import peer
import servers
import stalls
from stalls import PYTHON, Running, Traced, ending, hanging, reproduction

CURL = ["/usr/bin/curl", "-sSk", "-m", "20"]


def program(name, *arguments):
    return [stalls.STALLS / name, *arguments]


def server_program(how, certificate, *more):
    return [PYTHON, stalls.CLIENTS / "server.py", how, certificate.cert, certificate.key, *more]


def silent(start, behave=peer.silent_after_accept):
    return start(peer.Peer(behave)).port


def curl(port):
    return [*CURL, f"https://localhost:{port}/"]


def serving(argv, provoke, which=lambda record: True, **options):
    """A traced program that prints its port; provoke(port) is active while its handshake hangs."""
    with Traced(argv, **options) as traced:
        port = int(servers.await_that(lambda: traced.text().split(), "its port")[0])
        with provoke(port):
            live = traced.hangs(which)
            trace = traced.end()
        return stalls.Seen(live, [r for r in trace.handshakes if stalls.same(live)(r)][-1], trace)


# ---- callbacks and locks --------------------------------------------------------------


def check_callback(seen):
    for record in seen.records():
        assert record.time["wait_in_call_ns"] > 1e9, record
        assert "not the handshake's own socket" in "\n".join(record.evidence), record
    return seen


@reproduction("CALLBACK_BLOCKED", "program", "a C program, blocking",
              "its verify callback asks a silent OCSP server")
def test_ocsp(authority, start):
    port = start(servers.nginx(authority.ecdsa)).port
    return check_callback(hanging(program("ocsp_callback", port, silent(start))))


@reproduction("CALLBACK_BLOCKED", "program", "a C program, non-blocking",
              "its verify callback asks a silent OCSP server")
def test_ocsp_nonblocking(authority, start):
    port = start(servers.nginx(authority.ecdsa)).port
    return check_callback(hanging(program("ocsp_callback", port, silent(start), "nonblocking")))


@reproduction("CALLBACK_BLOCKED", "program", "stunnel, OCSP on", "its OCSP server does not answer")
def test_stunnel_ocsp(authority, start, tmp_path):
    server = start(servers.nginx(authority.ecdsa))
    port = servers.free_port()
    config = tmp_path / "stunnel.conf"
    config.write_text(f"foreground = yes\npid =\ndebug = 5\n[test]\nclient = yes\n"
                      f"accept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{server.port}\n"
                      f"CAfile = {authority.ca}\nverifyChain = yes\n"
                      f"OCSP = http://127.0.0.1:{silent(start)}/\n")

    with Traced(["/usr/bin/stunnel4", config]) as traced:
        servers.await_that(lambda: "Configuration successful" in traced.text(), traced.text)
        with socket.create_connection(("127.0.0.1", port)):
            live = traced.hangs()
            trace = traced.end()
        return check_callback(stalls.Seen(live, trace.handshakes[-1], trace))


@reproduction("CALLBACK_BLOCKED", "program", "python3, a server",
              "its SNI callback asks a silent directory")
def test_sni_callback(authority, start):
    return check_callback(serving(server_program("names", authority.ecdsa, silent(start)),
                                  lambda port: Running(curl(port))))


@reproduction("LOCK_OR_ENTROPY", "host", "a C program", "another thread has locked OpenSSL's store of CAs")
def test_lock_of_openssl(authority, start):
    port = start(servers.nginx(authority.ecdsa)).port
    seen = hanging(program("store_lock", port))
    assert "waits for a lock" in seen.evidence()
    return seen


@reproduction("CALLBACK_BLOCKED", "program", "a C program", "its verify callback waits for a mutex")
def test_mutex(authority, start):
    port = start(servers.nginx(authority.ecdsa)).port
    seen = hanging(program("lock_in_callback", port))
    assert "waits for a lock in look_up" in seen.evidence()
    return seen


@reproduction("CALLBACK_BLOCKED", "program", "python3, blocking",
              "its key log callback needs the GIL, which another thread keeps for 3 s")
def test_gil_in_callback(authority, start):
    server = start(servers.nginx(authority.ecdsa))
    # the answer arrives when the other thread certainly has the lock
    port = start(peer.Peer(peer.relay(server.port, peer.late(0.1)))).port
    with Traced([PYTHON, stalls.CLIENTS / "gil.py", port, "blocking", "3"]) as traced:
        live = traced.hangs()
        trace = traced.end(None)
        seen = stalls.Seen(live, trace.only(), trace)
    assert seen.final.outcome == "ok" and seen.final.time["cpu_ns"] < 0.5e9, seen.final
    assert "waits for a lock in _ssl" in seen.evidence() and "this was seen" in seen.evidence()
    return seen


# ---- the program's own work -------------------------------------------------------------


def pending(what, error, role):
    seen = hanging(program("async", what), lambda r: r.role == role)
    assert error in seen.evidence(), seen.evidence()
    for record in seen.records():
        assert record.want_other == 1, record
    return seen


@reproduction("ASYNC_PENDING", "program", "a C program", "its client certificate callback has none yet")
def test_certificate_pending():
    return pending("lookup", "WANT_X509_LOOKUP", "client")


@reproduction("ASYNC_PENDING", "program", "a C program", "its ClientHello callback asks to be called again")
def test_client_hello_pending():
    return pending("hello", "WANT_CLIENT_HELLO_CB", "server")


@reproduction("ASYNC_PENDING", "program", "a C program", "its verify callback asks to be called again")
def test_verify_pending():
    return pending("verify", "WANT_RETRY_VERIFY", "client")


# ---- computing ----------------------------------------------------------------------------


def check_computing(seen, at_least):
    assert seen.final.outcome == "ok" and seen.final.time["cpu_ns"] > at_least, seen.final
    assert "computing inside OpenSSL" in seen.evidence()
    return seen


@reproduction("CPU_HEAVY", "host", "curl", "it reads 10,000 CA certificates in the handshake")
def test_large_bundle(authority, start, tmp_path):
    bundle = tmp_path / "bundle.pem"
    subprocess.run([stalls.STALLS / "bundle", "10000", bundle], check=True)
    port = start(servers.nginx(authority.ecdsa)).port
    return hanging(["/usr/bin/curl", "-sS", "--cacert", bundle, f"https://localhost:{port}/"])


@reproduction("CPU_HEAVY", "host", "a C program, a server", "it signs with a key of RSA-16384")
def test_heavy_key():
    return check_computing(ending(program("heavy_key"), lambda r: r.role == "server"), 0.3e9)


# ---- servers -----------------------------------------------------------------------------


@contextlib.contextmanager
def one_good_then_a_silent(port):
    assert subprocess.run([*curl(port), "--http0.9"], capture_output=True).stdout is not None
    with socket.create_connection(("127.0.0.1", port)):
        yield


def check_accept_loop(seen):
    assert re.search(r"made \d+ handshakes? before", seen.evidence())
    assert {r.outcome for r in seen.trace.handshakes[:-1]} == {"ok"}
    return seen


@reproduction("ACCEPT_LOOP_BLOCKED", "program", "python3, a server",
              "it makes handshakes in its accept loop, and a client is silent")
def test_python_accept_loop(authority):
    return check_accept_loop(serving(server_program("loop", authority.ecdsa), one_good_then_a_silent,
                                     lambda r: not r.bytes_in))


@reproduction("ACCEPT_LOOP_BLOCKED", "program", "a C program, a server",
              "it makes handshakes in its accept loop, and a client is silent")
def test_accept_loop():
    return check_accept_loop(serving(program("accept_loop"), one_good_then_a_silent,
                                     lambda r: not r.bytes_in))


@reproduction("TICKET_DEADLOCK", "program", "openssl s_server",
              "it writes 30,000 session tickets, the client only writes")
def test_tickets(authority):
    port = servers.free_port()
    with Traced(["/usr/bin/openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert",
                 authority.ecdsa.cert, "-key", authority.ecdsa.key, "-num_tickets", "30000",
                 "-tls1_3", "-quiet"], stdin=subprocess.PIPE) as traced:
        servers.await_that(lambda: can_connect(port), traced.text)
        with Running([PYTHON, stalls.CLIENTS / "writes_only.py", port]):
            live = traced.hangs(seconds=3.2)  # filling the buffers takes a while
            trace = traced.end()
        traced.process.stdin.close()
        seen = stalls.Seen(live, trace.handshakes[-1], trace)
    assert "session tickets" in seen.evidence() and seen.final.confidence == "high"
    return seen


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except OSError:
        return False
