# SPDX-License-Identifier: Apache-2.0
"""What a thread does inside an op besides the handshake: files, file locks, other connections; and calls
that never return."""
import contextlib
import fcntl
import os
import select
import subprocess

import pytest

import hung_files
import peer
import servers
import stalls
from stalls import PYTHON, Running, Traced, ending, hanging, reproduction

S_CLIENT = ["/usr/bin/openssl", "s_client", "-brief", "-connect"]
CURL = ["/usr/bin/curl", "-sSk", "-m", "20"]


def said(record):
    return "\n".join(record.evidence)


def check_elsewhere(seen, call):
    for record in seen.records():
        assert f"waits in {call}" in said(record), record
        assert "not the handshake's own socket" in said(record), record
    return seen


# ---- files -----------------------------------------------------------------------


@pytest.fixture
def hash_of_ca(authority):
    return subprocess.run(["/usr/bin/openssl", "x509", "-noout", "-hash", "-in", authority.ca], check=True,
                          capture_output=True, text=True).stdout.strip()


@reproduction("CALLBACK_BLOCKED", "program", "openssl s_client, blocking",
              "the CA that it looks for in a directory is a FIFO, into which nobody writes")
def test_fifo(authority, hash_of_ca, start, tmp_path):
    os.mkfifo(tmp_path / f"{hash_of_ca}.0")
    port = start(servers.nginx(authority.ecdsa)).port
    return check_elsewhere(hanging([*S_CLIENT, f"127.0.0.1:{port}", "-CApath", tmp_path]), "openat")


@reproduction("CALLBACK_BLOCKED", "program", "curl", "the directory of CAs lies on a file system that hangs")
def test_curl_hung_directory(authority, start, tmp_path):
    if reason := hung_files.why_not():
        pytest.skip(reason)
    port = start(servers.nginx(authority.ecdsa)).port
    return check_elsewhere(hanging(["/usr/bin/curl", "-sS", "--capath", tmp_path, f"https://localhost:{port}/"],
                                   within=hung_files.HungFiles(tmp_path)), "newfstatat")


@contextlib.contextmanager
def client_of(argv, net=None):
    """A traced server that prints its port, and a client of it."""
    with Traced(argv, within=net and net.far) as traced:
        port = int(servers.await_that(lambda: traced.text().split(), "its port")[0])
        with Running([*CURL, f"https://localhost:{port}/"], within=net and net.near):
            live = traced.hangs()
            trace = traced.end()
        yield stalls.Seen(live, [r for r in trace.handshakes if stalls.same(live)(r)][-1], trace)


def server_program(how, certificate, *more):
    return [PYTHON, stalls.CLIENTS / "server.py", how, certificate.cert, certificate.key, *more]


@reproduction("CALLBACK_BLOCKED", "program", "python3, a server",
              "its SNI callback waits for a lock on a file, which another process has")
def test_file_lock(authority, tmp_path):
    with open(tmp_path / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with client_of(server_program("locked", authority.ecdsa, lock.name)) as seen:
            return check_elsewhere(seen, "flock")


@reproduction("CALLBACK_BLOCKED", "program", "python3, a server",
              "its SNI callback runs a program, and that does not end")
def test_child_in_callback(authority):
    with client_of(server_program("child", authority.ecdsa)) as seen:
        return check_elsewhere(seen, "wait4")


@reproduction("CALLBACK_BLOCKED", "program", "python3, a server",
              "its SNI callback connects to a directory that does not answer SYNs")
def test_connect_in_callback(authority, make_network):
    net = make_network()
    net.near.drop("tcp dport 8389")
    with client_of(server_program("names", authority.ecdsa, "8389", net.near.address), net) as seen:
        return check_elsewhere(seen, "connect")


# ---- calls that never return ----------------------------------------------------------


def check_left(record):
    assert "never returned" in said(record) and "killed" not in said(record), record
    assert record.outcome in ("in_flight", "abandoned") and record.left, record


@reproduction("PEER_SILENT", "peer", "perl, IO::Socket::SSL",
              "the server is silent, and the handler of its alarm leaves SSL_connect by longjmp()")
def test_long_jump(authority, start):
    bad, good = start(peer.Peer(peer.silent_after_hello)).port, start(servers.nginx(authority.ecdsa)).port
    with Traced(["/usr/bin/perl", stalls.CLIENTS / "unsafe_signal.pl", bad, good],
                env={"PERL_SIGNALS": "unsafe"}) as traced:
        servers.await_that(lambda: "done" in traced.text(), traced.text)
        trace = traced.end()
    left = [r for r in trace.handshakes if r.left]
    assert len(left) == 1 and len(trace.handshakes) == 2
    check_left(left[0])
    assert 0.5e9 < left[0].time["wait_in_call_ns"] == max(left[0].time.values()), left
    return stalls.Seen(None, left[0], trace)


def stays(_peer, connection):
    """Does not close, whatever the client does."""
    poll = select.poll()
    poll.register(connection, 0)  # until both sides are shut down
    poll.poll()


@reproduction("ABANDONED", "program", "python3, blocking",
              "another thread of it shuts the connection down; the peer is there still")
def test_shut_by_another_thread(start):
    server = start(peer.Peer(stays))
    seen = ending([PYTHON, stalls.CLIENTS / "shuts.py", server.port])
    assert "shut down on this side" in seen.evidence() and seen.final.outcome == "failed"
    return seen


@reproduction("ABANDONED", "program", "a C program", "a thread is canceled inside SSL_connect, the others go on")
def test_canceled(start):
    port = start(peer.Peer(peer.silent_after_hello)).port
    seen = hanging([stalls.STALLS / "canceled", port], lambda r: r.left)
    for record in seen.records():
        check_left(record)
    return seen
