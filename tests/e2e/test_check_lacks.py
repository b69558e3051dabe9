# SPDX-License-Identifier: Apache-2.0
"""tlstall check PID reports what a process's trace lacks because of a seccomp filter or other preloads."""
import contextlib
import ctypes
import struct
import subprocess

import pytest

import test_preloads
import tracing
from test_harm_trace import environment
from tracing import PROGRAMS, SHIM, TLSTALL

built, other = test_preloads.built, test_preloads.other
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def allow_everything():
    """A filter that forbids nothing is still a filter."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000))
    program = ctypes.create_string_buffer(struct.pack("@HP", 1, ctypes.addressof(code)))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno())


@contextlib.contextmanager
def waiting(directory, preload=str(SHIM), before=None, **settings):
    """A process that has made a handshake, and waits."""
    with subprocess.Popen([PROGRAMS / "harm" / "exec_later"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          preexec_fn=before, text=True,
                          env=tracing.environment(**{**environment(directory, **settings), "LD_PRELOAD": preload})) as process:
        assert process.stdout.readline() == "first\n"
        yield process.pid
        process.kill()


def check(pid):
    result = tracing.run([TLSTALL, "check", pid])
    assert result.status == 0, result
    return " ".join(result.stdout.split())


def test_filter(directory):
    with waiting(directory, before=allow_everything) as pid:
        said = check(pid)
        assert "is under a seccomp filter: its trace lacks the state of sockets" in said, said
    with waiting(directory, before=allow_everything, SOCKET="on") as pid:
        assert "seccomp filter, and TLSTALL_SOCKET=on" in check(pid)
    with waiting(directory) as pid:
        assert "seccomp" not in check(pid)


@pytest.mark.parametrize("order", ["before", "after"])
def test_other_preloads(directory, other, order):
    library = str(other("next"))
    preload = f"{library}:{SHIM}" if order == "before" else f"{SHIM} {library}"
    with waiting(directory, preload=preload) as pid:
        said = check(pid)
        assert library in said and f"another preloaded library with functions of libssl, {order} the shim" in said, said
    with waiting(directory) as pid:
        assert "another preloaded" not in check(pid)


@pytest.mark.parametrize("order", ["before", "after", "alone"])
def test_order_is_in_the_trace(other, order):
    settings = {} if order == "alone" else {"LD_PRELOAD": str(other("next"))}
    command = ["env", f"LD_PRELOAD={SHIM}:{settings.get('LD_PRELOAD', '')}"] if order == "after" else []
    if order == "before":
        command = ["env", f"LD_PRELOAD={settings['LD_PRELOAD']}:{SHIM}"]
    result = tracing.run([TLSTALL, "run", "-c", "--", *command, PROGRAMS / "bio_pair"])
    assert ("comes before the shim" in result.stderr) == (order == "before"), result
