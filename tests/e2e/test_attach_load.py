# SPDX-License-Identifier: Apache-2.0
"""attach and detach, again and again, on busy servers and clients, and on processes that die meanwhile."""
import os
import pathlib
import random
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest

import servers
import tracing
from attaching import Attached, Loop, Waits, server, settles_to, stacks, state  # noqa: F401
from servers import await_that
from stalls import descendants
from test_look import Plain, needs
from tracing import PROGRAMS, TLSTALL, run

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="attach is for x86-64 so far")

# more cycles to search for a rare loss
CYCLES = int(os.environ.get("TLSTALL_CYCLES", "4"))

# ---- busy servers ------------------------------------------------------------------------------

def shake(port, preamble=b""):
    context = tracing_context()
    with socket.create_connection(("127.0.0.1", port), timeout=tracing.TIMEOUT) as connection:
        if preamble:
            connection.sendall(preamble)
            assert connection.recv(1) == b"S"
        with context.wrap_socket(connection) as tls:
            return tls.version()


def tracing_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Size:
    """Of a process after each cycle; told where figures are wanted."""

    def __init__(self, pid):
        self.pid, self.seen, self.kept = pid, [], []

    def note(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        self.seen.append((len(os.listdir(f"/proc/{self.pid}/fd")), regions(self.pid),
                          int(re.search(r"VmRSS:\s+(\d+)", status)[1])))
        self.kept.append(kept(self.pid))

    def tell(self, handshakes):
        first, last = self.seen[0], self.seen[-1]
        print(f"{len(self.seen)} cycles, {handshakes} handshakes; descriptors, mappings, KB resident: {first} after the "
              f"first, {last} after the last")


class Load:
    """Clients that make handshakes with a server until told to stop."""

    def __init__(self, port, preamble=b""):
        self.count, self.wrong, self.over = 0, [], False
        self.thread = threading.Thread(target=self.work, args=(port, preamble))
        self.thread.start()

    def work(self, port, preamble):
        while not self.over:
            try:
                shake(port, preamble)
                self.count += 1
            except (OSError, AssertionError) as error:
                self.wrong.append(repr(error))

    def stop(self):
        self.over = True
        self.thread.join()


def under_load(start, pid, port):
    # all that it makes at its first handshake is there
    assert shake(port)
    before, shared, size = len(state(pid)["descriptors"]), len(state(pid)["shared"]), Size(pid)
    load = start(Load(port))
    for _ in range(CYCLES):
        reached = load.count
        watching = start(Attached("-q", pid))
        await_that(lambda: len(state(pid)["shared"]) > shared and load.count > reached + 3,
                   lambda: (load.count, load.wrong, watching.lines))
        assert watching.end() == 0, watching.lines
        reached = load.count
        await_that(lambda: load.count > reached + 3, lambda: (load.count, load.wrong))
        size.note()
    load.stop()
    assert not load.wrong, load.wrong
    await_that(lambda: len(state(pid)["descriptors"]) <= before, lambda: (before, state(pid)))
    size.tell(load.count)


@pytest.mark.coverage("a process attached to", "an nginx worker")
def test_nginx_worker(start, server):
    worker = await_that(lambda: list(descendants(server.process.pid)), "workers")[0]
    under_load(start, worker, server.port)


@pytest.mark.coverage("a process attached to", "redis")
def test_redis(start, authority):
    needs("/usr/bin/redis-server")
    server = start(servers.redis(authority.ecdsa, authority))
    under_load(start, server.process.pid, server.port)


POSTGRES = b"\0\0\0\x08\x04\xd2\x16\x2f"


@pytest.mark.coverage("a process attached to", "postgres, backends forked later")
def test_backends_of_a_postmaster(start, authority, request):
    """Backends forked while attached are seen; one that outlives the attach becomes dormant."""
    needs("/usr/lib/postgresql/*/bin/postgres")
    server = start(request.getfixturevalue("cluster").server(authority.ecdsa))
    # it blocks signals while it starts, and while it forks
    before = await_that(lambda: int((s := state(server.process.pid))["masks"][0], 16) == 0 and s, "a postmaster at rest")
    size, shaken = Size(server.process.pid), 0
    for _ in range(CYCLES):
        watching = start(Attached(server.process.pid))
        await_that(lambda: state(server.process.pid)["shared"] != before["shared"] and
                   state(server.process.pid)["threads"] == before["threads"], lambda: watching.lines)
        assert shake(server.port, POSTGRES)
        watching.await_line(r"postgres\[\d+\] SSL_accept\(.*\) = 1 ")
        assert watching.end() == 0, watching.lines
        assert shake(server.port, POSTGRES)
        settles_to(server.process.pid, before)
        size.note()
        shaken += 2
    size.tell(shaken)


# ---- busy clients ---------------------------------------------------------------------------

def regions(pid):
    return len(pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines())


def kept(pid):
    """How many mappings it has, without those that depend on how many threads there were at once: their stacks, and
    malloc's arenas."""
    count = 0
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        place, rights, _, _, _, *name = line.split(maxsplit=5)
        start, end = (int(address, 16) for address in place.split("-"))
        count += bool(name) or not (rights == "---p" or (rights == "rw-p" and end - start > 1 << 17))
    return count


def cycle(start, pid, progress, call=r"SSL_(connect|do_handshake|accept)\(.* = 1 "):
    """Attaches and detaches under load: calls are recorded each time, and the program continues."""
    before, size = state(pid)["shared"], Size(pid)
    for _ in range(CYCLES):
        watching = start(Attached(pid))
        await_that(lambda: state(pid)["shared"] != before, lambda: watching.lines)
        progress()
        watching.await_line(call)
        assert watching.end() == 0, watching.lines
        progress()
        await_that(lambda: state(pid)["shared"] == before, lambda: state(pid))
        size.note()
    return size


@pytest.mark.coverage("a process attached to", "curl")
def test_curl(start, authority):
    """One process, a handshake for each request, and poll() in between."""
    if "--rate" not in run(["/usr/bin/curl", "--help", "all"]).stdout:
        pytest.skip("this curl knows no --rate: it would not keep still")
    server = start(servers.nginx(authority.ecdsa, location="keepalive_timeout 0; location / { return 200 'here'; }"))
    client = start(Plain(["/usr/bin/curl", "-sS", "--cacert", authority.ca, "--rate", "20/s", "-o", "/dev/null", "-w",
                          "%{http_code} %{ssl_verify_result} %{errormsg}\\n",
                          f"https://localhost:{server.port}/[1-100000]"]))
    lines = []

    def progress():
        for _ in range(5):
            lines.append(client.process.stdout.readline())
    progress()
    cycle(start, client.pid, progress).tell(len(lines))
    assert client.process.poll() is None
    assert set(lines) == {b"200 0 \n"}, set(lines)


UNCEASING = """
import socket, ssl, sys, threading
context = ssl._create_unverified_context()
def work():
    while True:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1])))) as tls:
            tls.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            print(tls.version(), tls.read().split()[1], flush=True)
print("ready", flush=True)
threading.Thread(target=work, daemon=True).start()
sys.stdin.read()
"""


@pytest.mark.coverage("a process attached to", "python3")
def test_python(start, server):
    """A thread that never rests, and one that waits in read()."""
    client = start(Loop(["/usr/bin/python3", "-c", UNCEASING, str(server.port)]))
    lines, over = [], threading.Event()

    def read():
        while not over.is_set() and (line := client.process.stdout.readline()):
            lines.append(line)
    reader = threading.Thread(target=read)
    reader.start()

    def progress():
        reached = len(lines)
        await_that(lambda: len(lines) > reached + 3, lambda: set(lines))
    try:
        progress()
        size = cycle(start, client.pid, progress)
        assert client.process.poll() is None
    finally:
        over.set()
        reader.join()
    assert set(lines) == {b"TLSv1.3 b'200'\n"}, set(lines)
    size.tell(len(lines))


def streams(pid):
    """What the descriptors lead to that its threads never open or close."""
    return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1, 2)]


def test_threads(start):
    """Seven threads, some of them in SSL_connect, SSL_accept or SSL_read at any time; one waits in read()."""
    program = start(Loop([PROGRAMS / "harm" / "many"]))

    def count():
        return int(program.shake(""))

    def progress():
        reached = count()
        await_that(lambda: count() > reached + 20, "handshakes")
    progress()
    before = streams(program.pid)
    size = cycle(start, program.pid, progress)
    size.tell(count())
    assert streams(program.pid) == before
    program.process.stdin.close()
    assert program.process.stdout.read() == b"ok\n"
    assert program.process.wait(tracing.TIMEOUT) == 0
    program.process.stdin = None


def anonymous(pid):
    """Kilobytes of memory that belong to no file: by mapping, and those of the shim's tables."""
    sizes, tables, shim, place, name = {}, 0, None, "", ""
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if mapping := re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ *(.*)", line):
            place, name = mapping[1], mapping[3]
            is_table = "libtlstall.so" in name or (not name and place == shim)
            shim = mapping[2] if is_table else shim
        elif line.startswith("Anonymous:"):
            size = int(line.split()[1])
            if is_table:
                tables += size
            else:
                sizes[place, name] = size
    return sizes, tables


def test_memory_stops_growing(start):
    """A cycle costs a program that makes no handshakes no memory, except for what the shim keeps of SIGBUS: the last 64
    dispositions, in three pages. The first cycle makes what stays: the library, and libc's stack for the thread."""
    waits = start(Waits("read")).ready()
    before, sizes = state(waits.pid), []
    for _ in range(CYCLES):
        watching = start(Attached("-q", waits.pid))
        await_that(lambda: (s := state(waits.pid))["shared"] != before["shared"] and s["threads"] == before["threads"],
                   lambda: watching.lines)
        assert waits.answers()
        assert watching.end() == 0, watching.lines
        settles_to(waits.pid, before)
        sizes.append(anonymous(waits.pid))
    (first, first_tables), (last, last_tables) = sizes[0], sizes[-1]
    print(f"{CYCLES} cycles; KB of the shim's tables: {first_tables} after the first, {last_tables} after the last")
    assert last == first, {at: (first.get(at), last.get(at)) for at in first.keys() | last.keys()
                           if first.get(at) != last.get(at)}
    assert first_tables and last_tables - first_tables <= 12, (first_tables, last_tables)


@pytest.mark.parametrize("argv", [["waits", "read"], ["many"]], ids=lambda argv: argv[0])
def test_reader_goes_away(argv, start, directory):
    """`tlstall attach PID 2>&1 | head`, whether it is about to write or not: it detaches and leaves nothing behind."""
    program = start(Waits("read").ready() if argv[0] == "waits" else Loop([PROGRAMS / "harm" / argv[0]]))
    before = state(program.pid)["shared"]
    with subprocess.Popen([str(TLSTALL), "attach", str(program.pid)], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, env=tracing.environment(TMPDIR=str(directory))) as tool:
        try:
            assert b"seen from outside" in tool.stderr.readline()
            await_that(lambda: state(program.pid)["shared"] != before, "the trace in it")
            tool.stderr.close()
            assert tool.wait(tracing.TIMEOUT) == 0
        finally:
            tool.kill()
    await_that(lambda: state(program.pid)["shared"] == before, lambda: state(program.pid))
    assert not list(directory.iterdir())
    again = run([TLSTALL, "detach", str(program.pid)])
    assert again.status == 1 and "nothing is attached to it" in again.stderr, again


def test_program_dies_in_the_middle(start, directory):
    """It dies at any moment of an attach: the tool reports that, or has finished before; nothing is left
    behind."""
    chance = random.Random("dies")
    outcomes = set()
    for i in range(20):
        waits = Waits("epoll" if i % 2 else "read").ready()
        tool = subprocess.Popen([str(TLSTALL), "attach", "-q", str(waits.pid)], stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True, env=tracing.environment(TMPDIR=str(directory)))
        try:
            if i % 4:
                await_that(lambda: list(directory.iterdir()) or tool.poll() is not None, "it begins")
            time.sleep(chance.uniform(0, 0.03))
            waits.process.kill()
            said = tool.communicate(timeout=20)[1]
        finally:
            waits.stop()
            tool.kill()
            tool.wait()
        assert tool.returncode in (0, 1), (tool.returncode, said)
        assert tool.returncode == 0 or re.search(r"(process \d+ has ended|no such process: \d+)", said), said
        assert not list(directory.iterdir()), (said, list(directory.iterdir()))
        outcomes.add(tool.returncode)
    assert outcomes, outcomes
