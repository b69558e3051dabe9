# SPDX-License-Identifier: Apache-2.0
"""Descriptors belong to the program: the shim keeps none open, and never touches the program's, whatever
it closed before."""
import pytest

import tracing

PROGRAMS = [("close_all", "loop"), ("close_all", "from-the-top"), ("close_all", "range"),
            ("daemon",), ("daemon", "threaded"), ("connection_threads",)]


def same(argv, **more):
    """The output is the same with and without the shim, and each handshake has a stack."""
    plain = tracing.run(argv, **more)
    assert plain.status == 0, plain
    beside = tracing.traced(argv, options=["-k"], **more)
    tracing.compare(plain, beside)
    assert beside.trace.handshakes
    for handshake in beside.trace.handshakes:
        assert handshake.outcome == "ok" and handshake.stack, handshake
    return plain.stdout.splitlines(), beside.trace


@pytest.mark.parametrize("argv", PROGRAMS, ids=" ".join)
def test_same_descriptors(argv):
    lines, _ = same([tracing.PROGRAMS / argv[0], *argv[1:]])
    assert any(line.startswith("descriptor ") for line in lines)


def test_nothing_but_its_own_comes_through_its_channels():
    lines, trace = same([tracing.PROGRAMS / "close_all", "loop"])
    assert lines.count("one end: 48 45 4c 4c 4f") == lines.count("other end: 48 45 4c 4c 4f") == 3
    assert "blocking:" in lines
    assert len(trace.handshakes) == 2
    for handshake in trace.handshakes:
        assert sum(frame.startswith("finish_deep") for frame in handshake.stack) == 21, handshake.stack


@pytest.mark.parametrize("argv", [("daemon",), ("daemon", "threaded")], ids=" ".join)
def test_a_daemons_stacks(argv):
    """Also in a child of a program with threads: never waits for a lock that another thread held."""
    _, trace = same([tracing.PROGRAMS / argv[0], *argv[1:]])
    children = [h for h in trace.handshakes if any(f.startswith("run_daemon") for f in h.stack)]
    assert len(children) == 4
    assert len({h.pid for h in trace.handshakes}) == 2


def test_python_daemon(authority):
    lines, trace = same(["/usr/bin/python3", tracing.ROOT / "tests/e2e/clients/daemon.py",
                         authority.ecdsa.both])
    assert lines[0].count("HELLO") == 8, lines
    assert len(trace.handshakes) == 2
