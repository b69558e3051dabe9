# SPDX-License-Identifier: Apache-2.0
"""Ids that stand for no process which runs a program: every command says what they are."""
import os
import pathlib
import subprocess
import sys

import pytest

from servers import await_that
from test_look import Plain
from tracing import TLSTALL, run

COMMANDS = [["look"], ["attach"], ["detach"], ["run", "-p"], ["check"], ["ps"], ["stack"], ["stack", "--all"], ["ctl"]]
every_command = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
NARROW = ("look", "attach", "detach", "run")

THREADS = """
import signal, threading
threading.Thread(target=signal.pause).start()
signal.pause()
"""
MAIN_THREAD_ENDS = """
import ctypes, signal, threading
threading.Thread(target=signal.pause).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def says(command, pid, words):
    if command[0] in NARROW and os.uname().machine != "x86_64":
        pytest.skip("is for x86-64 so far")
    # somebody's trace elsewhere may be damaged, which ps would tell, too
    result = run([TLSTALL, *command, str(pid), *(["on"] if command == ["ctl"] else [])], env={"TLSTALL_DIR": "/nonexistent"})
    assert result.status == (2 if command == ["check"] else 1) and result.stdout == "", result
    assert result.stderr.startswith(f"tlstall: {words}") and result.stderr.count("\n") == 1, result


def state(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture(name="zombie")
def ended_process():
    process = subprocess.Popen(["/bin/true"])
    await_that(lambda: state(process.pid) == "Z", "it has ended")
    yield process.pid
    process.wait()


def threaded(start, program):
    """A process, and another thread of it."""
    client = start(Plain([sys.executable, "-c", program]))
    tasks = pathlib.Path(f"/proc/{client.pid}/task")
    await_that(lambda: len(list(tasks.iterdir())) == 2, "it has two threads")
    (thread,) = {int(path.name) for path in tasks.iterdir()} - {client.pid}
    return client.pid, thread


@every_command
def test_nothing(command):
    says(command, 99999999, "no such process: 99999999\n")


@every_command
def test_a_zombie(command, zombie):
    says(command, zombie, f"process {zombie} has ended (a zombie, which its parent {os.getpid()} has not waited for)\n")


@every_command
def test_a_kernel_thread(command):
    """In a container none is seen."""
    comm = pathlib.Path("/proc/2/comm")
    if not comm.exists() or comm.read_text() != "kthreadd\n":
        pytest.skip("no kernel threads are seen here")
    says(command, 2, "process 2 is a kernel thread (kthreadd), which runs no program\n")


@every_command
def test_a_thread(command, start):
    pid, thread = threaded(start, THREADS)
    says(command, thread, f"{thread} is a thread of process {pid}: name that process\n")


@every_command
def test_a_main_thread_that_has_ended(command, start):
    pid, _ = threaded(start, MAIN_THREAD_ENDS)
    await_that(lambda: state(pid) == "Z", "its main thread has ended")
    says(command, pid, f"the main thread of process {pid} has ended: the kernel no longer shows its memory\n")


@pytest.mark.parametrize("command", [command for command in COMMANDS if command[0] != "stack"], ids=" ".join)
def test_still_loading(command, start, directory):
    """Its loader waits for libc, here a FIFO."""
    os.mkfifo(directory / "libc.so.6")
    client = start(Plain(["env", f"LD_LIBRARY_PATH={directory}", "/bin/cat"]))
    await_that(lambda: os.readlink(f"/proc/{client.pid}/exe").endswith("/cat"), "it is started")
    await_that(lambda: pathlib.Path(f"/proc/{client.pid}/syscall").read_text().split()[0].isdigit(), "it waits")
    says(command, client.pid, f"process {client.pid} has not loaded its libraries yet")
