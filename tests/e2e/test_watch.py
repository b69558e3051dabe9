# SPDX-License-Identifier: Apache-2.0
"""Mode watch: healthy handshakes leave a summary with their calls, others leave everything.

Whether its verdicts equal those of mode all is tested with the causes, which run in this mode with
TLSTALL_TEST_MODE=watch.
"""
import collections
import json
import re
import signal
import subprocess

import pytest

import peer
import servers
import tracing

WATCH = {"TLSTALL_MODE": "watch"}
# a busy machine alone can make a call late
PATIENT = {**WATCH, "TLSTALL_LATE": "10000", "TLSTALL_SAMPLE": "0"}
CURL = ["/usr/bin/curl", "-sS", "--max-time", "20"]
# 200 handshakes one after the other, in one process
MANY = """
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
for _ in range(int(sys.argv[3])):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            while tls.recv(4096):
                pass
"""


@pytest.fixture
def nginx(authority, start):
    return start(servers.nginx(authority.ecdsa))


def curl(server, authority, *more):
    return [*CURL, "--cacert", authority.ca, *more, f"https://localhost:{server.port}/"]


def test_healthy(nginx, authority):
    trace = tracing.traced(curl(nginx, authority), env=PATIENT, check=False).trace
    handshake = trace.only()
    assert handshake.outcome == "ok" and handshake.cause == "NONE", handshake
    assert handshake.sni == "localhost" and handshake.version == "TLSv1.3", handshake
    assert handshake.verify_result == 0 and handshake.bytes_in > 500, handshake
    assert trace.calls == [] and handshake.peer is None, trace.records
    log = handshake.call_log
    assert len(log) == handshake.calls and log[-1]["ret"] == 1, handshake
    assert [c["retry"] for c in log] == list(range(len(log))), log
    assert {c["fn"] for c in log} == {"SSL_connect"}, log
    assert all(c["error"] == "SSL_ERROR_WANT_READ" for c in log[:-1]), log
    assert log[-1]["at_ns"] + log[-1]["duration_ns"] <= handshake.duration_ns * 1.001, handshake


def test_as_text(nginx, authority):
    result = tracing.run([tracing.TLSTALL, "run", "--", *curl(nginx, authority)], env=PATIENT)
    lines = [line for line in result.stderr.splitlines() if "handshake(0x" in line]
    assert len(lines) == 1 and re.search(r"\(0x\w+, client, .* = ok in .*: SSL_connect = ", lines[0]), result


def test_each_is_told_once(nginx, authority):
    argv = ["/usr/bin/python3", "-c", MANY, nginx.port, authority.ca, "200"]
    trace = tracing.traced(argv, env={**WATCH, "TLSTALL_SAMPLE": "0"}, check=False).trace
    numbers = collections.Counter(h.handshake for h in trace.handshakes)
    assert sorted(numbers) == list(range(1, 201)) and set(numbers.values()) == {1}, numbers
    assert trace.lost == 0


def test_sample_is_whole(nginx, authority):
    argv = ["/usr/bin/python3", "-c", MANY, nginx.port, authority.ca, "20"]
    trace = tracing.traced(argv, env={**PATIENT, "TLSTALL_SAMPLE": "10"}, check=False).trace
    whole = [h for h in trace.handshakes if h.call_log is None]
    assert len(trace.handshakes) == 20 and len(whole) == 2, trace.handshakes
    for handshake in whole:
        assert handshake.peer and trace.ops(handshake), handshake


def test_stall_has_all(authority, start):
    server = start(peer.Peer(peer.silent_after_hello))
    trace = tracing.traced([*CURL[:-1], "1", f"https://127.0.0.1:{server.port}/"], env=WATCH, check=False).trace
    handshake = trace.only()
    assert (handshake.cause, handshake.fault, handshake.confidence) == ("PEER_SILENT", "peer", "high"), handshake
    ops = [c for c in trace.ops(handshake) if c.fn == "SSL_connect"]
    assert handshake.peer == f"127.0.0.1:{server.port}" and handshake.stack, handshake
    assert [c.retry for c in ops][:8] == list(range(len(ops)))[:8], ops
    assert ops[0].error == "SSL_ERROR_WANT_READ" and ops[0].fn == "SSL_connect", ops


def test_failure_has_all(nginx):
    trace = tracing.traced([*CURL, f"https://localhost:{nginx.port}/"], env=WATCH, check=False).trace
    handshake = trace.only()
    assert (handshake.outcome, handshake.cause) == ("failed", "CERTIFICATE"), handshake
    assert handshake.stack and handshake.states, handshake
    assert trace.ops(handshake)[-1].error == "SSL_ERROR_SSL", trace.calls


def test_failures_outlive_summaries(nginx, authority):
    many = MANY.replace("for _ in", "good = context\nfor i in").replace(
        "        with context", "        context = ssl.create_default_context() if i % 50 == 7 else good\n"
        "        try:\n         with context").replace(
        "            tls.sendall", "             tls.sendall").replace(
        "            while", "             while").replace("                pass", "                 pass"
                                                           "\n        except ssl.SSLError: pass")
    argv = ["/usr/bin/python3", "-c", many, nginx.port, authority.ca, "600"]
    trace = tracing.traced(argv, env={**PATIENT, "TLSTALL_SIZE": "256K"}, check=False).trace
    assert sum(h.cause == "CERTIFICATE" for h in trace.handshakes) == 12, len(trace.handshakes)


def system_calls(argv, env):
    """Of the whole program, by name."""
    result = tracing.run(["/usr/bin/strace", "-f", "-qq", "-o", env["OUT"], *argv], env=env)
    assert result.status == 0, result
    text = open(env["OUT"], encoding="utf-8", errors="replace").read()
    return collections.Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", text, re.MULTILINE))


def test_one_system_call(nginx, authority, directory):
    """Per handshake: TCP_INFO at its start. 60 compared with 10, to exclude what a process costs."""
    def extra(count):
        argv = ["/usr/bin/python3", "-c", MANY, str(nginx.port), str(authority.ca), str(count)]
        out = {"OUT": str(directory / "calls")}
        with_shim = system_calls(argv, {**PATIENT, **out, "TLSTALL_DIR": str(directory),
                                        "LD_PRELOAD": str(tracing.SHIM)})
        return with_shim - system_calls(argv, out)

    few, many = extra(10), extra(60)
    grown = {name: many[name] - few[name] for name in many if many[name] - few[name] >= 25}
    assert list(grown) == ["getsockopt"] and grown["getsockopt"] <= 51, (few, many)


def test_killed_in_the_first_call(start, directory):
    """A handshake that hangs in its first, blocking call is in the trace, and stays there."""
    server = start(peer.Peer(peer.silent_after_hello))
    argv = ["/usr/bin/openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-brief"]
    env = tracing.environment(**WATCH, TLSTALL_DIR=str(directory), LD_PRELOAD=str(tracing.SHIM))
    process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        def seen():
            out = tracing.run([tracing.TLSTALL, "ps", "--format", "jsonl"], env={"TLSTALL_DIR": str(directory)})
            return [r for r in map(json.loads, out.stdout.splitlines()) if r["type"] == "handshake"]

        live = servers.await_that(lambda: (r := seen()) and r[0]["cause"] == "PEER_SILENT" and r, seen)
        assert live[0]["pid"] == process.pid and live[0]["outcome"] == "in_flight", live
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()
    report = tracing.run([tracing.TLSTALL, "report", "--format", "jsonl", directory])
    handshake = json.loads(report.stdout.splitlines()[0])
    assert handshake["outcome"] == "in_flight" and handshake["states"], handshake


@pytest.mark.parametrize("name", ["renegotiation", "dup", "clear", "fork_middle", "swap_fd", "longjmp_out",
                                  "two_threads", "dtls", "refused_certificate", "info_callback", "preserved"])
def test_same_output(name):
    """Unusual programs print the same in this mode as without the shim."""
    argv = [tracing.PROGRAMS / name]
    result = tracing.traced(argv, env=WATCH, check=False)
    assert not tracing.differences(tracing.run(argv), result), result
    assert result.trace.handshakes, result
    keys = [(h.pid, h.handshake) for h in result.trace.handshakes]
    assert len(keys) == len(set(keys)), keys


def test_refused_after_the_end():
    """In TLS 1.3 the refusal arrives with the first read, when all seemed well."""
    trace = tracing.traced([tracing.PROGRAMS / "refused_certificate"], env=WATCH, check=False).trace
    client = next(h for h in trace.handshakes if h.role == "client")
    assert client.outcome == "ok" and client.cause == "CERTIFICATE", client
    assert client.alerts and client.alerts[0]["by"] == "peer", client


def test_threads(directory):
    """Eight threads, each with a spare slot of its own: no handshake is lost, none reported twice."""
    program = tracing.PROGRAMS / "threads"
    env = {**WATCH, "TLSTALL_DIR": str(directory), "LD_PRELOAD": str(tracing.SHIM)}
    assert tracing.run([program], env=env).status == 0
    report = tracing.run([tracing.TLSTALL, "report", "--format", "jsonl", directory])
    records = [json.loads(line) for line in report.stdout.splitlines()]
    numbers = [r["handshake"] for r in records if r["type"] == "handshake"]
    assert len(numbers) == len(set(numbers)) == 320, len(numbers)
