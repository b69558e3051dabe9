# SPDX-License-Identifier: Apache-2.0
"""CPU time per handshake of nginx and its client, with the shim on both sides and without."""
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

from common import BIN, EMPTY, NotAvailable, directory, environment, output, paired, paired_share

CONFIGURATION = """
daemon off; master_process off; error_log /dev/null; pid {work}/{name}.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_timeout 0;
    client_body_temp_path {work}/body; proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi; uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
    ssl_certificate {work}/cert.pem; ssl_certificate_key {work}/key.pem;
    ssl_session_cache off; ssl_session_tickets off;
    server {{ listen 127.0.0.1:{port} ssl; location / {{ return 200 "ok"; }} }}
}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, work, name, env):
        self.port = free_port()
        path = f"{work}/{name}.conf"
        with open(path, "w", encoding="ascii") as file:
            file.write(CONFIGURATION.format(work=work, name=name, port=self.port))
        self.process = subprocess.Popen(["/usr/sbin/nginx", "-c", path, "-p", str(work)], env=env,
                                        stderr=subprocess.DEVNULL)
        self.wait_until_it_listens()
        os.sched_setaffinity(self.process.pid, {0})

    def wait_until_it_listens(self):
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.01)
        raise NotAvailable("nginx does not start")

    def cpu(self):
        with open(f"/proc/{self.process.pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e3

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def client(command, env):
    """CPU microseconds and standard output."""
    process = subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL,
                               preexec_fn=lambda: os.sched_setaffinity(0, {os.cpu_count() - 1}))
    text = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise NotAvailable(f"{command[0]}: exit status {process.returncode}")
    return 1e6 * (used.ru_utime + used.ru_stime), text


def by_ab(url, env):
    cpu, text = client(["ab", "-q", "-n", "400", "-c", "4", url], env)
    return cpu, int(re.search(r"Complete requests: +(\d+)", text)[1])


def by_wrk(url, env):
    cpu, text = client(["wrk", "-t", "1", "-c", "4", "-d", "1", "-H", "Connection: close", url], env)
    return cpu, int(re.search(r"(\d+) requests in", text)[1])


def slice_of(server, load, env):
    before = server.cpu()
    cpu, handshakes = load(f"https://127.0.0.1:{server.port}/", env)
    return (server.cpu() - before + cpu) / handshakes


def make_certificate(work):
    output("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
           "-subj", "/CN=localhost", "-keyout", f"{work}/key.pem", "-out", f"{work}/cert.pem")


def measure(load, pairs):
    with directory() as work:
        make_certificate(work)
        traces = f"{work}/traces"
        os.mkdir(traces)
        environments = environment(), environment(traces)
        servers = []
        try:
            for name, env in zip(("plain", "traced"), environments):
                servers.append(Server(work, name, env))
            return in_turns(servers, load, environments, pairs)
        finally:
            for server in servers:
                server.stop()


def in_turns(servers, load, environments, pairs):
    times = [], []
    for i in range(pairs + 1):
        for which in (0, 1) if i % 2 else (1, 0):
            taken = slice_of(servers[which], load, environments[which])
            if i:  # the first one warms up
                times[which].append(taken)
    return paired(*times), paired_share(*times)


def rows(name, load, pairs):
    row, share = measure(load, pairs)
    return {f"nginx {name}": row, f"nginx {name} share": share}


def ab():
    return rows("ab", by_ab, 40)


def wrk():
    return rows("wrk", by_wrk, 30)


# ---- steady state: the client keeps running, too ---------------------------------------

class Side:
    """A server with its own client, both with the shim or both without."""

    def __init__(self, work, name, env):
        self.server = Server(work, name, env)
        self.client = subprocess.Popen([BIN / "client", str(self.server.port)], env=env, text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        os.sched_setaffinity(self.client.pid, {os.cpu_count() - 1})

    def shake(self, times):
        """CPU microseconds per handshake, of both together."""
        before = self.server.cpu()
        self.client.stdin.write(f"{times}\n")
        self.client.stdin.flush()
        return (float(self.client.stdout.readline()) + self.server.cpu() - before) / times

    def stop(self):
        self.client.stdin.close()
        self.client.wait()
        self.client.stdout.close()
        self.server.stop()


def steady_pairs(work, env, rounds, pairs, times):
    """New processes in each round: where their memory lies matters more than the shim."""
    taken = [], []
    for _ in range(rounds):
        sides = []
        try:
            for name, settings in (("plain", environment()), ("traced", env)):
                sides.append(Side(work, name, settings))
            for side in sides:
                side.shake(times)
            for i in range(pairs):
                for which in (0, 1) if i % 2 else (1, 0):
                    taken[which].append(sides[which].shake(times))
        finally:
            for side in sides:
                side.stop()
    return taken


def steady():
    rows = {}
    with directory() as work:
        make_certificate(work)
        for mode in "all", "watch":
            traces = f"{work}/{mode}"
            os.mkdir(traces)
            taken = steady_pairs(work, environment(traces, TLSTALL_MODE=mode), 4, 8, 250)
            rows[f"nginx steady, {mode}"] = paired(*taken)
            rows[f"nginx steady share, {mode}"] = paired_share(*taken)
    return rows


# ---- a process's first handshake --------------------------------------------------------

def once(port, env):
    process = subprocess.Popen([BIN / "client", str(port)], env=env, stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL)
    process.stdin.write(b"1\n")
    process.stdin.close()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise NotAvailable(f"client: exit status {process.returncode}")
    return 1e6 * (used.ru_utime + used.ru_stime)


def first_in(where):
    """CPU time of a client with one handshake, with the shim and with an empty library preloaded."""
    with directory() as work, tempfile.TemporaryDirectory(prefix="tlstall-bench-", dir=where) as traces:
        make_certificate(work)
        environments = environment(LD_PRELOAD=EMPTY), environment(traces, TLSTALL_MODE="watch")
        server = Server(work, "plain", environment())
        try:
            times = [], []
            for i in range(151):
                for which in (0, 1) if i % 2 else (1, 0):
                    taken = once(server.port, environments[which])
                    if i:
                        times[which].append(taken)
        finally:
            server.stop()
    return paired(*times)


def first():
    """The trace is on tmpfs, as in a user's runtime directory, and where temporary files are."""
    return {"first handshake": first_in("/dev/shm"), "first handshake, disk": first_in(None)}
