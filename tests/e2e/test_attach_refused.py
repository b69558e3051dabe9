# SPDX-License-Identifier: Apache-2.0
"""attach: programs that cannot be attached to are refused with the reason, and not harmed."""
import os
import pathlib
import shutil
import subprocess

import pytest

import peer
import test_linked
import test_reach
import tracing
from servers import await_that
from test_attach import refused, stacks  # noqa: F401
from test_live import as_nobody
from test_look import Plain, PROGRAMS, stalled
from tracing import TLSTALL, run

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


def test_still_loading(start, directory):
    """The loader waits for libc, here a FIFO."""
    os.mkfifo(directory / "libc.so.6")
    client = start(Plain(["env", f"LD_LIBRARY_PATH={directory}", "/bin/cat"]))
    await_that(lambda: os.readlink(f"/proc/{client.pid}/exe").endswith("/cat"), "it is loaded")
    unharmed(client, "has not loaded its libraries yet")


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


YAMA = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope")


def test_yama(start, directory):
    """The target is not a child of the tool."""
    if not YAMA.exists():
        pytest.skip("this kernel has no Yama")
    if YAMA.read_text().strip() == "0" or not as_nobody():
        pytest.skip("kernel.yama.ptrace_scope is 0, or this is not root")
    sleeper = start(Plain([*as_nobody(), "/bin/sleep", "1000"]))
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
