# SPDX-License-Identifier: Apache-2.0
"""tlstall serve: what it reports about real programs, to Prometheus and over HTTP."""
import contextlib
import datetime
import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest

import made
import peer
import servers
import serving
import tracing
from servers import await_that
from serving import Agent, Notified, Prometheus, dashboard_queries, traced
from tracing import TLSTALL, listed, run

CURL = "/usr/bin/curl"
TOTAL = "tlstall_handshakes_total"


CONNECTS = "import socket, ssl, sys; ssl.create_default_context().wrap_socket(" \
           "socket.create_connection(('127.0.0.1', int(sys.argv[1]))), server_hostname='localhost')"


class Client:
    """curl, or another program, that waits until it is stopped."""

    def __init__(self, directory, port, *command, **env):
        self.process = subprocess.Popen([*command, str(port)] if command else [CURL, "-sk", f"https://127.0.0.1:{port}/"],
                                        env=traced(directory, **env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Traced:
    """strace of a process that runs already."""

    def __init__(self, pid, what, log):
        self.process = subprocess.Popen(["strace", "-f", "-e", what, "-o", log, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
        self.attached = "attached" in self.process.stderr.readline()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)


def curl(directory, port, *options, **env):
    return subprocess.run([CURL, "-sk", *options, f"https://localhost:{port}/"], env=traced(directory, **env), check=False,
                          capture_output=True, text=True).returncode


def python(directory, port):
    """On a socket that OpenSSL knows, unlike curl's: the peer's address is recorded. It fails."""
    subprocess.run([sys.executable, "-c", CONNECTS, str(port)], env=traced(directory), check=False, stderr=subprocess.DEVNULL)


def await_dashboard(prometheus, unanswered, is_done):
    """Takes out of the queries those to which there is an answer."""

    def ask():
        for panel, query in list(unanswered.items()):
            if prometheus.query(query):
                del unanswered[panel]
        return is_done(unanswered)

    await_that(ask, lambda: f"the dashboard's queries are answered: {unanswered}", 60)


@pytest.fixture
def silent(start):
    return start(peer.Peer(peer.silent_after_hello))


def promtool(*arguments, **more):
    result = subprocess.run(["/usr/bin/promtool", *arguments], capture_output=True, text=True, check=False, **more)
    return result.returncode, result.stdout + result.stderr


# ---- handshakes that end -----------------------------------------------------------------


@pytest.mark.parametrize("mode", ["all", "watch"])
def test_what_ends_is_counted(directory, authority, start, mode):
    directory.chmod(0o1777)  # nginx's workers run as another user
    agent = start(Agent(directory))
    nginx = start(servers.nginx(authority.ecdsa, env={"LD_PRELOAD": str(tracing.SHIM), "TLSTALL_DIR": str(directory),
                                                      "TLSTALL_MODE": mode}))
    assert [curl(directory, nginx.port, TLSTALL_MODE=mode) for _ in range(3)] == [0, 0, 0]
    agent.await_sum(3, TOTAL, role="client", outcome="ok", cause="NONE", fault="none", version="TLSv1.3", resumed="false")
    agent.await_sum(3, TOTAL, role="server", outcome="ok")
    agent.await_sum(3, "tlstall_handshake_duration_seconds_count", role="server", outcome="ok")
    metrics = agent.metrics()
    buckets = [value for name, value in metrics.items() if "_bucket" in name and 'role="client"' in name]
    assert buckets == sorted(buckets) and len(buckets) == 16 and buckets[-1] == 3, buckets
    # Prometheus' own rules agree
    assert promtool("check", "metrics", input=agent.ask("metrics")) == (0, "")
    # nginx's two, and no curl: the last one may still have been there when its handshake was counted
    agent.await_sum(2, "tlstall_traced_processes")
    assert agent.sum("tlstall_lost_events_total") == 0
    records = agent.handshakes()
    assert sorted(r.role for r in records) == ["client"] * 3 + ["server"] * 3
    assert agent.stop() == (0, "")


def test_python_and_a_failure(directory, authority, start):
    agent = start(Agent(directory))
    server = start(servers.s_server(authority.ecdsa))
    python(directory, server.port)
    agent.await_sum(1, TOTAL, role="client", outcome="failed", cause="CERTIFICATE", fault="configuration")
    (record,) = agent.handshakes()
    assert record.outcome == "failed" and record.cause == "CERTIFICATE"


def test_when_certificates_expire(directory, authority, start):
    server = start(servers.s_server(authority.ecdsa))
    agent = start(Agent(directory))
    assert curl(directory, server.port) == 0
    agent.await_sum(1, TOTAL, outcome="ok")
    said = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in", authority.ecdsa.cert],
                          capture_output=True, text=True, check=True).stdout.strip().removeprefix("notAfter=")
    ends = datetime.datetime.fromisoformat(said.replace("Z", "+00:00"))
    (record,) = agent.handshakes()
    assert record.peer_not_after == ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert agent.sum("tlstall_peer_certificate_not_after_timestamp_seconds", role="client") == ends.timestamp()


def test_worst_peers(directory, start):
    agent = start(Agent(directory, "--peers", "2"))
    refusing = [start(peer.Peer(peer.close_after_hello)).port for _ in range(3)]
    for times, port in zip((1, 3, 2), refusing):
        for _ in range(times):
            python(directory, port)
    agent.await_sum(6, TOTAL, role="client", outcome="failed")
    shown = {name: value for name, value in agent.metrics().items() if name.startswith("tlstall_peer_failures_total")}
    assert shown == {f'tlstall_peer_failures_total{{role="client",peer="127.0.0.1:{refusing[1]}"}}': 3,
                     f'tlstall_peer_failures_total{{role="client",peer="127.0.0.1:{refusing[2]}"}}': 2}
    assert promtool("check", "metrics", input=agent.ask("metrics")) == (0, "")


@pytest.mark.parametrize("count", ["101", "-1", "many"])
def test_wrong_number_of_peers(count):
    result = run([TLSTALL, "serve", "--peers", count])
    assert result.status == 2 and f"invalid number of peers '{count}' (expected 0 to 100)" in result.stderr, result


def test_as_many_as_the_report_tells(directory, authority, start):
    server = start(servers.s_server(authority.ecdsa))
    agent = start(Agent(directory))
    for _ in range(20):
        curl(directory, server.port)
    agent.await_sum(20, TOTAL)
    of_report = tracing.Trace(run([TLSTALL, "report", "--format", "jsonl", directory]).stdout).handshakes
    keys = ["pid", "ts_ns", "role", "outcome", "cause", "calls", "version", "cipher", "sni"]
    served, told = (sorted(each, key=lambda r: r.ts_ns) for each in (agent.handshakes(), of_report))
    assert [[r.get(k) for k in keys] for r in served] == [[r.get(k) for k in keys] for r in told]
    for one, other in zip(served, told):  # the clock is measured more and more exactly
        assert one.duration_ns == pytest.approx(other.duration_ns, rel=1e-3)


# ---- handshakes that hang -----------------------------------------------------------------


def test_what_hangs_is_seen(directory, start, silent):
    agent = start(Agent(directory))
    client = start(Client(directory, silent.port))
    agent.await_sum(1, "tlstall_stalled_handshakes", cause="PEER_SILENT", fault="peer")
    assert agent.sum("tlstall_handshakes_in_flight", role="client") == 1
    assert agent.sum("tlstall_oldest_in_flight_seconds") > 1
    (record,) = agent.handshakes()
    assert record.pid == client.process.pid and record.outcome == "in_flight" and record.cause == "PEER_SILENT"
    assert record.peer == f"127.0.0.1:{silent.port}"
    assert agent.sum(TOTAL) == 0
    client.stop()
    agent.await_sum(0, "tlstall_handshakes_in_flight")
    agent.await_sum(1, TOTAL, role="client", cause="PEER_SILENT")
    assert agent.sum("tlstall_stalled_handshakes") == 0 and agent.sum("tlstall_oldest_in_flight_seconds") == 0


def questions(log):
    """Whether each question to the kernel was one for all sockets (NLM_F_DUMP)."""
    return ["NLM_F_REQUEST|0x300" in line or "NLM_F_DUMP" in line for line in log.read_text().splitlines() if "NLM_F_REQUEST" in line]


def test_a_socket_that_was_found_is_asked_for_alone(directory, start, silent):
    """In mode `watch` its addresses are not recorded, so the first look goes through all sockets of both families."""
    (directory / "traces").mkdir()
    agent, log = start(Agent(directory / "traces")), directory / "strace"
    strace = start(Traced(agent.process.pid, "trace=sendto", log))
    if not strace.attached:
        pytest.skip("strace may not trace here")
    start(Client(directory / "traces", silent.port, sys.executable, "-c", CONNECTS, TLSTALL_MODE="watch"))
    await_that(lambda: len(questions(log)) >= 5, lambda: f"five questions: {log.read_text()}", 30)
    assert questions(log)[:5] == [True, True, False, False, False], log.read_text()


def test_prometheus_scrapes_and_the_alert_fires(directory, authority, start, silent):
    (directory / "traces").mkdir()
    server = start(servers.s_server(authority.ecdsa))
    agent = start(Agent(directory / "traces"))
    prometheus = start(Prometheus(directory, agent))
    await_that(lambda: prometheus.query("up == 1"), "the agent is scraped")
    assert not prometheus.firing()
    client = start(Client(directory / "traces", silent.port))
    (alert,) = await_that(prometheus.firing, "the alert fires", 60)
    assert alert["labels"]["alertname"] == "TlsHandshakeStalled"
    assert alert["labels"]["cause"] == "PEER_SILENT" and alert["labels"]["fault"] == "peer"
    assert "1 TLS handshakes hang" in alert["annotations"]["summary"]
    assert curl(directory / "traces", server.port) == 0
    unanswered = dashboard_queries()
    assert len(unanswered) >= 15 and not any("$" in query for query in unanswered.values())
    await_dashboard(prometheus, unanswered, lambda left: ("Hanging, by cause", "A") not in left)
    client.stop()
    await_that(lambda: not prometheus.firing(), "the alert ends", 60)
    (series,) = await_that(lambda: prometheus.query(f"{TOTAL}{{outcome!='ok'}} == 1"), "it is counted")
    assert series[0]["cause"] == "PEER_SILENT"
    await_dashboard(prometheus, unanswered, lambda left: not left)


def test_the_alerts_that_ship():
    status, said = promtool("test", "rules", "tlstall.rules.test.yml", cwd=serving.RULES.parent)
    assert status == 0 and "SUCCESS" in said, said
    assert promtool("check", "rules", serving.RULES)[0] == 0


# ---- restarts -----------------------------------------------------------------------------


def test_a_restart_loses_nothing(directory, authority, start):
    traces, state = directory / "traces", directory / "counted"
    traces.mkdir()
    server = start(servers.s_server(authority.ecdsa))
    curl(traces, server.port)  # before anything counts
    agent = start(Agent("--state", state, traces))
    curl(traces, server.port)
    agent.await_sum(1, TOTAL)
    assert agent.stop() == (0, "")
    assert [curl(traces, server.port) for _ in range(3)] == [0, 0, 0]
    agent = start(Agent("--state", state, traces))
    agent.await_sum(3, TOTAL)
    assert agent.stop() == (0, "")
    assert start(Agent("--state", state, traces)).sum(TOTAL) == 0


def test_a_process_that_it_missed_the_begin_of(directory, start, silent):
    client = start(Client(directory, silent.port))
    silent.wait_hellos(1)
    agent = start(Agent(directory))
    agent.await_sum(1, "tlstall_handshakes_in_flight", role="client")
    client.stop()
    agent.await_sum(1, TOTAL)


FORKS = """
import os, socket, ssl, sys
context = ssl.create_default_context()
if os.fork():
    os.wait()
else:
    context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname="localhost")
"""


def test_what_a_killed_child_left_counts_once(directory, start, silent):
    """Its end is not in the trace, and only looking for all processes of the trace shows that it has ended."""
    traces, state = directory / "traces", directory / "counted"
    traces.mkdir()
    forks = subprocess.Popen([sys.executable, "-c", FORKS, str(silent.port)], env=traced(traces), start_new_session=True)
    try:
        silent.wait_hellos(1)
        agent = start(Agent("--state", state, traces))
        agent.await_sum(1, "tlstall_handshakes_in_flight", role="client")
    finally:
        os.killpg(forks.pid, signal.SIGKILL)
        forks.wait()
    agent.await_sum(1, TOTAL)
    assert agent.stop() == (0, "")
    for options in ("--state", state), ():
        agent = start(Agent(*options, traces))
        assert agent.sum("tlstall_handshakes_in_flight") == 0 and agent.sum(TOTAL) == 0, agent.handshakes()


# ---- what is kept ----------------------------------------------------------------------------


@pytest.mark.parametrize("option, left", [(("--older", "0s"), 1), (("--keep-traces", "3"), 3), (("--keep-bytes", "1"), 1)])
def test_retention(directory, authority, start, silent, option, left):
    server = start(servers.s_server(authority.ecdsa))
    alive = start(Client(directory, silent.port))
    silent.wait_hellos(1)
    for _ in range(4):
        curl(directory, server.port)
    name, = [name for name in listed(directory) if name.startswith(f"{alive.process.pid}-")]
    agent = start(Agent(*option, directory))
    assert name in listed(directory) and len(listed(directory)) == left
    assert agent.sum("tlstall_pruned_traces_total") == 5 - left
    assert agent.sum("tlstall_pruned_bytes_total") > 0


def test_without_retention_nothing_goes(directory, authority, start):
    server = start(servers.s_server(authority.ecdsa))
    curl(directory, server.port)
    before = listed(directory)
    assert start(Agent(directory)).sum("tlstall_pruned_traces_total") == 0
    assert listed(directory) == before and len(before) == 1


# ---- access -----------------------------------------------------------------------------------


def test_pages(directory, start):
    agent = start(Agent(directory))
    assert agent.ask("healthz") == "ok\n" and "<title>tlstall live</title>" in agent.ask("")
    assert agent.ask("api/handshakes") == ""
    assert agent.status("nosuch") == 404 and agent.status("metrics", method="POST") == 405
    assert agent.status("metrics", method="HEAD") == 200
    port = agent.url.rstrip("/").rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "localhost", f"[::1]:{port}"):
        assert agent.status("metrics", Host=host) == 200, host
    for host in ("example.org", f"evil.example:{port}", "localhost.example", "1.2.3.4.example"):
        assert agent.status("metrics", Host=host) == 403, host


def test_a_token(directory, start):
    token = directory / "token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    agent = start(Agent("--token", token, directory))
    assert agent.status("metrics") == 401
    for wrong in ("Bearer s3cre", "Bearer s3crets3cret", "Bearer", "Bearer ", "Basic s3cret", "s3cret"):
        assert agent.status("metrics", Authorization=wrong) == 401, wrong
    assert agent.status("metrics", Authorization="Bearer s3cret") == 200


def test_a_token_that_is_too_long(directory):
    token = directory / "token"
    token.write_text("x" * 600 + "\n")
    token.chmod(0o600)
    result = run([TLSTALL, "serve", "--token", token, directory])
    assert result.status == 1 and "too long for a token (at most 510 bytes)" in result.stderr, result


def test_an_address_of_others_needs_a_token(directory):
    token = directory / "token"
    token.write_text("s3cret\n")
    token.chmod(0o644)
    result = run([TLSTALL, "serve", "-l", "0.0.0.0:0", directory])
    assert result.status == 1 and "--token" in result.stderr and not result.stdout, result
    result = run([TLSTALL, "serve", "-l", "0.0.0.0:0", "--token", token, directory])
    assert result.status == 1 and "everybody can read it" in result.stderr, result


def test_a_unix_socket(directory, start):
    path = directory / "socket"
    agent = start(Agent(directory, listen=f"unix:{path}"))
    assert path.stat().st_mode & 0o777 == 0o600
    asked = [CURL, "-s", "--unix-socket", path, "http://localhost/healthz"]
    assert run(asked).stdout == "ok\n"
    agent.process.kill()  # leaves its socket behind
    agent.process.wait()
    agent = start(Agent(directory, listen=f"unix:{path}"))
    assert run(asked).stdout == "ok\n"
    result = run([TLSTALL, "serve", "-l", f"unix:{path}", directory])
    assert result.status == 1 and "in use" in result.stderr, result
    assert run(asked).stdout == "ok\n"
    assert agent.stop() == (0, "") and not path.exists()


def test_a_unix_socket_whose_owner_accepts_nothing(directory):
    path = directory / "socket"
    with contextlib.ExitStack() as stack, socket.socket(socket.AF_UNIX) as owner:
        owner.bind(str(path))
        owner.listen(0)
        for _ in range(2):  # the second one would wait for the first
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            client.connect_ex(str(path))
        result = run([TLSTALL, "serve", "-l", f"unix:{path}", directory])
    assert result.status == 1 and "in use" in result.stderr, result


@pytest.mark.parametrize("wrong", ["nonsense", "localhost:1", "127.0.0.1", ":80", "[::1", "unix:", "127.0.0.1:65536", "127.0.0.1:"])
def test_what_is_no_address(directory, wrong):
    result = run([TLSTALL, "serve", "-l", wrong, directory])
    assert result.status == 1 and "cannot listen on" in result.stderr, result


@pytest.mark.parametrize("wrong", [("--older", "soon"), ("--older", "7"), ("--keep-bytes", "-1"), ("--keep-traces", "x"), ("--nosuch",), ("--token",)])
def test_wrong_usage(directory, wrong):
    assert run([TLSTALL, "serve", *wrong, directory] if len(wrong) > 1 else [TLSTALL, "serve", directory, *wrong]).status == 2


# ---- systemd -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_systemd_is_told(directory, start, sent):
    told = start(Notified(directory))
    (directory / "traces").mkdir()
    agent = start(Agent(directory / "traces", env={"NOTIFY_SOCKET": told.path}))
    assert told.await_one("READY") == "READY=1"
    assert told.await_one("STATUS=").startswith("STATUS=0 processes traced, 0 handshakes in flight")
    agent.process.send_signal(sent)
    assert told.await_one("STOPPING") == "STOPPING=1"
    assert agent.stop() == (0, "")


# ---- traces written by others ----------------------------------------------------------------------


def test_damaged_traces_do_no_harm(directory, start):
    maker = start(made.Maker())
    good = pathlib.Path(maker.make(50))
    files = sorted(good.iterdir()) if good.is_dir() else [good]
    content = files[0].read_bytes()
    for i, cut in enumerate((0, 1, 100, 2496, 5000, len(content) // 2)):
        (directory / f"{os.getpid()}-{i + 1}-00000000000000aa.tlstall").write_bytes(content[:cut])
    agent = start(Agent(directory))
    assert agent.ask("healthz") == "ok\n" and agent.sum("tlstall_traced_processes") == 0
    assert agent.stop() == (0, "")


def test_slow_and_rude_clients_do_not_hinder_others(directory, start):
    agent = start(Agent(directory))
    port = int(agent.url.rstrip("/").rpartition(":")[2])
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for connection in held:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
    held[0].sendall(b"\xff" * 100000)
    assert agent.ask("healthz") == "ok\n"
    for connection in held:
        connection.close()
