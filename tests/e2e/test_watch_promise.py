# SPDX-License-Identifier: Apache-2.0
"""What mode all promises also holds in mode watch: the same handshakes of unusual programs, two versions
of OpenSSL, QUIC, very many in flight, and a program killed at any moment."""
import json
import random
import re
import signal
import subprocess
import time

import pytest

import servers
import test_reach
import tracing
from test_reach import built, port  # noqa: F401, fixtures

WATCH = {"TLSTALL_MODE": "watch"}
ALL = {"TLSTALL_MODE": "all"}


# Which of the two depends on how soon the object was freed.
FREED = {"WANT_TREATED_AS_FATAL": "freed at WANT", "ABANDONED": "freed at WANT"}


def handshakes(argv, env):
    """The handshakes of each process in the order they began: role, end and so on."""
    trace = tracing.traced(argv, env=env, check=False).trace
    processes = list(dict.fromkeys(h.pid for h in sorted(trace.handshakes, key=lambda h: h.handshake)))
    ordered = sorted(trace.handshakes, key=lambda h: (processes.index(h.pid), h.handshake))
    keys = [(h.pid, h.handshake) for h in ordered]
    assert len(keys) == len(set(keys)), keys
    return [(h.role, h.outcome, h.version, FREED.get(h.cause, h.cause)) for h in ordered]


@pytest.mark.parametrize("name", ["renegotiation", "dup", "clear", "fork_middle", "swap_fd", "longjmp_out", "stateless",
                                  "two_threads", "dtls", "refused_certificate", "coroutines", "close_all", "left",
                                  "after_fatal", "abandoned", "shared_objects", "key_update", "exec_middle"])
def test_same_handshakes(name):
    argv = [tracing.PROGRAMS / name]
    told = handshakes(argv, WATCH)
    assert told and told == handshakes(argv, ALL)


def test_two_copies_in_one_process(built, port, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(test_reach, "seen", in_watch)
    test_reach.test_two_copies_in_one_process("local", built, port, tmp_path)


def test_two_versions_in_one_process(built, port, monkeypatch):  # noqa: F811
    monkeypatch.setattr(test_reach, "seen", in_watch)
    test_reach.test_two_versions_in_one_process("local", built, port)


def test_quic(authority, built, monkeypatch):  # noqa: F811
    monkeypatch.setattr(test_reach, "seen", in_watch)
    test_reach.test_quic(authority, built)


def in_watch(argv, handshakes=1, env=None, **_):
    """Replaces test_reach.seen(): the output is the same, and all handshakes are reported."""
    plain = tracing.run(argv, env=env)
    result = tracing.traced(argv, env={**(env or {}), **WATCH}, check=False)
    assert not tracing.differences(plain, result), result
    assert [h.outcome for h in result.trace.handshakes] == ["ok"] * handshakes, result.trace.handshakes
    return plain, result.trace


# The first line says that each has made its first call, and waits.
IN_FLIGHT = """
import ssl, sys
context = ssl._create_unverified_context()
flying = []
for _ in range(int(sys.argv[1])):
    flying.append(context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO()))
    try:
        flying[-1].do_handshake()
    except ssl.SSLWantReadError:
        pass
print("all are", flush=True)
sys.stdin.read()
"""
MANY = 2000


@pytest.mark.parametrize("mode", ["watch", "all"])
def test_very_many_in_flight(mode, directory):
    """Each has a record as long as there is room, and those without are counted."""
    env = tracing.environment(TLSTALL_MODE=mode, TLSTALL_SIZE="256K", TLSTALL_DIR=str(directory), LD_PRELOAD=str(tracing.SHIM))
    process = subprocess.Popen(["/usr/bin/python3", "-c", IN_FLIGHT, str(MANY)], env=env, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "all are\n"
        told = tracing.run([tracing.TLSTALL, "ps", "--format", "jsonl"], env={"TLSTALL_DIR": str(directory)})
        records = [r for r in map(json.loads, told.stdout.splitlines()) if r["type"] == "handshake"]
        assert records and {r["outcome"] for r in records} == {"in_flight"}
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()
    assert process.returncode == 0
    report = tracing.run([tracing.TLSTALL, "report", directory])
    first = report.stdout.splitlines()[0]
    crowded = re.search(r"; (\d+) began when there was no room", first)
    assert crowded and len(records) + int(crowded[1]) == MANY, (len(records), first)


def test_killed_at_any_moment(authority, start, directory):
    """No handshake is reported twice, and at most the last is unfinished."""
    from test_watch import MANY as LOOP
    server = start(servers.nginx(authority.ecdsa))
    for number in range(10):
        traces = directory / str(number)
        traces.mkdir()
        env = tracing.environment(**WATCH, TLSTALL_DIR=str(traces), LD_PRELOAD=str(tracing.SHIM))
        process = subprocess.Popen(["/usr/bin/python3", "-c", LOOP, str(server.port), authority.ca, "100000"], env=env,
                                   stderr=subprocess.DEVNULL)
        servers.await_that(lambda: list(traces.glob("*.tlstall")), "a trace")
        time.sleep(random.Random(number).uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        report = tracing.run([tracing.TLSTALL, "report", "--format", "jsonl", traces])
        assert report.status == 0, report
        told = [r for r in map(json.loads, report.stdout.splitlines()) if r["type"] == "handshake"]
        numbers = [r["handshake"] for r in told]
        assert len(numbers) == len(set(numbers)), numbers
        assert sum(r["outcome"] != "ok" for r in told) <= 1, [r["outcome"] for r in told]
