# SPDX-License-Identifier: Apache-2.0
"""Attaches to running programs, and says what is different in them meanwhile and afterwards."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading

import pytest

import servers
import test_linked
import tracing
from servers import await_that
from test_look import Plain, unwinds
from tracing import PROGRAMS, TLSTALL, run


@pytest.fixture(autouse=True)
def stacks():
    if not unwinds():
        pytest.skip("the tool cannot walk stacks here")


def attach(*arguments):
    return run([TLSTALL, "attach", *map(str, arguments)])


def detach(pid):
    return run([TLSTALL, "detach", str(pid)])


def refused(pid, words, *options):
    result = attach(*options, "--for", "1ms", pid)
    assert result.status == 1 and re.search(words, result.stderr), result
    return result


class Attached:
    """A running `attach`, and its lines as they arrive."""

    def __init__(self, *arguments, **env):
        self.process = subprocess.Popen(
            [str(TLSTALL), "attach", *map(str, arguments)], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=tracing.environment(**env))
        self.lines = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def await_line(self, pattern):
        return await_that(lambda: next((m for l in list(self.lines) if (m := re.search(pattern, l))), None),
                          lambda: "".join(self.lines))

    def end(self):
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self):
        status = self.process.wait(tracing.TIMEOUT)
        self.reader.join()
        return status

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()


# ---- what is in a process ----------------------------------------------------------------

def in_the_shim(pid):
    return "libtlstall.so" in pathlib.Path(f"/proc/{pid}/maps").read_text()


def state(pid):
    """Everything that must be as before after detaching, except the library and libc's memory for threads."""
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return {"descriptors": sorted(os.listdir(f"/proc/{pid}/fd"), key=int),
            "threads": len(os.listdir(f"/proc/{pid}/task")),
            "shared": [m.split(maxsplit=5)[5:] for m in maps if m.split()[1] == "rw-s"],
            "SIGBUS": int(status["SigCgt"], 16) >> (signal.SIGBUS - 1) & 1,
            "masks": (status["SigBlk"], status["SigIgn"])}


# pause, poll, nanosleep, clock_nanosleep
WAITS = ("34", "7", "35", "230")


def at_rest(pid):
    """Its state, once earlier files and connections are closed."""
    return await_that(lambda: (s := state(pid))["descriptors"] == ["0", "1", "2"] and s, lambda: state(pid))


def await_wait(pid):
    """It has its libraries, and waits in a system call that no loader makes."""
    def waits():
        call = pathlib.Path(f"/proc/{pid}/syscall").read_text().split()
        return call[0] in WAITS and "/libc.so" in pathlib.Path(f"/proc/{pid}/maps").read_text()
    await_that(waits, lambda: pathlib.Path(f"/proc/{pid}/syscall").read_text())


def settles_to(pid, before):
    """A thread that has ended is still listed for a moment."""
    await_that(lambda: state(pid) == before, lambda: (before, state(pid)))


def await_attached(pid):
    """Its next call is recorded: the thread that made the trace, then changed the import tables, has left."""
    await_that(lambda: (s := state(pid))["shared"] and s["threads"] == 1, lambda: state(pid))


def hanging_record(pid):
    """What ps tells of its handshake, once the peer has been silent for long enough."""
    def found():
        lines = run([TLSTALL, "ps", "--format", "jsonl"]).stdout.splitlines()
        return [h for line in lines if (h := json.loads(line))["type"] == "handshake"
                and (h["pid"], h["cause"]) == (pid, "PEER_SILENT")]
    return await_that(found, "PEER_SILENT")[0]


# ---- programs to attach to ---------------------------------------------------------------

LOOP = """
import socket, ssl, sys
context = ssl._create_unverified_context()
print("ready", flush=True)
for line in sys.stdin:
    with socket.create_connection(("127.0.0.1", int(line))) as connection:
        with context.wrap_socket(connection, server_hostname="loop.example") as tls:
            print(tls.version(), flush=True)
"""


class Loop(Plain):
    """Makes a handshake with a port when told to."""

    def __init__(self, argv=("/usr/bin/python3", "-c", LOOP), **more):
        super().__init__(argv, **more)
        said = self.process.stdout.readline()
        assert said == b"ready\n", said

    def shake(self, port):
        self.tell(port)
        return self.process.stdout.readline()

    def tell(self, port):
        self.process.stdin.write(f"{port}\n".encode())
        self.process.stdin.flush()


@pytest.fixture
def server(start, authority):
    return start(servers.nginx(authority.ecdsa))


WAYS = ["read", "poll", "poll_timed", "ppoll", "select", "epoll", "epoll_timed", "receive"]


class Waits(Plain):
    def __init__(self, way, program=PROGRAMS / "harm" / "waits"):
        self.here, there = socket.socketpair()
        with there:
            self.process = subprocess.Popen([program, way], stdin=there,
                                            stdout=subprocess.PIPE, start_new_session=True,
                                            env=tracing.environment())
        self.pid = self.process.pid

    def stop(self):
        self.here.close()
        super().stop()

    def ready(self):
        assert self.answers()
        return self

    def answers(self):
        self.here.sendall(b"x")
        return self.process.stdout.readline() == b"x\n"


def check_no_call_is_broken_off(waits):
    """Attaches four times: it answers each time, and from the second time on its mappings stay the same."""
    before = state(waits.pid)
    memory = []
    for _ in range(4):
        result = attach("--for", "1ms", waits.pid)
        assert result.status == 0, result
        settles_to(waits.pid, before)
        memory.append(len(pathlib.Path(f"/proc/{waits.pid}/maps").read_text().splitlines()))
        assert waits.answers()
    assert memory[1:] == memory[1:2] * 3, memory
    waits.here.shutdown(socket.SHUT_WR)
    assert waits.process.stdout.read() == b"end\n"


def linked_inside(built, name, *options):
    """One of the programs that are linked with libssl.so elsewhere, with OpenSSL inside."""
    return built(f"../harm/{name}.c", str(tracing.ROOT / "tests/programs/common.c"), "-D_GNU_SOURCE", "-O1", "-w",
                 *options, *test_linked.static_libraries())
