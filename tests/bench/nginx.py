# SPDX-License-Identifier: Apache-2.0
"""CPU time per handshake of nginx and its client, with the shim on both sides and without."""
import os
import re
import signal
import socket
import subprocess
import time

from common import NotAvailable, directory, environment, output, paired, paired_share

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


def measure(load, pairs):
    with directory() as work:
        output("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-subj", "/CN=localhost", "-keyout", f"{work}/key.pem",
               "-out", f"{work}/cert.pem")
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
            if i:  # the first warms up
                times[which].append(taken)
    return paired(*times), paired_share(*times)


def rows(name, load, pairs):
    row, share = measure(load, pairs)
    return {f"nginx {name}": row, f"nginx {name} share": share}


def ab():
    return rows("ab", by_ab, 40)


def wrk():
    return rows("wrk", by_wrk, 30)
