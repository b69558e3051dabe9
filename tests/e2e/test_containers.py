# SPDX-License-Identifier: Apache-2.0
"""Programs in containers: each is process 1 of its own, and some have a different clock."""
import json
import os
import re
import subprocess

import pytest

import peer
import tracing
from servers import await_that
from tracing import SHIM, TLSTALL, run

COUNT = 12
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Containers:
    """Clients that hang, one in each container."""

    def __init__(self, silent, directory, *clocks):
        command = ["unshare", "--pid", "--fork", "--kill-child", *clocks, "/usr/bin/curl", "-sk",
                   f"https://127.0.0.1:{silent.port}/"]
        env = tracing.environment(LD_PRELOAD=str(SHIM), TLSTALL_DIR=str(directory))
        self.processes = [subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                          for _ in range(COUNT)]

    def inner(self):
        """The host's ids of the processes in the containers."""
        return {int(pid) for process in self.processes for pid in
                open(f"/proc/{process.pid}/task/{process.pid}/children").read().split()}

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture(params=[[], ["--time", "--boottime", "900000", "--monotonic", "50000"]], ids=["pid", "time"])
def containers(request, start, directory):
    if subprocess.run(["unshare", "--pid", "--fork", *request.param, "true"], capture_output=True).returncode:
        pytest.skip("no such namespaces here")
    silent = start(peer.Peer(peer.silent_after_hello))
    made = start(Containers(silent, directory, *request.param))
    silent.wait_hellos(COUNT)
    return made


@pytest.fixture
def tlstall(directory):
    return lambda *arguments: run([TLSTALL, *map(str, arguments)], env={"TLSTALL_DIR": str(directory)})


def handshakes(result):
    assert result.status == 0, result
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_is_seen_with_both_ids(containers, directory, tlstall):
    inner = containers.inner()
    found = await_that(lambda: len(h := handshakes(tlstall("ps", "--format", "jsonl"))) == COUNT and
                       all(r["cause"] == "PEER_SILENT" for r in h) and h, lambda: tlstall("ps"))
    assert {r["host_pid"] for r in found} == inner and {r["pid"] for r in found} == {1}
    assert len({r["pid_namespace"] for r in found}) == COUNT
    # a handshake that hangs for seconds is not reported as hanging for days: each has its own clock
    assert all(r["duration_ns"] < 60e9 for r in found), found
    text = tlstall("ps").stdout
    assert set(map(int, re.findall(r"^ *(\d+)\(1\) curl ", text, re.MULTILINE))) == inner, text
    reported = handshakes(tlstall("report", "--format", "jsonl", directory))
    assert {(r["host_pid"], r["outcome"]) for r in reported} == {(pid, "in_flight") for pid in inner}
    assert all(r["cause"] == "PEER_SILENT" and r["duration_ns"] < 60e9 for r in reported), reported


def test_they_are_named_by_the_id_here(containers, tlstall):
    for pid in list(containers.inner())[:2]:
        result = tlstall("stack", pid)
        assert result.status == 0 and f"curl[{pid}(1)]" in result.stdout, result
        await_that(lambda: re.search(r"thread \d+ waits in \w*poll\w*\(\)", tlstall("stack", pid).stdout), lambda: tlstall("stack", pid))
        assert tlstall("ctl", pid, "handshake").stdout.startswith("handshake ")
    result = tlstall("ps", "1")
    assert result.status == 1 and "process 1 is not traced" in result.stderr, result


def test_they_are_dead_when_they_are(containers, directory, tlstall):
    await_that(lambda: len(handshakes(tlstall("ps", "--format", "jsonl"))) == COUNT, lambda: tlstall("ps"))
    containers.stop()
    await_that(lambda: not handshakes(tlstall("ps", "--format", "jsonl")), lambda: tlstall("ps"))
    assert len(handshakes(tlstall("ps", "--all", "--format", "jsonl"))) == COUNT
    assert len(handshakes(tlstall("report", "--format", "jsonl", directory))) == COUNT
