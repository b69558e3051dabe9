# SPDX-License-Identifier: Apache-2.0
"""attach to programs that have OpenSSL inside: jumps are written while all threads are stopped, and taken away."""
import json
import os
import re
import signal
import subprocess

import pytest

import nodes
import peer
import test_inside
import test_linked
import test_reach
import tracing
from attaching import (WAYS, Attached, Loop, Waits, attach, check_no_call_is_broken_off, detach, hanging_record,
                       linked_inside, refused, settles_to, stacks, state)  # noqa: F401
from servers import await_that
from test_attach_load import cycle
from test_look import PROGRAMS, Plain, stalled
from test_reach import CLIENTS

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="attach is for x86-64 so far")

built = test_reach.built


@pytest.fixture
def silent(start):
    return start(peer.Peer(peer.silent_after_hello))


# ---- what is seen, and that nothing is left --------------------------------------------------


def code_of(argv0, pid, function, *option):
    """The first bytes of a function of a program that lies where it is linked for."""
    symbols = subprocess.run(["nm", *option, argv0], capture_output=True, text=True, check=True).stdout
    address = int(re.search(rf"^(\w+) \w {function}$", symbols, re.MULTILINE)[1], 16)
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(address)
        return memory.read(16)


@pytest.mark.parametrize("options", [("-no-pie",), ("-pie", "-fPIE")], ids=" ".join)
def test_threads(options, built, start):
    """Seven threads, in SSL_connect, SSL_accept, SSL_read, or being made and ended, at any time."""
    many = linked_inside(built, "many", *options)
    loop = start(Loop([many]))

    def count():
        return int(loop.shake(""))

    def progress():
        reached = count()
        await_that(lambda: count() > reached + 20, "handshakes")
    progress()
    before = "-no-pie" in options and code_of(many, loop.pid, "SSL_connect")
    size = cycle(start, loop.pid, progress)
    size.tell(count())
    assert size.kept[1] >= size.kept[-1], (size.kept, size.seen)
    if before:
        watching = start(Attached("-q", loop.pid))
        await_that(lambda: code_of(many, loop.pid, "SSL_connect") != before, lambda: watching.lines)
        assert watching.end() == 0, watching.lines
        assert code_of(many, loop.pid, "SSL_connect") == before
    loop.process.stdin.close()
    assert loop.process.stdout.read() == b"ok\n"
    assert loop.process.wait(tracing.TIMEOUT) == 0
    loop.process.stdin = None


@pytest.mark.parametrize("way", WAYS)
def test_no_call_is_broken_off(way, built, start):
    check_no_call_is_broken_off(start(Waits(way, linked_inside(built, "waits"))).ready())


def test_stall_of_now_and_stall_to_come(built, start, silent):
    """What hangs is adopted; the next call of the process is seen."""
    client = start(Plain([built("linked.c", test_linked.PLUGIN, *test_linked.static_libraries()), silent.port]))
    silent.wait_hellos(1)
    stalled(client.pid)
    now = attach("--for", "300ms", "--format", "jsonl", "-o", "-", client.pid)
    assert now.status == 0, now
    found = [r for line in now.stdout.splitlines() if (r := json.loads(line))["type"] == "handshake"]
    assert [(h["cause"], h["seen"]) for h in found] == [("PEER_SILENT", "outside")] * 2, now
    assert client.process.poll() is None


@pytest.mark.parametrize("version", nodes.VERSIONS)
def test_official_node(version, start, authority):
    """Server and clients in one; it goes on without an error."""
    busy = start(Loop([nodes.official(version), CLIENTS / "node_busy.js", authority.ecdsa.key, authority.ecdsa.cert]))

    def counts():
        return [int(word) for word in busy.shake("").split()]

    def progress():
        reached = counts()[0]
        await_that(lambda: counts()[0] > reached + 5, counts)
    progress()
    before = state(busy.pid)["threads"], state(busy.pid)["SIGBUS"]
    # it has handshakes done by SSL_read()
    cycle(start, busy.pid, progress, r"SSL_read\(.*sni=busy\.example.*negotiation finished").tell(counts()[0])
    assert counts()[1] == 0
    await_that(lambda: (state(busy.pid)["threads"], state(busy.pid)["SIGBUS"]) == before, lambda: state(busy.pid))


@pytest.mark.parametrize("version", nodes.VERSIONS)
def test_next_handshake_of_official_node(version, start, silent):
    node = nodes.official(version)
    told = start(Loop([node, CLIENTS / "node_told.js"]))
    before = code_of(node, told.pid, "SSL_do_handshake", "-D")
    watching = start(Attached("-k", told.pid))
    await_that(lambda: code_of(node, told.pid, "SSL_do_handshake", "-D") != before, lambda: watching.lines)
    told.tell(silent.port)
    silent.wait_hellos(1)
    watching.await_line("TLSWrap::")
    hanging_record(told.pid)
    assert watching.end() == 0, watching.lines
    text = "".join(watching.lines)
    assert "The peer's fault: PEER_SILENT (" in text and "sni=told.example" in text, text
    assert code_of(node, told.pid, "SSL_do_handshake", "-D") == before
    assert told.process.poll() is None


@pytest.mark.parametrize("version", nodes.VERSIONS[-1:])
def test_official_node_that_hangs(version, start, silent):
    node, waits = nodes.official(version), PROGRAMS["node"][0][1:]
    client = start(Plain([node, *(a.format(port=silent.port) for a in waits)]))
    silent.wait_hellos(1)
    stalled(client.pid)
    result = attach("--for", "50ms", client.pid)
    assert result.status == 0 and "PEER_SILENT (high confidence)" in result.stderr, result
    assert "node.example" in result.stderr, result
    assert client.process.poll() is None


# ---- when it must not be ---------------------------------------------------------------------


@pytest.mark.parametrize("way, why, then", [
    ("step", "a thread is at the beginning of such a function", b"-1\n"),
    ("write", "a thread waits in a system call that cannot be resumed", b"1048576\n")])
def test_thread_in_the_way(way, why, then, built, start):
    """A handler has interrupted the bytes that a jump needs; a write would end with a part of it."""
    client = start(Plain([built("in_the_way.c", "-D_GNU_SOURCE", "-O1", "-w", "-mno-red-zone",
                                *test_linked.static_libraries()), way]))
    assert client.process.stdout.readline() == b"there\n"
    before = state(client.pid)
    result = refused(client.pid, rf"{why} \(tlstall run traces it from its start\)")
    assert "cannot be changed safely now" in result.stderr, result
    settles_to(client.pid, before)
    again = detach(client.pid)
    assert again.status == 1 and "nothing is attached to it" in again.stderr, again
    client.process.stdin.write(b"\n")
    client.process.stdin.flush()
    assert client.process.stdout.readline() == then
    result = attach("--for", "1ms", client.pid)
    assert result.status == 0, result


def test_code_that_is_not_understood(built, start, silent, tmp_path):
    changed = tmp_path / "changed"
    test_inside.shutil.copy(built("linked.c", test_linked.PLUGIN, "-no-pie", *test_linked.static_libraries()), changed)
    test_inside.change(changed, "SSL_stateless", b"\xe2\xfe")  # loop, which has no long form
    client = start(Plain([changed, silent.port]))
    silent.wait_hellos(1)
    for _ in range(2):
        refused(client.pid, "begins with instructions that tlstall does not know")
    assert client.process.poll() is None


def test_inside_a_library(built, start, silent):
    """A library may be unloaded while its functions lead to the shim."""
    library = built("plugin.c", "-shared", "-fPIC", "-Wl,-Bsymbolic", *test_linked.static_libraries())
    client = start(Plain([built("linked.c", str(library)), silent.port]))
    silent.wait_hellos(1)
    refused(client.pid, r"has OpenSSL inside a library, which can be traced only from its start \(tlstall run\)")
    assert client.process.poll() is None


def test_left_by_a_killed_tool(built, start):
    """The jumps stay, and can be taken away."""
    waits = start(Waits("epoll", linked_inside(built, "waits", "-no-pie"))).ready()
    before = state(waits.pid)
    tool = subprocess.Popen([str(tracing.TLSTALL), "attach", "-q", str(waits.pid)], env=tracing.environment())
    await_that(lambda: state(waits.pid)["shared"], "a trace")
    tool.send_signal(signal.SIGKILL)
    tool.wait()
    assert waits.answers()
    # in the middle of it, there is nothing to be left yet
    result = await_that(lambda: (r := detach(waits.pid)).status == 0 and r, "detached")
    settles_to(waits.pid, before)
    subprocess.run(["rm", "-rf", re.search(r"its trace is in (/\S+)", result.stdout)[1]], check=True)
