# SPDX-License-Identifier: Apache-2.0
"""look: what it reports about programs, started without the shim, that hang for other reasons than a
silent peer."""
import os
import re
import subprocess

import pytest

import peer
import servers
from servers import await_that
from stalls import PYTHON
from test_causes_network import NARROW, curl, half_a_flight, s_client  # noqa: F401
from test_causes_program import client, program, silent, unhurried
from test_look import Plain, look, look_until, records, stalled, unwinds

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="look is for x86-64 so far")


@pytest.fixture
def hang(start):
    """Starts a program without the shim; its handshake once a look names that cause, and the look's text."""
    def begin(argv, cause, fault, within=None):
        target = start(Plain([*(within.within if within else []), *argv]))
        # before that, it loads its libraries
        await_that(lambda: look(target.pid).status == 0, lambda: look(target.pid))
        h, = stalled(target.pid, cause=cause)
        assert (h["fault"], h["seen"], h["at_least"], h["pid"]) == (fault, "outside", True, target.pid), h
        text = look_until(target.pid, rf"^(The|This|Whose|Nobody).*: {cause} \(")
        assert target.process.poll() is None
        return h, text
    return begin


def said(handshake):
    return "\n".join(handshake["evidence"])


# ---- the network ---------------------------------------------------------------------


@pytest.mark.parametrize("argv", [curl, s_client])
def test_hello_that_is_not_acknowledged(argv, authority, start, make_network, hang):
    net = make_network()
    server = start(servers.nginx(authority.ecdsa, within=net.far))
    net.far.drop("tcp dport != 0 meta length > 100")
    h, _ = hang(argv(server.port), "TX_NOT_ACKED", "network", net.near)
    assert re.search(r"[1-9]\d* segments? \(.*not acknowledged", said(h)), h


def test_slow_path(start, make_network, authority):
    net = make_network(rate=NARROW)
    # half a minute of it
    server = start(servers.nginx(authority.with_long_chain(authority.rsa, 40), within=net.far))
    target = start(Plain([*net.near.within, *curl(server.port)]))
    await_that(lambda: look(target.pid).status == 0, "its libraries")
    await_that(lambda: (h := records(target.pid)[1]) and h[0]["bytes_in"], "a first byte")
    # a segment takes a second and a half
    text = look("--for", "6s", target.pid).stdout
    assert "The network's fault: NARROW_PATH (medium confidence)" in text, text
    count, took = re.search(r"came in (\d+) segments over ([\d.]+) s: [\d.]+ (?:k?B|KB) per second", text).groups()
    # those between the looks, not all
    assert 3 <= int(count) <= 8 and 6 <= float(took) < 20, text
    assert re.search(r"^  how long at least [\d.]+ s", text, re.MULTILINE), text


# ---- the peer ------------------------------------------------------------------------


@pytest.mark.parametrize("argv, size", [(curl, 700), (s_client, 700), (s_client, 60)])
def test_half_a_flight(argv, size, authority, start, hang):
    h, _ = hang(argv(half_a_flight(authority, start, size)), "RX_PARTIAL", "peer")
    assert h["bytes_in"] == size, h


# ---- the program ---------------------------------------------------------------------


def test_not_resuming(authority, start, hang):
    h, text = hang(program("not_resuming", unhurried(authority, start)), "APP_NOT_RESUMING", "program")
    assert "unread in the socket" in said(h), h
    assert not unwinds() or re.search(r"#\d+ +(hang|main)\b", text), text


def test_python_that_is_busy_elsewhere(authority, start, hang):
    h, _ = hang([PYTHON, client("gil.py"), unhurried(authority, start), "timeout", "pattern"],
                "APP_NOT_RESUMING", "program")
    assert "unread in the socket" in said(h), h


def test_wrong_interest(authority, start, hang):
    hang(program("wrong_interest", unhurried(authority, start)), "WRONG_INTEREST", "program")


@pytest.mark.parametrize("more", [[], ["nonblocking"]], ids=["blocking", "nonblocking"])
def test_callback(more, authority, start, hang):
    port = start(servers.nginx(authority.ecdsa)).port
    h, text = hang(program("ocsp_callback", port, silent(start), *more), "CALLBACK_BLOCKED", "program")
    assert "not the handshake's own socket" in said(h), h
    assert not unwinds() or "ask_responder" in text, text


@pytest.mark.parametrize("more", [[], ["nonblocking"]], ids=["blocking", "nonblocking"])
def test_callback_with_a_handshake_of_its_own(more, authority, start):
    if not unwinds():
        pytest.skip("stacks cannot be had here")
    port, other = start(servers.nginx(authority.ecdsa)).port, silent(start)
    target = start(Plain(program("nested_handshake", port, other, *more)))

    def both():
        result = look(target.pid)
        found = records(target.pid)[1] if result.status == 0 else []
        return found if all(h["cause"] != "NONE" for h in found) and len(found) == 2 else None

    found = await_that(both, lambda: look(target.pid))
    verdicts = {h["peer"].rpartition(":")[2]: (h["cause"], h["fault"]) for h in found}
    assert verdicts == {str(port): ("CALLBACK_BLOCKED", "program"), str(other): ("PEER_SILENT", "peer")}, found


def test_callback_that_opens_a_fifo(authority, start, tmp_path, hang):
    name = subprocess.run(["/usr/bin/openssl", "x509", "-noout", "-hash", "-in", authority.ca], check=True,
                          capture_output=True, text=True).stdout.strip()
    os.mkfifo(tmp_path / f"{name}.0")
    port = start(servers.nginx(authority.ecdsa)).port
    h, _ = hang([*s_client(port), "-CApath", tmp_path], "CALLBACK_BLOCKED", "program")
    assert "waits in openat" in said(h), h


def test_lock(authority, start, hang):
    port = start(servers.nginx(authority.ecdsa)).port
    h, _ = hang(program("store_lock", port), "LOCK_OR_ENTROPY", "host")
    assert "waits for a lock" in said(h), h


def test_lock_of_the_programs_own(authority, start, hang):
    if not unwinds():
        pytest.skip("stacks cannot be had here")
    h, _ = hang(program("lock_in_callback", start(servers.nginx(authority.ecdsa)).port), "CALLBACK_BLOCKED", "program")
    assert "waits for a lock in look_up" in said(h), h


@pytest.mark.parametrize("argv", [lambda port: program("bio_not_flushed", port),
                                  lambda port: [PYTHON, client("not_sent.py"), port]],
                         ids=["a C program", "python3"])
def test_bio_that_nobody_empties(argv, start, hang):
    h, _ = hang(argv(silent(start, peer.silent_after_accept)), "BIO_NOT_PUMPED", "program")
    assert "are still in the BIO" in said(h) or "517 B" in said(h), h


def test_bio_pair_that_is_full(start, hang):
    h, _ = hang(program("pair_not_flushed", silent(start, peer.silent_after_accept)), "BIO_NOT_PUMPED", "program")
    assert "100 B wait to be taken out" in said(h), h
