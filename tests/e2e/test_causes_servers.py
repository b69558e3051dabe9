# SPDX-License-Identifier: Apache-2.0
"""Unmodified servers and clients: too many clients, silent ones, no listener."""
import collections
import contextlib
import os
import pathlib
import socket
import ssl
import time

import servers
import stalls
from stalls import PYTHON, reproduction

# ---- more clients than the server can take -------------------------------------------------


def client_hello():
    context = ssl.create_default_context()
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


@contextlib.contextmanager
def first_on_the_cpu(server):
    """The server and its clients, if we may: their load is ours, not the machine's. Both are in sessions, which may
    have a priority of their own."""
    before = os.getpriority(os.PRIO_PROCESS, 0)

    def set_to(nice):
        for pid in os.getpid(), server.target():
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, pid, nice)
                pathlib.Path(f"/proc/{pid}/autogroup").write_text(str(nice))

    set_to(-20)
    try:
        yield
    finally:
        set_to(before)


def hurried_clients(port, seconds, a_second, patience):
    """They send a ClientHello, wait no longer than `patience`, and close."""
    hello, waiting, begin = client_hello(), collections.deque(), time.monotonic()
    for i in range(int(seconds * a_second)):
        while (now := time.monotonic() - begin) < i / a_second:
            time.sleep(0.001)
        client = socket.socket()
        client.setblocking(False)
        with contextlib.suppress(OSError):
            client.connect_ex(("127.0.0.1", port))
            client.send(hello)
        waiting.append((now, client))
        while waiting[0][0] < now - patience:
            waiting.popleft()[1].close()
    for _, client in waiting:
        client.close()


def besieged(server):
    with first_on_the_cpu(server):
        hurried_clients(server.port, 2, 1500, 0.1)


@reproduction("OVERLOAD", "program", "memcached", "its one thread gets to its clients when they have given up", also="PEER_CLOSED")
def test_memcached(authority):
    trace = stalls.served(lambda **more: servers.memcached(authority.large_key(), **more), besieged)
    failed = [r for r in trace.handshakes if r.outcome == "failed"]
    causes = collections.Counter(r.cause for r in failed)
    # the first were not late yet, or left no evidence
    assert len(failed) > 20 and causes["OVERLOAD"] > len(failed) / 2, causes
    assert causes["OVERLOAD"] + causes["LATE_START"] > 0.8 * len(failed), causes
    # all had closed, some with a reset: each one's address is still known
    assert all(r.peer for r in failed), failed
    return stalls.Seen(None, max((r for r in failed if r.cause == "OVERLOAD"), key=lambda r: len(r.also)), trace)


# ---- silent clients -------------------------------------------------------------------------


@contextlib.contextmanager
def silent_client(server):
    """Puma calls OpenSSL for the first time after the client has closed."""
    socket.create_connection(("127.0.0.1", server.port)).close()
    yield


@reproduction("BIO_STARVED", "unknown", "puma, memory BIOs", "a client said nothing and left")
def test_puma(authority):
    seen = stalls.serving(lambda **more: servers.puma(authority.ecdsa, **more), silent_client)
    for record in seen.records():
        assert record.confidence == "low" and "PEER_SILENT" in record.not_told_from, record
    return seen


# ---- nobody listens ---------------------------------------------------------------------------


@reproduction("TCP_NOT_CONNECTED", "network", "libmosquitto 2.0", "nobody listens, and it calls on after that",
              also="FATAL_IGNORED")
def test_mosquitto(authority):
    with stalls.Traced([PYTHON, stalls.CLIENTS / "mosquitto_loop.py", servers.free_port(), authority.ca],
                       env={"TLSTALL_SIZE": "64M"}) as traced:
        live = servers.await_that(
            lambda: [r for r in stalls.live_records(traced.traces, traced.process)
                     if r.outcome == "failed" and (r.after_fatal or {}).get("calls", 0) > 100], traced.text)[0]
        trace = traced.end()
    assert "Connection refused" in str(trace.handshakes[-1].evidence)
    return stalls.Seen(live, [r for r in trace.handshakes if stalls.same(live)(r)][-1], trace)
