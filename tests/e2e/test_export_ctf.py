# SPDX-License-Identifier: Apache-2.0
"""tlstall export --format ctf, read back by babeltrace2 and compared event by event."""
import ast
import json
import re
import struct
import subprocess
import time

import pytest

import made
import peer
from servers import await_that
from test_export_follow import curl
from tracing import TLSTALL, run

LINE = re.compile(r"\[(\d+)\.(\d{9})\] (\w+): \{ (.*) \}$")
FIELD = re.compile(r'(\w+) = ("(?:[^"\\]|\\.)*"|-?\d+)')


def export(source, path):
    return run([TLSTALL, "export", "--format", "ctf", "-o", path, source])


def read_back(path):
    """[(name, ns, fields)]"""
    result = subprocess.run(["/usr/bin/babeltrace2", "--clock-seconds", "--no-delta", str(path)], capture_output=True, text=True,
                            check=True)
    assert not result.stderr, result.stderr
    events = []
    for line in result.stdout.splitlines():
        seconds, ns, name, fields = LINE.match(line).groups()
        events.append((name, int(seconds) * 10**9 + int(ns), {key: ast.literal_eval(text) for key, text in FIELD.findall(fields)}))
    return events


def records(source):
    return [json.loads(line) for line in run([TLSTALL, "export", "--format", "jsonl", source]).stdout.splitlines()]


def begin(r):
    return "handshake_begin", r["ts_ns"], {"comm": r["comm"], "role": r["role"], "peer": r.get("peer", "-"),
                                           "sni": r.get("sni", "-"), "pid": r["pid"], "handshake": r["handshake"]}


def states(r):
    return [("state", r["ts_ns"] + s["at_ns"], {"state": s["state"], "pid": r["pid"], "handshake": r["handshake"]})
            for s in r["states"]]


def end(r):
    return "handshake_end", r["ts_ns"] + r["duration_ns"], {
        **{key: r[key] for key in ("outcome", "cause", "fault", "confidence")}, "version": r.get("version", "-"),
        "cipher": r.get("cipher", "-"), "evidence": "; ".join(r["evidence"]) or "-",
        **{key: r[key] for key in ("pid", "handshake", "duration_ns", "retries", "bytes_in", "bytes_out")}}


def in_order(events):
    return sorted(events, key=lambda e: (e[1], e[0], json.dumps(e[2], sort_keys=True)))


@pytest.fixture(scope="module")
def many():
    maker = made.Maker()
    yield maker
    maker.stop()


def test_times_that_no_reader_takes(directory, many):
    """One damaged handshake does not take the others with it."""
    path = many.make(20)
    data = bytearray(path.read_bytes())
    offset, _, size = struct.unpack_from("<QII", data, 160 + 16 * 6)  # the handshakes
    struct.pack_into("<Q", data, offset + 952, 2**63 - 1)  # start_realtime_ns
    struct.pack_into("<Q", data, offset + size + 416, 2**64 - 1)  # its first state
    path.write_bytes(data)
    assert export(path, directory / "made").status == 0
    assert [name for name, _, _ in read_back(directory / "made")].count("handshake_end") == 20


@pytest.mark.parametrize("hostile", [False, True])
def test_event_by_event(directory, many, hostile):
    source = many.make(500, *(["hostile"] if hostile else []))
    result = export(source, directory / "ctf")
    assert result.status == 0 and not result.stderr, result
    events = read_back(directory / "ctf")
    assert [e[1] for e in events] == sorted(e[1] for e in events)
    expected = [event for r in records(source) for event in (begin(r), *states(r), end(r))]
    assert in_order(e for e in events if e[0] != "call") == in_order(expected)
    assert sum(e[0] == "call" for e in events) == 500 * 3


def test_a_real_program(directory, start):
    (directory / "traces").mkdir()
    server = start(peer.Peer(peer.close_after_hello))
    curl(directory / "traces", server.port)
    # the length of a tick is measured anew at each reading, and more exactly the older the trace is
    made = time.monotonic()
    await_that(lambda: time.monotonic() - made > 1, "the trace is old enough")
    assert export(directory / "traces", directory / "ctf").status == 0
    events = read_back(directory / "ctf")
    (record,) = records(directory / "traces")
    calls = [e[2] for e in events if e[0] == "call"]
    assert [c["error"] for c in calls][:record["calls"]] == ["SSL_ERROR_WANT_READ"] * record["retries"] + ["SSL_ERROR_SYSCALL"]
    assert calls[0]["function"] == "SSL_connect" and calls[0]["ret"] == -1 and calls[0]["duration_ns"] > 0
    assert events[0] == begin(record)
    (ended,), told = [e for e in events if e[0] == "handshake_end"], end(record)
    assert ended[1] == pytest.approx(told[1], abs=10000)
    assert ended[2].pop("duration_ns") == pytest.approx(told[2].pop("duration_ns"), abs=10000)
    assert {**ended[2], "evidence": ""} == {**told[2], "evidence": ""}


def test_a_directory_that_exists(directory, many):
    result = export(many.make(5), directory)
    assert result.status == 1 and "File exists" in result.stderr, result


def test_a_directory_that_cannot_be_made(many):
    result = export(many.make(5), "/proc/nosuch")
    assert result.status == 1 and "failed" in result.stderr, result
