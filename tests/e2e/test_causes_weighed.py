# SPDX-License-Identifier: Apache-2.0
"""Several causes at once, and which one leads to which: who was late, who left, and what uses a CPU."""
import collections
import contextlib
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import threading
import time

import peer
import servers
import stalls
from stalls import PYTHON, Traced, ending, hanging, reproduction


def program(name, *arguments):
    return [stalls.STALLS / name, *arguments]


def silent(start):
    return start(peer.Peer(peer.silent_after_hello)).port


def curl(port):
    return ["/usr/bin/curl", "-sSk", "-m", "20", f"https://localhost:{port}/"]


# ---- late, so the peer leaves ---------------------------------------------------------------


@reproduction("ACCEPT_LOOP_BLOCKED", "program", "a C program, a server",
              "it makes handshakes in its accept loop, and a silent client leaves after a while", also="PEER_CLOSED")
def test_silent_client_leaves(authority):
    with Traced(program("accept_loop")) as traced:
        port = int(servers.await_that(lambda: traced.text().split(), "its port")[0])
        subprocess.run(curl(port), capture_output=True, timeout=20)
        with socket.create_connection(("127.0.0.1", port)):
            traced.hangs(lambda r: not r.bytes_in)
        subprocess.run(curl(port), capture_output=True, timeout=20)
        trace = traced.end()
    silent_one = [r for r in trace.handshakes if not r.bytes_in]
    assert "probe" not in str(silent_one[0].evidence)
    return stalls.Seen(None, silent_one[0], trace)


@reproduction("LATE_START", "program", "a C program, a server",
              "its thread is held up, and a client that waits meanwhile gives up", also="PEER_CLOSED")
def test_late_server_and_the_client_leaves(authority):
    with Traced(program("accept_loop")) as traced:
        port = int(servers.await_that(lambda: traced.text().split(), "its port")[0])
        with socket.create_connection(("127.0.0.1", port)):
            traced.hangs(lambda r: not r.bytes_in)
            hurried = subprocess.run(["/usr/bin/curl", "-sSk", "-m", "0.5", f"https://localhost:{port}/"],
                                     capture_output=True)
            assert hurried.returncode == 28  # its own timeout
        subprocess.run(curl(port), capture_output=True, timeout=20)
        trace = traced.end()
    late = [r for r in trace.handshakes if r.bytes_in and r.outcome == "failed"]
    return stalls.Seen(None, late[0], trace)


# ---- overload ----------------------------------------------------------------------------------


class Shaking:
    """A client that sends its ClientHello at once, and continues when its socket is readable."""

    def __init__(self, port, context):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.input, self.output = peer.ssl.MemoryBIO(), peer.ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.input, self.output)

    def fileno(self):
        return self.socket.fileno()

    def is_done(self):
        try:
            self.tls.do_handshake()
            return True
        except peer.ssl.SSLWantReadError:
            return False
        finally:
            self.socket.sendall(self.output.read())

    def feed(self):
        self.input.write(self.socket.recv(65536))


def trusting():
    context = peer.ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, peer.ssl.CERT_NONE
    return context


def crowd(port, count, patience):
    """This many clients begin at once; when `patience` of them have finished, the others close."""
    context = trusting()
    waiting = [Shaking(port, context) for _ in range(count)]
    served = []
    assert not any(client.is_done() for client in waiting)
    while len(served) < patience:
        for client in select.select(waiting, [], [], 20)[0]:
            client.feed()
            if client.is_done():
                served.append(client)
                waiting.remove(client)
    for client in served + waiting:
        client.socket.close()


@reproduction("OVERLOAD", "program", "nginx, one worker",
              "350 clients at once for one thread that signs with RSA-4096; the impatient ones leave",
              also="PEER_CLOSED")
def test_overload(authority):
    large = authority.large_key()
    trace = stalls.served(lambda **more: servers.nginx(large, **more), lambda server: crowd(server.port, 350, 100))
    overloaded = [r for r in trace.handshakes if r.cause == "OVERLOAD" and r.outcome != "ok"]
    assert overloaded, collections.Counter(r.cause for r in trace.handshakes)
    last = max(overloaded, key=lambda r: r.ts_ns)
    assert (last.key_type, last.key_bits) == ("RSA", 4096), last
    for said in (r"inside OpenSSL for \d+ % of the time", r"[1-9]\d* handshakes per second, [\d.]+ [mu]?s each",
                 "key: RSA, 4096 bits", r"the signature of this handshake took [\d.]+ m?s"):
        assert re.search(said, "\n".join(last.evidence)), (said, last.evidence)
    return stalls.Seen(None, last, trace)


# ---- busy event loops ---------------------------------------------------------------------------


BUSY = ("local until_ = redis.call('time')[1] + 5 "
        "while tonumber(redis.call('time')[1]) < until_ do end return 'done'")


def cpu_ticks(pid):
    """10 ms each, in the program itself."""
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


@contextlib.contextmanager
def late_clients(port, count):
    """They connect; calling what the block yields starts their handshakes."""
    plain = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    context = trusting()

    def shake(connection):
        with contextlib.suppress(OSError), context.wrap_socket(connection):
            pass

    threads = [threading.Thread(target=shake, args=(each,), daemon=True) for each in plain]
    yield threads
    for thread in threads:
        thread.join(20)


@reproduction("APP_NOT_RESUMING", "program", "redis-server",
              "its event loop is in a script for some seconds: all handshakes wait for that")
def test_redis_script(authority):
    with stalls.directory_for_traces() as traces:
        with servers.redis(authority.ecdsa, authority, trace=["-d", traces]) as server:
            plain = socket.create_connection(("127.0.0.1", server.port), 20)
            with trusting().wrap_socket(plain) as other, late_clients(server.port, 5) as threads:
                # once the server has answered another client, their handshakes have begun
                other.sendall(b"PING\r\n")
                assert other.recv(100) == b"+PONG\r\n"
                before = cpu_ticks(server.target())
                other.sendall(f'EVAL "{BUSY}" 0\r\n'.encode())
                # only its use of the CPU shows that the script is running
                servers.await_that(lambda: cpu_ticks(server.target()) > before + 2, "it computes")
                for thread in threads:
                    thread.start()
                assert b"done" in other.recv(100)
            server.end()
            trace = stalls.with_reports(server.trace, traces)
    waited = [r for r in trace.handshakes if r.duration_ns > 2e9 and r.outcome == "ok"]
    assert len(waited) == 5 and {r.cause for r in waited} == {"APP_NOT_RESUMING"}, waited
    assert "other handshakes of this thread waited" in str(waited[0].evidence)
    return stalls.Seen(None, waited[0], trace)


def answers_late(authority, start, seconds):
    server = start(servers.nginx(authority.ecdsa))
    return start(peer.Peer(peer.relay(server.port, peer.late(seconds)))).port


@reproduction("APP_NOT_RESUMING", "program", "python3, asyncio",
              "another coroutine computes for 3 s; the peer had answered")
def test_asyncio_computes(authority, start):
    port = answers_late(authority, start, 0.5)
    seen = ending([PYTHON, stalls.CLIENTS / "asyncio_busy.py", port, "compute"])
    assert seen.final.confidence != "high" and "computed" in seen.evidence()
    return seen


@reproduction("APP_NOT_RESUMING", "program", "python3, asyncio",
              "another coroutine sleeps for 3 s; the peer had answered")
def test_asyncio_sleeps(authority, start):
    port = answers_late(authority, start, 0.5)
    seen = ending([PYTHON, stalls.CLIENTS / "asyncio_busy.py", port, "sleep"])
    assert "this was seen" in seen.evidence()
    return seen


@reproduction("APP_NOT_RESUMING", "program", "curl",
              "it is stopped with SIGSTOP and goes on later; the peer answers meanwhile")
def test_stopped_for_a_while(authority, start):
    stopped = threading.Event()

    def forward(connection, upstream):
        stopped.wait(20)
        peer._copy(upstream, connection)

    server = start(servers.nginx(authority.ecdsa))
    with Traced(curl(start(peer.Peer(peer.relay(server.port, forward))).port)) as traced:
        traced.hangs(lambda r: r.cause == "PEER_SILENT", seconds=0.5)
        os.kill(traced.target(), signal.SIGSTOP)
        stopped.set()
        traced.hangs(lambda r: r.cause == "APP_NOT_RESUMING", seconds=2.5)
        os.kill(traced.target(), signal.SIGCONT)
        trace = traced.end(None)
    assert trace.only().outcome == "ok" and "stopped" in str(trace.only().evidence)
    return stalls.Seen(None, trace.only(), trace)


@reproduction("PEER_SILENT", "peer", "curl", "the server answers after 3 s, at once and whole")
def test_late_answer(authority, start):
    port = answers_late(authority, start, 3)
    seen = ending(curl(port))
    assert "pieces" not in seen.evidence() and seen.final.want_read > 2
    return seen


@reproduction("PEER_SILENT", "peer", "a C program, poll()",
              "the peer is silent, and poll() asks for writable too: it never sleeps", also="BUSY_SPIN")
def test_poll_spin(start):
    with Traced(program("poll_spin", silent(start))) as traced:
        traced.hangs(seconds=3.2)  # `run` has looked more than once
        trace = traced.end()
    return stalls.Seen(None, trace.only(), trace)


# ---- after a failure ------------------------------------------------------------------------------


ROOM = {"TLSTALL_SIZE": "64M"}  # each of some 100,000 calls a second is recorded


def repeating(argv):
    with Traced(argv, env=ROOM) as traced:
        live = servers.await_that(
            lambda: [r for r in stalls.live_records(traced.traces, traced.process)
                     if r.outcome == "failed" and (r.after_fatal or {}).get("calls", 0) > 100], traced.text)[0]
        trace = traced.end()
    return stalls.Seen(live, trace.only(), trace)


@reproduction("PROTOCOL_MISMATCH", "configuration", "a C program, poll()",
              "no version in common, and it calls on after that", also="FATAL_IGNORED")
def test_fatal_ignored(authority, start):
    return repeating(program("fatal_ignored", start(servers.nginx(authority.ecdsa, only=servers.TLS13)).port))


@reproduction("PEER_CLOSED", "peer", "a C program, poll()",
              "the peer hangs up, and it calls on after that", also="FATAL_IGNORED")
def test_end_ignored(start):
    return repeating(program("fatal_ignored", start(peer.Peer(peer.close_after_hello)).port))


@reproduction("TWO_ON_ONE_SOCKET", "program", "a C program",
              "it gives the descriptor of one SSL object to another")
def test_two_on_one(authority, start):
    return ending(program("two_on_one", start(servers.nginx(authority.ecdsa)).port),
                  lambda r: r.outcome != "ok")


# ---- inside a call -----------------------------------------------------------------------------------


@reproduction("LOCK_HELD_AT_FORK", "program", "a C program",
              "a child of fork() needs a lock that a thread of its parent held")
def test_fork_lock(authority, start):
    seen = hanging(program("fork_lock", start(servers.nginx(authority.ecdsa)).port))
    assert "fork()" in seen.evidence()
    return seen


def check_own_wait(seen):
    for record in seen.records():
        assert "CALLBACK_BLOCKED" not in [record.cause, *(v["cause"] for v in record.also or [])], record
    return seen


@reproduction("PEER_SILENT", "peer", "a C program, a BIO of its own over TCP", "the peer is silent")
def test_custom_bio(start):
    seen = check_own_wait(hanging(program("custom_bio", silent(start))))
    assert seen.final.peer, seen.final  # found from outside
    return seen


@reproduction("PEER_SILENT", "peer", "a C program, a BIO of its own over a socket pair", "the peer is silent")
def test_custom_bio_unix():
    seen = check_own_wait(hanging(program("custom_bio")))
    assert {r.confidence for r in seen.records()} == {"medium"}
    return seen


@reproduction("KEY_OPERATION_SLOW", "program", "a C program, a server",
              "its private key is on a key server that does not answer")
def test_key_elsewhere():
    seen = hanging(program("key_server"), lambda r: r.role == "server")
    for record in seen.records():
        assert "EVP_DigestSign" in str(record.evidence), record
    return seen
