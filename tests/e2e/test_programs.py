# SPDX-License-Identifier: Apache-2.0
"""The C programs of tests/programs: rare situations. Each one's output is the same with and without the
shim, and what is recorded matches it."""
import re

import pytest

import suite
import tracing

coverage = pytest.mark.coverage

ALL = sorted(path.stem for path in (tracing.ROOT / "tests/programs").glob("*.c")
             if path.stem not in ("common", "any_order", "foreign", "full", "filtered"))  # those have their own tests


# qemu reverses the order of the environment with each program that it executes.
EMULATION = [(r"\benvironment [0-9a-f]+", "environment")] if suite.EMULATED else []


def both(name):
    """The program's output, which must be the same, and what was recorded."""
    program = tracing.PROGRAMS / name
    plain = tracing.run([program])
    assert plain.status == 0, plain
    # A forked child continues a handshake that its parent began.
    with_shim = tracing.traced([program], check=name != "fork_middle")
    tracing.compare(plain, with_shim, EMULATION)
    return plain.stdout.splitlines(), with_shim.trace


def by_role(trace):
    """Handshakes in the order they began, clients and servers."""
    ordered = sorted(trace.handshakes, key=lambda h: h.ts_ns)
    return ([h for h in ordered if h.role == "client"], [h for h in ordered if h.role == "server"])


def errors(trace, handshake):
    """Of each op, without the prefix."""
    return [c.error.removeprefix("SSL_ERROR_") for c in trace.ops(handshake)]


def said(lines, who):
    return [line.split()[1] for line in lines if line.startswith(who + " ")]


@pytest.mark.parametrize("name", ALL)
def test_same_with_and_without(name):
    _, trace = both(name)
    assert trace.handshakes, "the shim saw nothing"
    assert trace.functions() & {"SSL_connect", "SSL_accept", "SSL_do_handshake"}


@coverage("BIO pair", "a C program")
def test_retries_in_both_directions():
    lines, trace = both("bio_pair")
    (client,), (server,) = by_role(trace)
    for handshake, who in (client, "client"), (server, "server"):
        assert handshake.outcome == "ok"
        during = trace.ops(handshake)[:handshake.calls]
        assert [c.error.removeprefix("SSL_ERROR_") for c in during] == said(lines, who)
        assert handshake.want_read == said(lines, who).count("WANT_READ") > 0
        assert handshake.want_write == said(lines, who).count("WANT_WRITE") > 0
        assert {(c.bio_read, c.bio_write) for c in during} == {("BIO pair", "BIO pair")}
        assert all(c.fd is None and c.blocking is None for c in during)
    assert any(c.pending_out for c in trace.ops(client))
    assert client.version == lines[-1] == server.version


def test_x509_lookup():
    lines, trace = both("x509_lookup")
    (client,), (server,) = by_role(trace)
    assert errors(trace, client) == said(lines, "client")
    assert client.want_other == 2 and client.outcome == server.outcome == "ok"


def test_client_hello_callback():
    lines, trace = both("client_hello")
    _, (server,) = by_role(trace)
    assert errors(trace, server)[:3] == said(lines, "server") + ["WANT_READ"]
    assert server.want_other == 2 and server.outcome == "ok"


def test_wrong_argument_to_get_error():
    lines, trace = both("wrong_argument")
    (client,), _ = by_role(trace)
    asked = [c for c in trace.of(client) if c.fn == "SSL_get_error"]
    assert [(c.arg_ret, c.error.removeprefix("SSL_ERROR_")) for c in asked[:4]] == [
        (-1, "WANT_READ"), (1, "NONE"), (0, "WANT_READ"), (-7, "WANT_READ")]
    assert asked[-1].arg_ret == -1
    assert lines[-1].endswith(asked[-1].error.removeprefix("SSL_ERROR_"))


def test_stale_error_queue():
    lines, trace = both("stale_queue")
    (client,), _ = by_role(trace)
    ops = trace.ops(client)
    assert ops[0].error == ops[1].error == "SSL_ERROR_WANT_READ"
    asked = [c for c in trace.of(client) if c.fn == "SSL_get_error"]
    # 4.0 ignores old entries.
    answer = "WANT_READ" if tracing.openssl_version() >= (4,) else "SSL"
    assert lines[2] == f"-1 {answer}"
    assert [c.error for c in asked[:2]] == ["SSL_ERROR_WANT_READ", f"SSL_ERROR_{answer}"]
    assert any(c.ossl_error_entry or c.stale_error for c in ops), "entry of the queue not recorded"


@coverage("renegotiation", "a C program")
def test_renegotiation():
    lines, trace = both("renegotiation")
    clients, servers = by_role(trace)
    assert [h.outcome for h in clients] == ["ok", "ok"], "two handshakes on one SSL"
    assert [h.outcome for h in servers] == ["ok", "ok"]
    assert clients[0].ssl == clients[1].ssl
    assert clients[0].handshake != clients[1].handshake
    assert {h.version for h in clients + servers} == {"TLSv1.2"}


@coverage("SSL_dup", "a C program")
def test_dup():
    _, trace = both("dup")
    clients, servers = by_role(trace)
    assert [h.outcome for h in clients + servers] == ["ok"] * 4
    assert clients[0].ssl != clients[1].ssl


def test_clear_and_reuse():
    lines, trace = both("clear")
    clients, servers = by_role(trace)
    # 1.1.1 refuses its own second half: "unsolicited extension".
    works = tracing.openssl_version() >= (3,)
    assert lines[-1] == f"last {int(works)}"
    last = "ok" if works else "failed"
    assert [h.outcome for h in clients] == ["ok", "abandoned", last]
    assert [h.outcome for h in servers] == ["ok", last]
    assert len({h.ssl for h in clients}) == 1


def test_two_threads():
    _, trace = both("two_threads")
    (client,), _ = by_role(trace)
    assert len({c.tid for c in trace.ops(client)[:client.calls]}) == 2
    assert client.outcome == "ok"


@coverage("eight threads at once", "a C program")
def test_threads():
    _, trace = both("threads")
    clients, servers = by_role(trace)
    assert len(clients) == len(servers) == 160
    assert {h.outcome for h in trace.handshakes} == {"ok"}
    assert len({c.tid for c in trace.calls}) == 8


@coverage("fork in mid-handshake", "a C program")
def test_fork_in_mid_handshake():
    _, trace = both("fork_middle")
    clients, servers = by_role(trace)
    assert len({c.pid for c in trace.calls}) == 2
    assert [h.outcome for h in servers] == ["ok"]
    child = [h for h in clients if h.outcome == "ok"]
    assert len(child) == 1 and child[0].pid != servers[0].pid
    connects = [c for c in trace.calls if c.fn == "SSL_connect"]
    assert [(c.ret, c.pid) for c in connects] == [(1, child[0].pid)]


def test_longjmp():
    _, trace = both("longjmp_out")
    clients, _ = by_role(trace)
    assert [h.outcome for h in clients][-1] == "ok"
    assert all(h.outcome in ("abandoned", "in_flight") for h in clients[:-1])
    assert len(clients) == 3


@coverage("DTLS", "a C program")
def test_dtls():
    lines, trace = both("dtls")
    (client,), (server,) = by_role(trace)
    assert client.outcome == server.outcome == "ok"
    assert client.version == lines[-1]
    assert trace.ops(client)[0].bio_read == "datagram socket"
    assert trace.ops(client)[0].fd is not None and trace.ops(client)[0].blocking is False


def test_info_callback_sees_the_same():
    lines, trace = both("info_callback")
    assert "context has none, client has object, server has none" in lines
    assert not any("somebody" in line for line in lines)
    assert len([line for line in lines if line.startswith("  object")]) > 20
    assert {h.outcome for h in trace.handshakes} == {"ok"}
    assert all(len(h.states) > 3 for h in trace.handshakes)


def test_errno_and_queue_are_preserved():
    lines, trace = both("preserved")
    printed = re.findall(r"^(SSL_connect|SSL_accept|SSL_do_handshake)\S*.* (-?\d+) errno (\d+)",
                         "\n".join(lines), re.MULTILINE)
    calls = {(c.fn, c.ret, c.errno or 0) for c in trace.calls}
    for function, ret, number in printed:
        assert (function, int(ret), int(number)) in calls, (printed, calls)
    failed = [h for h in trace.handshakes if h.outcome == "failed"]
    # 1.1.1 reports a missing BIO as an internal error, later versions do not report it.
    assert {h.reason for h in failed if h.reason} - {"internal error"} == {"wrong version number"}
    assert ("internal error" in lines[-1]) == (tracing.openssl_version() < (3,))


def test_refused_client_certificate():
    _, trace = both("refused_certificate")
    (client,), (server,) = by_role(trace)
    assert client.outcome == "ok" and server.outcome == "failed"
    read = [c for c in trace.calls if c.fn == "SSL_read"]
    assert len(read) == 1 and read[0].error == "SSL_ERROR_SSL"
    assert "certificate required" in read[0].reason
    alert, = server.alerts
    assert alert["by"] == "us" and alert["level"] == "fatal", alert
    assert "certificate required" in alert["description"]
    alert, = client.alerts
    assert alert["by"] == "peer"


def test_abandoned():
    _, trace = both("abandoned")
    clients, servers = by_role(trace)
    assert [h.outcome for h in clients + servers] == ["abandoned"] * 3


@coverage("exec in mid-handshake", "a C program")
def test_exec():
    _, trace = both("exec_middle")
    clients, servers = by_role(trace)
    assert [h.outcome for h in clients][::2] == ["ok", "ok"]
    assert clients[1].outcome in ("abandoned", "in_flight")
    assert len({h.pid for h in clients}) == 1
    assert len(servers) == 2


def test_children():
    lines, trace = both("spawn")
    clients, servers = by_role(trace)
    assert len(clients) == len(servers) == len(lines) == 5
    assert {h.outcome for h in trace.handshakes} == {"ok"}
    assert len({h.pid for h in clients}) == 4


def test_blocking():
    _, trace = both("blocking")
    (client,), (server,) = by_role(trace)
    call, = trace.ops(client)[:1]
    assert (call.fn, call.ret, call.error_class, call.blocking) == (
        "SSL_connect", 1, "success", True)
    assert call.bio_read == call.bio_write == "socket"
    assert trace.ops(server)[0].fn == "SSL_accept"
    assert client.peer.startswith("127.0.0.1:") and server.peer.startswith("127.0.0.1:")
    assert client.peer != server.peer
    assert client.retries == 0 and client.version == "TLSv1.3"



@coverage("async job (SSL_MODE_ASYNC)", "a C program")
def test_async_job():
    lines, trace = both("async")
    clients, servers = by_role(trace)
    assert [h.outcome for h in clients + servers] == ["ok"] * 4
    first = errors(trace, clients[0])[:clients[0].calls]
    assert [line.split()[1] for line in lines if line.startswith("client")] == first
    assert clients[0].want_other == first.count("WANT_ASYNC") == 2
    # The other handshake's calls inside the job are not mixed in.
    assert errors(trace, clients[1])[:2] == ["WANT_READ", "WANT_READ"]


@coverage("SSL_set_fd, SSL_set_bio in mid-handshake", "a C program")
def test_other_descriptor_in_the_middle():
    _, trace = both("swap_fd")
    (client,), (server,) = by_role(trace)
    assert client.calls >= 4 and trace.ops(client)[0].bio_read == "socket"
    assert client.outcome == server.outcome == "ok"
    assert client.bytes_out == server.bytes_in


@coverage("KTLS", "a C program")
def test_ktls():
    lines, trace = both("ktls")
    assert [h.outcome for h in trace.handshakes] == ["ok"] * 2
    assert lines[:3] == ["finished 1", "written 1", "read x"]
    if lines[3] != "by the kernel":
        pytest.skip(f"encrypted {lines[3]}; with the option set, the handshake is seen")


def test_stacks_of_coroutines():
    """Each on its own stack: the program's, or that of one of its coroutines."""
    trace = tracing.traced([tracing.PROGRAMS / "coroutines"], options=["-k"]).trace
    assert len(trace.handshakes) == 212
    of_main = 0
    for handshake in trace.handshakes:
        names = {frame.split()[0] for frame in handshake.stack}
        assert "main" not in names or not names & {"near_the_top", "far_below", "deeper"}, handshake.stack
        of_main += "main" in names
    # every fifth round has one on the program's own stack
    assert of_main == 20


def test_calls_after_a_fatal_error_are_counted():
    _, trace = both("after_fatal")
    (client,), _ = by_role(trace)
    assert client.outcome == "failed" and client.error == "SSL_ERROR_SSL"
    after = client.after_fatal
    assert after["calls"] == 1000
    assert 30_000_000 < after["cpu_ns"] <= after["duration_ns"] * 1.1


def test_cpu_time_between_calls():
    lines, trace = both("gaps")
    clients, _ = by_role(trace)
    gap = 60_000_000
    seen = dict(zip(lines, clients))
    assert gap / 2 < seen["computed"].longest_gap_cpu_ns < gap * 2
    assert seen["slept"].longest_gap_cpu_ns < gap / 4
    assert gap / 2 < seen["computed and gave up"].idle_cpu_ns < gap * 2
    assert seen["slept and gave up"].idle_cpu_ns < gap / 4
    assert seen["computed"].idle_cpu_ns is None


def test_the_dtls_timer_is_seen():
    _, trace = both("dtls_timer")
    unanswered = [h for h in trace.handshakes if h.outcome == "abandoned"]
    assert [h.timer_calls for h in unanswered] == [2]
    assert "SSL_ctrl" not in trace.functions()


def test_a_call_that_is_left_by_longjmp_is_over():
    # The process ends with _exit, so only the exit shows that it left.
    trace = tracing.traced([tracing.PROGRAMS / "left"]).trace
    left = [h for h in trace.handshakes if h.left]
    assert [(h.outcome, h.cause) for h in left] == [("in_flight", "ABANDONED")]
    assert left[0].time["wait_in_call_ns"] + left[0].time["cpu_ns"] > 150_000_000
    assert {h.outcome for h in trace.handshakes if not h.left} == {"ok"}


def test_a_step_that_keeps_no_state():
    lines, trace = both("stateless")
    assert lines == ["first: 0", "second: 1", "done: 1", "another client's: 0"]
    _, servers = by_role(trace)
    assert [(h.outcome, h.cause) for h in servers] == [("ok", "NONE"), ("abandoned", "NONE")]
    assert trace.ops(servers[0])[0].fn == "SSL_stateless"
    assert errors(trace, servers[0])[:2] == ["WANT_READ", "NONE"]


@pytest.mark.skipif(suite.EMULATED, reason="qemu passes on four bytes of TCP_INFO")
def test_how_old_the_connection_was():
    _, trace = both("late_first")
    late, after_text = by_role(trace)[0]
    assert 100 <= late.connected_ms < 1000
    # unknown once something was sent
    assert after_text.connected_ms is None


def test_errno_where_the_kernel_refuses_to_tell():
    lines, trace = both("errno_kept")
    assert "client -1 WANT_READ: errno 11, then 11, queue 0" in lines
    assert [h.outcome for h in trace.handshakes] == ["ok", "ok"]


def test_library_contexts():
    """Indexes of ex_data belong to a library context: nothing of the program's is overwritten or taken for ours."""
    lines, trace = both("library_context")
    assert [line.split(": ")[1] for line in lines] == ["1, marks kept, reported 1 and 1"] * 5
    assert [h.outcome for h in trace.handshakes] == ["ok"] * 10


def test_what_a_vfork_child_announces_is_its_own():
    _, trace = both("announced")
    clients, _ = by_role(trace)
    assert len(clients) == 2 and all(h.peer for h in clients)
