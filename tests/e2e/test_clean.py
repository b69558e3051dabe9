# SPDX-License-Identifier: Apache-2.0
"""tlstall clean removes traces of processes that have ended, never of live ones."""
import os
import re
import subprocess
import threading
import time

import pytest

import tracing
from servers import await_that
from tracing import PROGRAMS, SHIM, TLSTALL, listed, run

ENDED = [PROGRAMS / "info_callback"]
LIVES = [PROGRAMS / "foreign", "lives", "name"]


def environment(directory):
    return tracing.environment(LD_PRELOAD=str(SHIM), TLSTALL_DIR=str(directory), TLSTALL_SIZE="256K")


def leave(directory, count=1):
    """Traces of processes that have ended, the oldest first."""
    left = []
    for _ in range(count):
        before = set(listed(directory))
        subprocess.run(ENDED, env=environment(directory), stdout=subprocess.DEVNULL, check=True)
        left += set(listed(directory)) - before
    return left


class Living:
    def __init__(self, directory, *wrapper):
        before = set(listed(directory))
        self.process = subprocess.Popen([*wrapper, *LIVES], env=environment(directory), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"done\n"
        self.trace, = set(listed(directory)) - before

    def stop(self):
        self.process.kill()
        self.process.communicate()


def clean(directory, *options):
    result = run([TLSTALL, "clean", *options, directory])
    assert result.status == 0 and not result.stderr, result
    return result.stdout


def test_the_living_stay(directory, start):
    alive = start(Living(directory))
    dead = leave(directory, 3)
    (directory / "999999-1-00000000000000aa.failed-ENOSPC").touch()
    (directory / "notes.txt").touch()
    said = clean(directory, "--dry-run")
    assert all(name in said for name in dead) and alive.trace not in said, said
    assert len(listed(directory)) == 6
    assert re.match(r"removed 3 traces, [\d.]+ [kM]B; 1 left, [\d.]+ [kM]B, including 1 of running processes\n", clean(directory))
    assert set(listed(directory)) == {alive.trace, "notes.txt"}
    alive.stop()
    clean(directory)
    assert listed(directory) == ["notes.txt"]


def test_containers_stay(directory, start):
    if os.geteuid() or subprocess.run(["unshare", "-p", "-f", "--time", "--boottime", "900000", "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here")
    alive = start(Living(directory, "unshare", "--pid", "--fork", "--kill-child", "--time", "--boottime", "900000"))
    leave(directory)
    clean(directory)
    assert listed(directory) == [alive.trace]


CHILD = "import os, ssl, sys\n" \
    "def begin(name):\n" \
    "    connection = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)\n" \
    "    try: connection.do_handshake()\n" \
    "    except ssl.SSLWantReadError: return connection\n" \
    "first = begin('x')\n" \
    "if os.fork(): os._exit(0)\n" \
    "{}print('done', flush=True)\nsys.stdin.read()\n"


@pytest.mark.parametrize("in_child", ["", "second = begin('y')\n"], ids=["idle", "begun"])
def test_children_stay(in_child, directory):
    """The process that made the trace has ended, but its forked child continues, already listed in the
    trace or not yet."""
    process = subprocess.Popen(["/usr/bin/python3", "-c", CHILD.format(in_child)], env=environment(directory),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"done\n"
    process.wait()
    name, = listed(directory)
    clean(directory)
    assert listed(directory) == [name]
    process.stdin.close()
    await_that(lambda: "removed 1 trace," in clean(directory), lambda: listed(directory))


def test_older(directory):
    leave(directory)
    assert "removed 0 traces" in clean(directory, "--older", "1h")
    assert "removed 1 trace," in clean(directory, "--older", "0s")


def test_keep_bytes(directory, start):
    alive = start(Living(directory))
    names = leave(directory, 4)
    wanted = sum(os.stat(directory / name).st_blocks * 512 for name in [*names[2:], alive.trace])
    clean(directory, "--keep-bytes", str(wanted + 4096))
    assert set(listed(directory)) == {*names[2:], alive.trace}
    clean(directory, "--keep-bytes", "0")
    assert set(listed(directory)) == {alive.trace}


def test_only_what_went_well(directory):
    good, = leave(directory)
    process = subprocess.Popen(LIVES, env=environment(directory), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    process.communicate()
    bad, = set(listed(directory)) - {good}
    clean(directory, "--outcome", "ok")
    assert listed(directory) == [bad]


def test_what_is_no_trace_stays(directory):
    (directory / "999999-1-00000000000000aa.tlstall").write_bytes(b"precious" * 1000)
    result = run([TLSTALL, "clean", directory])
    assert "; not removed" in result.stderr and len(listed(directory)) == 1, result
    fresh = directory / "999998-1-00000000000000aa.making"
    fresh.write_bytes(bytes(4096))
    run([TLSTALL, "clean", directory])
    assert fresh.exists()
    os.utime(fresh, (time.time() - 3600,) * 2)
    run([TLSTALL, "clean", directory])
    assert not fresh.exists()


def test_while_processes_start(directory, start):
    """No trace of a live process is removed, however a process's start and clean coincide."""
    over, removed = threading.Event(), []

    def clean_on():
        while not over.is_set():
            removed.append(clean(directory))

    cleaner = threading.Thread(target=clean_on)
    cleaner.start()
    living = []
    try:
        for _ in range(25):
            process = subprocess.Popen(LIVES, env=environment(directory), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            living.append(process)
            assert process.stdout.readline() == b"done\n"
            subprocess.run(ENDED, env=environment(directory), stdout=subprocess.DEVNULL, check=True)
    finally:
        over.set()
        cleaner.join()
        names = listed(directory)
        for process in living:
            process.kill()
            process.communicate()
    pids = {int(name.split("-")[0]) for name in names}
    assert {process.pid for process in living} <= pids, names
    assert any(not said.startswith("removed 0 ") for said in removed)


def test_wrong_usage(directory):
    for options in (["--older", "soon"], ["--older", "7"], ["--keep-bytes", "1Q"], ["--outcome", "bad"], ["--older"], ["a", "b"], ["--what"]):
        assert run([TLSTALL, "clean", *options]).status == 2, options
    assert run([TLSTALL, "clean", directory / "none"]).status == 1
