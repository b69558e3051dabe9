# SPDX-License-Identifier: Apache-2.0
"""attach: programs that cannot be attached to are refused with the reason, and not harmed."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

import peer
import test_linked
import test_reach
import tracing
from attaching import LOOP, Loop, Waits, attach, await_wait, detach, in_the_shim, refused, server, stacks  # noqa: F401
from servers import await_that
from stalls import descendants
from test_live import as_nobody
from test_look import Plain, needs
from tracing import PROGRAMS, TLSTALL, run

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="attach is for x86-64 so far")

built = test_reach.built


@pytest.fixture
def silent(start):
    return start(peer.Peer(peer.silent_after_hello))


def hanging(start, silent, argv):
    before = silent.hellos
    client = start(Plain(argv))
    silent.wait_hellos(before + 1)
    return client


def mapped(pid):
    return pathlib.Path(f"/proc/{pid}/maps").read_text()


def unharmed(client, words, options=()):
    # in a system call: it has started, and is not loading libraries anymore
    await_that(lambda: pathlib.Path(f"/proc/{client.pid}/syscall").read_text().split()[0].isdigit(), "it waits")
    before = mapped(client.pid)
    result = refused(client.pid, words, *options)
    assert client.process.poll() is None and mapped(client.pid) == before, result
    return result


def test_openssl_inside_stripped(built, start, silent):
    program = built("linked.c", test_linked.PLUGIN, "-s", *test_linked.static_libraries())
    unharmed(hanging(start, silent, [program, silent.port]), r"has no libssl \(tlstall check \d+ says more\)")


def test_static(built, start, directory):
    program = directory / "static"
    made = subprocess.run(["cc", "-static", "-s", "-x", "c", "-", "-o", program], text=True, capture_output=True,
                          input="#include <unistd.h>\nint main(void) { return pause(); }\n", check=False)
    if made.returncode:
        pytest.skip("libc is not here as an archive")
    unharmed(start(Plain([program])), "is statically linked")


def opened_to_write(fifo):
    with contextlib.suppress(OSError):
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)


def test_still_loading(start, directory):
    """The loader waits for libc, here a FIFO."""
    os.mkfifo(directory / "libc.so.6")
    client = start(Plain(["env", f"LD_LIBRARY_PATH={directory}", "/bin/cat"]))
    await_that(lambda: os.readlink(f"/proc/{client.pid}/exe").endswith("/cat"), "it is loaded")
    # succeeds once somebody reads it, who waits for data then
    fifo = await_that(lambda: opened_to_write(directory / "libc.so.6"), "it waits")
    try:
        unharmed(client, "has not loaded its libraries yet")
    finally:
        os.close(fifo)


# pause(), in a 32-bit program without libraries
NARROW = """
__attribute__((naked)) void _start(void) { __asm__("1: mov $29, %eax; int $0x80; jmp 1b"); }
"""


def test_32_bits(start, directory):
    program = directory / "narrow"
    subprocess.run(["cc", "-m32", "-static", "-nostdlib", "-fno-pie", "-no-pie", "-x", "c", "-", "-o", program],
                   input=NARROW, text=True, check=True)
    try:
        client = start(Plain([program]))
    except OSError as error:
        pytest.skip(f"this kernel runs no programs of 32 bits: {error}")
    unharmed(client, "is for another architecture")


# pause(), as above, for arm64
FOREIGN = """
.globl _start
_start: mov x8, #73
mov x0, #0
mov x1, #0
mov x2, #0
mov x3, #0
mov x4, #0
svc #0
b _start
"""


def test_emulated(start, directory):
    """What actually runs is the emulator, of our architecture; it has no loader."""
    for needed in "qemu-aarch64-static", "aarch64-linux-gnu-gcc":
        if not shutil.which(needed):
            pytest.skip(f"{needed} is not here")
    program = directory / "foreign"
    subprocess.run(["aarch64-linux-gnu-gcc", "-static", "-nostdlib", "-x", "assembler", "-", "-o", program],
                   input=FOREIGN, text=True, check=True)
    client = start(Plain(["qemu-aarch64-static", program]))
    await_that(lambda: "qemu" in os.readlink(f"/proc/{client.pid}/exe"), "it runs")
    refused(client.pid, "static")
    assert client.process.poll() is None


def test_itself():
    result = run(["sh", "-c", f"exec {TLSTALL} attach $$"])
    assert result.status == 1 and "is tlstall itself" in result.stderr, result


def test_stopped(start):
    waits = start(Waits("read"))
    os.kill(waits.pid, signal.SIGSTOP)
    await_that(lambda: "State:\tT" in pathlib.Path(f"/proc/{waits.pid}/status").read_text(), "stopped")
    refused(waits.pid, r"is stopped \(kill -CONT continues it\)")
    os.kill(waits.pid, signal.SIGCONT)
    assert waits.answers()
    assert attach("--for", "1ms", waits.pid).status == 0


def test_traced(start):
    strace = start(Plain(["/usr/bin/strace", "-f", "-o", "/dev/null", "/bin/sleep", "1000"]))
    sleeper = await_that(lambda: [p for p in descendants(strace.pid) if is_sleeper(p)], "asleep")
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
    sleeper = start(Plain(["/bin/sleep", "1000"]))
    await_wait(sleeper.pid)
    refused(sleeper.pid, r"has no libssl \(tlstall check \d+ says more\)")


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
    # the kernel names the new program before it has given it those rights
    await_that(lambda: "/usr/bin/passwd" in mapped(program.pid) and "/libc.so" in mapped(program.pid), "passwd")
    refused(program.pid, r"runs with rights that its user does not have")


def test_without_permission(directory):
    directory.chmod(0o755)
    program = tracing.copy_products(directory)
    result = run([*as_nobody(), program, "attach", "1"])
    assert result.status == 1 and "process 1 belongs to user root" in result.stderr, result


YAMA = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope")


def test_yama(start, directory):
    """The target is not a child of the tool."""
    if not YAMA.exists():
        pytest.skip("this kernel has no Yama")
    if YAMA.read_text().strip() == "0" or not as_nobody():
        pytest.skip("kernel.yama.ptrace_scope is 0, or this is not root")
    sleeper = start(Plain([*as_nobody(), "/bin/sleep", "1000"]))
    await_that(lambda: "\nUid:\t65534" in pathlib.Path(f"/proc/{sleeper.pid}/status").read_text(), "another user")
    result = run([*as_nobody(), TLSTALL, "attach", str(sleeper.pid)])
    assert result.status == 1 and "kernel.yama.ptrace_scope is" in result.stderr, result


def with_yama(scope, *command):
    """The setting is read from a file, for which another one can stand in."""
    fake = ('mount -t tmpfs none /proc/sys && mkdir -p /proc/sys/kernel/yama && '
            f'echo {scope} > /proc/sys/kernel/yama/ptrace_scope && exec "$@"')
    return run(["unshare", "-m", "sh", "-c", fake, "sh", *as_nobody(), *command])


@pytest.mark.parametrize("command", ["look", "attach", "stack"])
@pytest.mark.parametrize("scope, says", [(1, "set it to 0 or run this with CAP_SYS_PTRACE"),
                                         (3, "no process may be inspected")])
def test_yama_of_another_kernel(scope, says, command, start, directory):
    """What forbids it here is the user namespace of the process; it belongs to the same user."""
    if not as_nobody():
        pytest.skip("needs root")
    directory.chmod(0o755)
    program = tracing.copy_products(directory)
    apart = ["unshare", "--user", "--map-current-user"]
    if run([*as_nobody(), *apart, "true"]).status:
        pytest.skip("users may make no namespaces here")
    sleeper = start(Plain([*as_nobody(), "/bin/sleep", "1000"]))
    await_that(lambda: "\nUid:\t65534" in pathlib.Path(f"/proc/{sleeper.pid}/status").read_text(), "another user")
    result = with_yama(scope, *apart, program, command, str(sleeper.pid))
    assert result.status == 1, result
    assert f"kernel.yama.ptrace_scope is {scope}: {says}" in result.stderr, result


def test_wrong_usage():
    for wrong, words in (([], "no process id given"), (["x"], "'x' is not a process id"),
                         (["1", "2"], "give only one process"), (["--for", "x", "1"], "invalid duration 'x'"),
                         (["--for", "0", "1"], "invalid duration '0'")):
        result = attach(*wrong)
        assert result.status == 2 and words in result.stderr, result
    assert "no such process" in attach(2 ** 22 + 5).stderr


@pytest.mark.parametrize("place,refuses", [("below", False), ("middle", True)])
def test_place_is_taken(place, refuses, start):
    """The program maps memory where the page was to lie, just then: what it writes there stays as it is."""
    program = start(Loop([PROGRAMS / "harm" / "taken", place]))
    seen, wanted = [], (b"unchanged\n", refuses)
    while wanted not in seen and len(seen) < 30:  # it may be too late to be in the way
        result = attach("--for", "1ms", program.pid)
        refused_it = "maps memory just where tlstall needs some: try again" in result.stderr
        assert result.status == refused_it, result
        seen.append((program.shake(""), refused_it))
        detach(program.pid)
    assert wanted in seen and (b"changed\n", refuses) not in seen, seen
