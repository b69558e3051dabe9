# SPDX-License-Identifier: Apache-2.0
"""attach, detach: the shim enters running programs and leaves again, unnoticed by them."""
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

import peer
import servers
import test_linked
import test_reach
import tracing
from servers import await_that
from stalls import descendants
from test_live import as_nobody
from test_look import Plain, needs, stalled, unwinds
from tracing import PROGRAMS, TLSTALL, run

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="attach is for x86-64 so far")


@pytest.fixture(autouse=True)
def stacks():
    if not unwinds():
        pytest.skip("the tool cannot walk stacks here")


def attach(*arguments):
    return run([TLSTALL, "attach", *map(str, arguments)])


def detach(pid):
    return run([TLSTALL, "detach", str(pid)])


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


def in_the_shim(pid):
    return "libtlstall.so" in pathlib.Path(f"/proc/{pid}/maps").read_text()


def state(pid):
    """Everything that must be as before after detaching, except the library and libc's memory for threads."""
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return {"descriptors": sorted(os.listdir(f"/proc/{pid}/fd")),
            "threads": len(os.listdir(f"/proc/{pid}/task")),
            "shared": [m.split(maxsplit=5)[5:] for m in maps if m.split()[1] == "rw-s"],
            "SIGBUS": int(status["SigCgt"], 16) >> (signal.SIGBUS - 1) & 1,
            "masks": (status["SigBlk"], status["SigIgn"])}


def at_rest(pid):
    """Its state, once earlier files and connections are closed."""
    await_that(lambda: state(pid)["descriptors"] == ["0", "1", "2"], lambda: state(pid))
    return state(pid)


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


# ---- what is seen ------------------------------------------------------------------------

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
        assert self.process.stdout.readline() == b"ready\n"

    def shake(self, port):
        self.tell(port)
        return self.process.stdout.readline()

    def tell(self, port):
        self.process.stdin.write(f"{port}\n".encode())
        self.process.stdin.flush()


@pytest.fixture
def server(start, authority):
    return start(servers.nginx(authority.ecdsa))


@pytest.mark.coverage("a process attached to", "python3")
def test_next_handshakes_are_shown(start, server):
    loop = start(Loop())
    assert loop.shake(server.port) == b"TLSv1.3\n"
    before = at_rest(loop.pid)
    watching = start(Attached(loop.pid))
    await_that(lambda: in_the_shim(loop.pid), "the shim in it")
    watching.await_line(r"seen from outside: \d TLS object")
    await_attached(loop.pid)
    for _ in range(3):
        assert loop.shake(server.port) == b"TLSv1.3\n"
    watching.await_line(rf"python3\[{loop.pid}\] SSL_do_handshake\(.* 127\.0\.0\.1:{server.port} "
                        r"sni=loop\.example\) = 1 ")
    assert watching.end() == 0, watching.lines
    assert sum("SSL_do_handshake(" in l for l in watching.lines) == 3, watching.lines
    settles_to(loop.pid, before)
    assert loop.shake(server.port) == b"TLSv1.3\n"


def test_stall_of_now_and_stall_to_come(start):
    """One handshake hangs in a blocking call before attaching, another one after."""
    silent = start(peer.Peer(peer.silent_after_hello))
    first, then = start(Loop()), start(Loop())
    first.tell(silent.port)
    silent.wait_hellos(1)
    stalled(first.pid)
    now = attach("--for", "300ms", "--format", "jsonl", "-o", "-", first.pid)
    assert now.status == 0, now
    records = [json.loads(line) for line in now.stdout.splitlines()]
    # the first record, and the final one
    h, again = [r for r in records if r["type"] == "handshake"]
    for r in h, again:
        assert (r["cause"], r["seen"], r["sni"], r["at_least"]) == ("PEER_SILENT", "outside", "loop.example", True), r
    assert h["ssl"] == again["ssl"] and again["duration_ns"] >= h["duration_ns"] + 300e6, again
    watching = start(Attached(then.pid))
    await_attached(then.pid)
    then.tell(silent.port)
    silent.wait_hellos(2)
    assert "seen" not in hanging_record(then.pid)
    assert watching.end() == 0, watching.lines
    assert re.search(r"The peer's fault: PEER_SILENT \(", "".join(watching.lines)), watching.lines


STEPS = """
import socket, ssl, sys
context = ssl._create_unverified_context()
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.setblocking(False)
tls = context.wrap_socket(connection, do_handshake_on_connect=False)
print("ready", flush=True)
for line in sys.stdin:
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        print("want read", flush=True)
"""


def test_handshake_that_has_begun(start, directory):
    """It continues with calls: they are recorded from the next one on, and its duration is "at least"."""
    silent = start(peer.Peer(peer.silent_after_hello))
    steps = start(Loop(["/usr/bin/python3", "-c", STEPS, str(silent.port)]))
    assert steps.shake("") == b"want read\n"
    stood = stalled(steps.pid)[0]["duration_ns"]
    watching = start(Attached("-d", directory, steps.pid))
    await_attached(steps.pid)
    for _ in range(2):
        assert steps.shake("") == b"want read\n"
    assert watching.end() == 0, watching.lines
    text = run([TLSTALL, "report", "--format", "jsonl", directory]).stdout
    h, = [r for line in text.splitlines() if (r := json.loads(line))["type"] == "handshake"]
    assert (h["calls"], h["at_least"], h["outcome"]) == (2, True, "in_flight"), h
    assert h["bytes_out"] > 200, h
    # adopted from the look: it had begun before the first recorded call
    assert stood < h["begun_before_ns"] < stood + 60e9, h
    assert (h["cause"], h["fault"]) == ("PEER_SILENT", "peer"), h
    said = [e for e in h["evidence"] if e.startswith("it began before tlstall attached, at least ")]
    assert len(said) == 1, h
    text = "".join(watching.lines)
    assert re.search(r"how long at least [\d.]+ m?s, and still in progress when tlstall detached; tlstall saw the last [\d.]+ m?s of it",
                     " ".join(text.split())), text
    assert "without a recorded call" not in text, text


FAILS = """
import socket, ssl, sys
context = ssl._create_unverified_context()
print("ready", flush=True)
for line in sys.stdin:
    try:
        context.wrap_socket(socket.create_connection(("127.0.0.1", int(line))))
    except OSError:
        print("failed", flush=True)
"""


def test_handshake_that_ends_without_a_call(start):
    """It hangs in one call, which returns while attached: to the program, bypassing the shim."""
    silent = start(peer.Peer(peer.silent_after_hello))
    loop = start(Loop(["/usr/bin/python3", "-c", FAILS]))
    loop.tell(silent.port)
    silent.wait_hellos(1)
    stalled(loop.pid)
    watching = start(Attached(loop.pid))
    await_attached(loop.pid)
    silent.connections[0].shutdown(socket.SHUT_RDWR)
    assert loop.process.stdout.readline() == b"failed\n"
    assert watching.end() == 0, watching.lines
    text = "".join(watching.lines)
    assert text.count("PEER_SILENT (") == 1, text
    assert "\n1 handshake that began before tlstall attached ended without a recorded call\n" in text, text


def test_handshake_that_goes_on_hanging(start):
    silent = start(peer.Peer(peer.silent_after_hello))
    loop = start(Loop())
    loop.tell(silent.port)
    silent.wait_hellos(1)
    stalled(loop.pid)
    result = attach("--for", "50ms", loop.pid)
    before, after = result.stderr.split("\nBegan before tlstall attached, still in flight without a recorded call:\n")
    for text in before, after:
        assert "PEER_SILENT (high confidence)" in text and "loop.example" in text, result


def test_shim_is_not_in_sight(start, server):
    """In a mount namespace that hides the shim's file, it is loaded from an unnamed one."""
    if os.geteuid():
        pytest.skip("needs root")
    hide = 'mount -t tmpfs none "$0" && cd / && exec /usr/bin/python3 -c "$1"'
    loop = start(Loop(["/usr/bin/unshare", "-m", "sh", "-c", hide, tracing.SHIM.parent, LOOP]))
    before = at_rest(loop.pid)
    watching = start(Attached(loop.pid))
    await_attached(loop.pid)
    assert loop.shake(server.port) == b"TLSv1.3\n"
    watching.await_line("SSL_do_handshake")
    assert watching.end() == 0, watching.lines
    settles_to(loop.pid, before)
    assert "/memfd:libtlstall.so" in pathlib.Path(f"/proc/{loop.pid}/maps").read_text()


def test_no_directory_is_left(start, server, directory):
    loop = start(Loop())
    watching = start(Attached(loop.pid, TMPDIR=str(directory)))
    await_attached(loop.pid)
    assert state(loop.pid)["shared"][0][0].startswith(f"{directory}/tlstall-run-")
    assert loop.shake(server.port) == b"TLSv1.3\n"
    assert watching.end() == 0, watching.lines
    assert not os.listdir(directory)


def test_detach_from_elsewhere(start, server):
    loop = start(Loop())
    before = at_rest(loop.pid)
    watching = start(Attached(loop.pid))
    await_attached(loop.pid)
    again = attach(loop.pid)
    assert again.status == 1 and "it is already attached to" in again.stderr, again
    assert loop.shake(server.port) == b"TLSv1.3\n"
    watching.await_line("SSL_do_handshake")
    result = detach(loop.pid)
    assert result.status == 0 and re.match(rf"process {loop.pid}: detached; its trace is in /", result.stdout), result
    assert watching.wait() == 0, watching.lines
    settles_to(loop.pid, before)
    result = detach(loop.pid)
    assert result.status == 1 and "nothing is attached to it" in result.stderr, result


def test_end_of_the_process(start, server):
    loop = start(Loop())
    watching = start(Attached(loop.pid))
    await_attached(loop.pid)
    assert loop.shake(server.port) == b"TLSv1.3\n"
    loop.process.kill()
    loop.process.wait()
    assert watching.wait() == 0, watching.lines
    assert any("SSL_do_handshake(" in l for l in watching.lines), watching.lines


def test_trace_is_kept(start, server, directory):
    loop = start(Loop())
    watching = start(Attached("-d", directory, "-q", loop.pid))
    await_attached(loop.pid)
    assert loop.shake(server.port) == b"TLSv1.3\n"
    assert watching.end() == 0, watching.lines
    result = run([TLSTALL, "report", directory])
    assert result.status == 0 and "loop.example" in result.stdout + run(
        [TLSTALL, "report", "--format", "jsonl", directory]).stdout, result


# ---- what the program waits for -------------------------------------------------------------

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


@pytest.mark.parametrize("way", WAYS)
def test_no_call_is_broken_off(way, start):
    check_no_call_is_broken_off(start(Waits(way)).ready())


@pytest.mark.parametrize("way", ["poll", "nanosleep"])
def test_timeout_is_kept(way, start):
    waits = start(Plain([PROGRAMS / "harm" / "waits", way, "6000"]))
    began = time.monotonic()
    while time.monotonic() - began < 5:
        result = attach("--for", "1ms", waits.pid)
        assert result.status == 0, result
    result, error, took = waits.process.stdout.read().split()
    assert (result, error) == (b"0", b"0")
    assert 6 <= float(took) < 10, took


built = test_reach.built


def linked_inside(built, name, *options):
    """One of the programs that are linked with libssl.so elsewhere, with OpenSSL inside."""
    return built(f"../harm/{name}.c", str(tracing.ROOT / "tests/programs/common.c"), "-D_GNU_SOURCE", "-O1", "-w",
                 *options, *test_linked.static_libraries())


# ---- the tool dies -------------------------------------------------------------------------------

def is_held(pid):
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(OSError):  # a thread of ours ends
            if "TracerPid:\t0\n" not in status.read_text():
                return True
    return False


def kill_helper(helper, pid):
    """Only if it holds no thread of that process now: RELIABILITY.md has the exception."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.kill(helper, signal.SIGSTOP)
        stat = pathlib.Path(f"/proc/{helper}/stat")
        await_that(lambda: stat.read_text().rpartition(")")[2].split()[0] in "TZX", stat.read_text)
        os.kill(helper, signal.SIGCONT if is_held(pid) else signal.SIGKILL)


@pytest.mark.parametrize("inside", [False, True], ids=["libssl.so", "inside"])
@pytest.mark.parametrize("way", ["epoll", "read"])
def test_tool_is_killed(way, inside, built, start, directory):
    """Killed at any moment, with its helper: the program continues, and can be detached."""
    waits = start(Waits(way, *([linked_inside(built, "waits")] if inside else []))).ready()
    before = state(waits.pid)
    chance = random.Random(way)
    for i in range(12):
        tool = subprocess.Popen([str(TLSTALL), "attach", str(waits.pid)], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL,
                                env=tracing.environment(TMPDIR=str(directory)))
        await_that(lambda: list(directory.iterdir()), "it begins")
        time.sleep(chance.uniform(0, 0.05))
        for helper in list(descendants(tool.pid)) if i % 2 else []:
            kill_helper(helper, waits.pid)
        tool.kill()
        tool.wait()
        assert waits.answers(), i
        await_that(lambda: state(waits.pid)["threads"] == before["threads"], "no thread of ours")
        result = detach(waits.pid)
        assert result.status == 0 or "nothing is attached" in result.stderr, result
        subprocess.run(["rm", "-rf", *directory.iterdir()], check=True)
    settles_to(waits.pid, before)


# ---- refused ---------------------------------------------------------------------------------------

def refused(pid, words, *options):
    result = attach(*options, "--for", "1ms", pid)
    assert result.status == 1 and re.search(words, result.stderr), result
    return result


def test_stopped(start):
    waits = start(Waits("read"))
    os.kill(waits.pid, signal.SIGSTOP)
    await_that(lambda: "State:\tT" in pathlib.Path(f"/proc/{waits.pid}/status").read_text(), "stopped")
    refused(waits.pid, r"is stopped \(kill -CONT continues it\)")
    os.kill(waits.pid, signal.SIGCONT)
    assert waits.answers()
    assert attach("--for", "1ms", waits.pid).status == 0


def test_traced(start):
    start(Plain(["/usr/bin/strace", "-f", "-o", "/dev/null", "/bin/sleep", "1000"]))
    sleeper = await_that(lambda: [int(p) for p in os.listdir("/proc") if p.isdigit() and is_sleeper(p)], "asleep")
    refused(sleeper[0], r"is traced by process \d+, a debugger or strace")


def is_sleeper(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() == b"/bin/sleep\0" b"1000\0" and \
            "TracerPid:\t0\n" not in pathlib.Path(f"/proc/{pid}/status").read_text()


FILTER = """
import ctypes, socket, ssl, struct
allow = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7fff0000))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 1, ctypes.addressof(allow)))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
"""


def test_filtered(start, server):
    loop = start(Loop(["/usr/bin/python3", "-c", FILTER + LOOP]))
    assert loop.shake(server.port) == b"TLSv1.3\n"
    refused(loop.pid, r"has a seccomp filter, .*\(--force, if the filter allows")
    assert attach("--force", "--for", "1ms", loop.pid).status == 0
    assert loop.shake(server.port) == b"TLSv1.3\n"


def test_never_out_of_malloc(start):
    """Its own allocator waits in read(): a thread diverted there would wait for itself."""
    program = start(Loop([PROGRAMS / "harm" / "in_malloc"]))
    refused(program.pid, r"no thread in a suitable place after \d+ s: the last one allocates memory")
    program.process.stdin.close()
    assert program.process.wait(tracing.TIMEOUT) == 0
    program.process.stdin = None


def test_without_libssl(start):
    refused(start(Plain(["/bin/sleep", "1000"])).pid, r"has no libssl \(tlstall check \d+ says more\)")


def test_started_with_the_shim(start, directory):
    loop = start(Loop([TLSTALL, "run", "-q", "-d", directory, "/usr/bin/python3", "-c", LOOP]))
    child = await_that(lambda: [p for p in descendants(loop.pid) if in_the_shim(p)], "started")[0]
    refused(child, r"it was started with the shim \(tlstall ctl changes what it records, except with TLSTALL_MODE=off\)")
    result = detach(child)
    assert result.status == 1 and "nothing is attached to it" in result.stderr, result


def test_musl(start, directory):
    """Recognized by the loader that it requests."""
    needs("/usr/bin/musl-gcc")
    program = directory / "program"
    subprocess.run(["musl-gcc", "-x", "c", "-", "-o", program], check=True, text=True,
                   input="#include <unistd.h>\nint main(void) { return pause(); }\n")
    refused(start(Plain([program])).pid, "runs under musl")


def test_rights_of_another(start):
    """passwd is setuid root: its privileges exceed those of the user who starts it."""
    if not as_nobody() or not os.stat("/usr/bin/passwd").st_mode & 0o4000:
        pytest.skip("needs root, and a passwd that is setuid")
    program = start(Plain([*as_nobody(), "/usr/bin/passwd"]))
    await_that(lambda: os.readlink(f"/proc/{program.pid}/exe") == "/usr/bin/passwd", "passwd")
    refused(program.pid, r"runs with rights that its user does not have")


def test_without_permission(directory):
    directory.chmod(0o755)
    program = tracing.copy_products(directory)
    result = run([*as_nobody(), program, "attach", "1"])
    assert result.status == 1 and "process 1 belongs to user root" in result.stderr, result


def test_wrong_usage():
    for wrong, words in (([], "no process id given"), (["x"], "'x' is not a process id"),
                         (["1", "2"], "give only one process"), (["--for", "x", "1"], "invalid duration 'x'"),
                         (["--for", "0", "1"], "invalid duration '0'")):
        result = attach(*wrong)
        assert result.status == 2 and words in result.stderr, result
    assert "no such process" in attach(2 ** 22 + 5).stderr
