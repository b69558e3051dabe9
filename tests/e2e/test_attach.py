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
import struct
import subprocess
import time

import pytest

import peer
import test_reach
import tracing
from attaching import (LOOP, WAYS, Attached, Loop, Waits, at_rest, attach, await_attached, await_wait,
                       check_no_call_is_broken_off, detach, hanging_record, in_the_shim, linked_inside, server,  # noqa: F401
                       settles_to, stacks, state)
from servers import await_that
from stalls import descendants
from test_look import Plain, stalled
from tracing import PROGRAMS, TLSTALL, run

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="attach is for x86-64 so far")

built = test_reach.built

# ---- what is seen ------------------------------------------------------------------------

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


def test_handshake_that_has_begun_is_adopted_again(start, directory):
    """The second trace has it as well, although the first attachment kept something with its object."""
    silent = start(peer.Peer(peer.silent_after_hello))
    steps = start(Loop(["/usr/bin/python3", "-c", STEPS, str(silent.port)]))
    assert steps.shake("") == b"want read\n"
    stalled(steps.pid)
    for name in "first", "second":
        watching = start(Attached("-d", directory / name, steps.pid))
        await_attached(steps.pid)
        for _ in range(2):
            assert steps.shake("") == b"want read\n"
        assert watching.end() == 0, watching.lines
        assert "without a recorded call" not in "".join(watching.lines), watching.lines
        text = run([TLSTALL, "report", "--format", "jsonl", directory / name]).stdout
        h, = [r for line in text.splitlines() if (r := json.loads(line))["type"] == "handshake"]
        assert (h["calls"], h["at_least"], h["outcome"], h["cause"]) == (2, True, "in_flight", "PEER_SILENT"), h
        assert h["bytes_out"] > 200 and h["begun_before_ns"] > 0, h


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


OTHER_ROOT = """
mount -t tmpfs none "$0" && cd "$0" && mkdir up work root && ln -s "$1" up/tmp &&
mount -t overlay overlay -o lowerdir=/,upperdir=up,workdir=work root &&
mount -t proc proc root/proc && exec chroot root /usr/bin/python3 -c "$2"
"""


def test_link_out_of_its_root(start, server, directory):
    """To the process, /tmp leads nowhere; from here, it would lead to this directory of ours."""
    if os.geteuid():
        pytest.skip("needs root")
    (directory / "root").mkdir()
    (directory / "ours").mkdir()
    untouched = os.stat(directory / "ours").st_mtime_ns
    loop = start(Loop(["/usr/bin/unshare", "-m", "sh", "-c", OTHER_ROOT, directory / "root", directory / "ours", LOOP]))
    watching = start(Attached(loop.pid))
    await_attached(loop.pid)
    made = re.search(r"/var/tmp/tlstall-run-[^/]+", state(loop.pid)["shared"][0][0])
    assert made, state(loop.pid)
    inside = pathlib.Path(f"/proc/{loop.pid}/root{made[0]}")
    assert inside.exists()
    assert loop.shake(server.port) == b"TLSv1.3\n"
    watching.await_line("SSL_do_handshake")
    assert watching.end() == 0, watching.lines
    assert os.stat(directory / "ours").st_mtime_ns == untouched
    assert not inside.exists()


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
    assert result.status == 0 and result.stdout == \
        f"process {loop.pid}: detached; its tlstall attach ends and removes the trace (-d DIR keeps it)\n", result
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
    assert watching.lines[-1] == f"tlstall: process {loop.pid} has ended\n", watching.lines


def test_trace_is_kept(start, server, directory):
    loop = start(Loop())
    watching = start(Attached("-d", directory, "-q", loop.pid))
    await_attached(loop.pid)
    assert loop.shake(server.port) == b"TLSv1.3\n"
    assert watching.end() == 0, watching.lines
    result = run([TLSTALL, "report", directory])
    assert result.status == 0 and "loop.example" in result.stdout + run(
        [TLSTALL, "report", "--format", "jsonl", directory]).stdout, result


def names(directory):
    """What the trace there has only by reference: states, cipher, copies of libssl."""
    path, = directory.glob("*.tlstall")
    result = run([TLSTALL, "report", "--format", "jsonl", directory])
    assert not result.stderr, result
    h, = [r for line in result.stdout.splitlines() if (r := json.loads(line))["type"] == "handshake"]
    libssl = struct.unpack_from("QQI", path.read_bytes(), 480)
    return [state["state"] for state in h["states"]], h["cipher"], h["stack"], libssl


def test_attached_again(start, server, directory):
    """The second trace lacks nothing that the first one has."""
    loop, seen = start(Loop()), []
    for name in "first", "second":
        (directory / name).mkdir()
        watching = start(Attached("-q", "-d", directory / name, loop.pid))
        await_attached(loop.pid)
        assert loop.shake(server.port) == b"TLSv1.3\n"
        assert watching.end() == 0, watching.lines
        seen.append(names(directory / name))
    assert seen[0] == seen[1] and all(seen[0][0]) and all(seen[0][3]), seen


# ---- what the program waits for -------------------------------------------------------------

@pytest.mark.parametrize("way", WAYS)
def test_no_call_is_broken_off(way, start):
    check_no_call_is_broken_off(start(Waits(way)).ready())


@pytest.mark.parametrize("where", [(), ("last",)])
def test_handler_returns_late(where, start):
    """A signal's handler that has interrupted the thread that is led aside may take longer than all of an attach."""
    program = start(Loop([PROGRAMS / "harm" / "interrupted", *where]))
    # a signal comes every 0.3 ms, but not always while the thread is aside
    for _ in range(30):
        result = attach("-q", "--for", "1ms", program.pid)
        assert result.status == 0, result
        if int(program.shake("")) >= 6:
            break
    assert int(program.shake("")), "no handler came in the way"


@pytest.mark.parametrize("way", ["poll", "nanosleep"])
def test_timeout_is_kept(way, start):
    waits = start(Plain([PROGRAMS / "harm" / "waits", way, "6000"]))
    await_wait(waits.pid)
    began = last = time.monotonic()
    while time.monotonic() - began < 3:
        last = time.monotonic()
        result = attach("--for", "1ms", waits.pid)
        assert result.status == 0, result
    result, error, took = waits.process.stdout.read().split()
    assert (result, error) == (b"0", b"0")
    # one that began anew at the last attach would take longer, on a busy machine as well
    assert 6 <= float(took) < 6 + last - began, took


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


def test_helper_dies_when_it_has_led_the_thread(start, directory):
    """Nobody says that it has: the code that the thread runs stays there."""
    waits = start(Waits("read")).ready()
    before, calls = state(waits.pid), directory / "calls"
    # the fifth call of the helper's is the one that lets the thread go
    tool = start(Plain(["/usr/bin/strace", "-f", "-o", calls, "-e", "trace=ptrace", "-e",
                        "inject=ptrace:delay_exit=2000000:when=5", TLSTALL, "attach", "--for", "1ms", waits.pid]))
    helper = await_that(lambda: calls.exists() and re.search(r"^(\d+) +ptrace\(PTRACE_DETACH", calls.read_text(), re.MULTILINE),
                        "it lets the thread go")
    os.kill(int(helper[1]), signal.SIGKILL)
    assert b"cannot be stopped" in tool.process.stdout.read()
    assert waits.answers()
    settles_to(waits.pid, before)


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
        await_that(lambda: list(directory.iterdir()) or tool.poll() is not None, "it begins")
        time.sleep(chance.uniform(0, 0.05))
        for helper in list(descendants(tool.pid)) if i % 2 else []:
            kill_helper(helper, waits.pid)
        tool.kill()
        tool.wait()
        assert waits.answers(), i
        await_that(lambda: state(waits.pid)["threads"] == before["threads"], "no thread of ours")
        # what killed tools have left takes the room of their code, for a second
        result = await_that(lambda: "has no room" not in (r := detach(waits.pid)).stderr and r, "room")
        assert result.status == 0 or "nothing is attached" in result.stderr, result
        subprocess.run(["rm", "-rf", *directory.iterdir()], check=True)
    settles_to(waits.pid, before)
