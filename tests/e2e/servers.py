# SPDX-License-Identifier: Apache-2.0
"""Real servers on free loopback ports. Each starts with its output in a file, is awaited by its ready
line or by connecting, and is always stopped."""
import contextlib
import functools
import glob
import itertools
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import tracing

TLS12, TLS13 = "1.2", "1.3"


@functools.cache
def ports():
    """Outside the kernel's range for clients, so that no connection takes one before its server binds. Each is
    given away once, and by one of the processes that run tests: it may be bound much later."""
    first, last = map(int, pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    below = range(10000, 32768)
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    mine = [port for port in below if not first <= port <= last] or list(below)
    mine = mine[worker::int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    random.shuffle(mine)
    return itertools.cycle(mine)


def free_port():
    """A port for a server that cannot choose one, of TCP or UDP."""
    while True:
        port = next(ports())
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)), \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind(("127.0.0.1", port))
            return port


def await_that(condition, what, timeout=20):
    """Polls for what no descriptor signals (a file's growth, a listening port)."""
    end = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"in vain: {what() if callable(what) else what}")
        time.sleep(0.005)
    return result


def await_recorded(recorder, which):
    """Until there is a record of such a handshake."""

    def recorded():
        written = recorder.file.read_text()
        return any(map(which, tracing.Trace(written[:written.rfind("\n") + 1]).handshakes))

    await_that(recorded, lambda: f"no such handshake: {recorder.file.read_text()}")


class Server:
    """A server process. With `trace` (True, or options), it runs under `tlstall run`, and .trace is what
    was recorded. `within`: the network.Namespace that it runs in. `env`: additional variables."""

    stop_signal = signal.SIGTERM

    def __init__(self, argv, port, ready=None, trace=False, user=None, directory=None,
                 stdin=subprocess.DEVNULL, within=None, env=None):
        self.port, self.trace, self.within = port, None, within
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="tlstall-"))
        self.log = self.directory / "server.log"
        options = () if trace is True else trace
        self.recorder = tracing.Recorder(self.directory, options) if trace else None
        if trace:
            argv = self.recorder.command(
                argv, tracing.copy_products(self.directory) if user else tracing.TLSTALL)
        if user:
            argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *argv]
        if within:
            argv = [*within.within, *argv]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(argv, stdin=stdin, stdout=log, stderr=log,
                                            env=tracing.environment(**(env or {})),
                                            cwd=self.directory,
                                            start_new_session=True)
        try:
            await_that(lambda: self._is_ready(ready), lambda: f"{argv}:\n{self.output()}")
        except BaseException:
            self.stop()
            raise

    def _is_ready(self, ready):
        if self.process.poll() is not None:
            raise RuntimeError(f"ended at once ({self.process.returncode}):\n{self.output()}")
        if ready:
            return ready in self.output()
        connect = self.within.call if self.within else lambda function, *a: function(*a)
        try:
            connect(socket.create_connection, ("127.0.0.1", self.port), 5).close()
            return True
        except OSError:
            return False

    def output(self):
        return self.log.read_text(errors="replace")

    def log_text(self):
        """Everything that it logged, including nginx's error log."""
        error_log = self.directory / "error.log"
        return self.output() + (error_log.read_text() if error_log.exists() else "")

    def await_handshake(self, which=lambda record: record.outcome == "ok"):
        """Until it has recorded the end of such a one: a client may be done, and have ended, before its server is."""
        await_recorded(self.recorder, lambda h: h.role == "server" and h.outcome != "in_flight" and which(h))

    def target(self):
        """The server's own process: when traced, the child of tlstall."""
        if not self.recorder:
            return self.process.pid
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[0])

    def end(self):
        """Stops it gracefully; returns the status, and reads the trace if there is one."""
        if self.process.poll() is None:
            os.kill(self.target(), self.stop_signal)
        status = self.process.wait(20)
        if self.recorder:
            self.trace = self.recorder.read()
        return status

    def stop(self):
        try:
            if self.process.poll() is None:
                self.end()
        except Exception:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def s_server(certificate, only=None, www=True, more=(), **options):
    """www: answers HTTP; otherwise it would send what it reads from its standard input."""
    port = free_port()
    argv = ["/usr/bin/openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert",
            certificate.cert, "-key", certificate.key,
            *(["-www"] if www else []), *more, *({TLS12: ["-tls1_2"], TLS13: ["-tls1_3"], None: []}[only])]
    return Server(argv, port, ready="ACCEPT", stdin=subprocess.PIPE, **options)


NGINX = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    lingering_close off;
    server {{
        listen 127.0.0.1:{port} {tls};
        {certificate} {more}
        server_name localhost;
        {location}
    }}
}}
"""


def nginx(certificate=None, only=None, location='location / { return 200 "hello\\n"; }', more="",
          listen="", port=None, **options):
    """certificate None: plain HTTP in front (TLS is then only used upstream)."""
    port = port or free_port()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
    protocols = {TLS12: "TLSv1.2", TLS13: "TLSv1.3", None: "TLSv1.2 TLSv1.3"}[only]
    (directory / "nginx.conf").write_text(NGINX.format(
        directory=directory, port=port, location=location, more=more,
        tls=f"ssl {listen}" if certificate else "", certificate=certificate and
        f"ssl_certificate {certificate.cert}; ssl_certificate_key {certificate.key};"
        f"ssl_protocols {protocols};" or ""))
    # Workers of a root nginx become nobody: they must be able to search the directory.
    directory.chmod(0o755)
    return Server(["/usr/sbin/nginx", "-p", str(directory), *nginx_log(directory),
                   "-c", str(directory / "nginx.conf")], port, directory=directory, **options)


def nginx_log(directory):
    """Where nginx reports errors before it has read its configuration; since 1.19.5."""
    usage = subprocess.run(["/usr/sbin/nginx", "-h"], capture_output=True, text=True, check=False)
    return ["-e", str(directory / "error.log")] if "[-e " in usage.stderr else []


def redis(certificate, authority, only=None, clients="no", **options):
    port = free_port()
    protocols = {TLS12: "TLSv1.2", TLS13: "TLSv1.3", None: "TLSv1.2 TLSv1.3"}[only]
    return Server(["/usr/bin/redis-server", "--port", "0", "--tls-port", str(port),
                   "--bind", "127.0.0.1", "--tls-cert-file", certificate.cert,
                   "--tls-key-file", certificate.key, "--tls-ca-cert-file", authority.ca,
                   "--tls-auth-clients", clients, "--tls-protocols", protocols,
                   "--save", "", "--appendonly", "no"],
                  port, ready="Ready to accept connections", **options)


STUNNEL = """
foreground = yes
pid =
output = /dev/stdout
debug = 5
[test]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{target}
cert = {both}
sslVersionMin = {minimum}
sslVersionMax = {maximum}
{settings}
"""


def stunnel(certificate, target, only=None, settings="", **options):
    """Terminates TLS in front of a plain server on port `target`."""
    port = free_port()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
    config = directory / "stunnel.conf"
    config.write_text(STUNNEL.format(port=port, target=target, both=certificate.both,
                                     minimum=f"TLSv{only or TLS12}",
                                     maximum=f"TLSv{only or TLS13}", settings=settings))
    return Server(["/usr/bin/stunnel4", str(config)], port, ready="Configuration successful",
                  directory=directory, **options)


KAMAILIO = """#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=1
tcp_children=2
enable_tls=yes
listen=tls:127.0.0.1:{port}
mpath="{modules}/"
loadmodule "tls.so"
loadmodule "sl.so"
modparam("tls", "config", "{directory}/tls.cfg")
request_route {{ sl_send_reply("200", "OK"); }}
"""
KAMAILIO_TLS = """[server:default]
method = TLSv1.2+
verify_certificate = no
require_certificate = no
private_key = {key}
certificate = {cert}
"""


def kamailio(certificate, **options):
    """A SIP server whose processes share SSL objects."""
    port = free_port()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
    modules = glob.glob("/usr/lib/*/kamailio/modules")[0]
    config = directory / "kamailio.cfg"
    config.write_text(KAMAILIO.format(port=port, modules=modules, directory=directory))
    (directory / "tls.cfg").write_text(KAMAILIO_TLS.format(key=certificate.key,
                                                           cert=certificate.cert))
    return Server(["/usr/sbin/kamailio", "-f", str(config), "-DD", "-E", "-m", "64", "-M", "8",
                   "-w", str(directory)], port, directory=directory, **options)


class Memcached(Server):
    stop_signal = signal.SIGKILL  # otherwise it first accepts all waiting connections


def memcached(certificate, **options):
    """Its main thread accepts connections and makes handshakes, one after the other."""
    port = free_port()
    as_root = ["-u", "root"] if os.getuid() == 0 else []
    files = f"ssl_chain_cert={certificate.cert},ssl_key={certificate.key}"
    return Memcached(["/usr/bin/memcached", *as_root, "-Z", "-o", files, "-p", str(port),
                      "-l", "127.0.0.1", "-t", "1"], port, **options)


APACHE = """ServerRoot {directory}
PidFile {directory}/apache.pid
Listen 127.0.0.1:{port} https
ServerName localhost
ErrorLog /dev/stderr
Mutex file:{directory}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule ssl_module {modules}/mod_ssl.so
User nobody
Group nogroup
DocumentRoot {directory}
StartServers 1
MinSpareThreads 2
MaxSpareThreads 4
ThreadsPerChild 4
MaxRequestWorkers 4
SSLEngine on
SSLCertificateFile {certificate.cert}
SSLCertificateKeyFile {certificate.key}
"""


def apache(certificate, **options):
    """One process that stays root, and one with threads that serve."""
    port = free_port()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
    (directory / "apache.conf").write_text(APACHE.format(
        directory=directory, port=port, modules="/usr/lib/apache2/modules", certificate=certificate))
    directory.chmod(0o755)
    return Server(["/usr/sbin/apache2", "-DFOREGROUND", "-f", str(directory / "apache.conf")], port,
                  ready="resuming normal operations", directory=directory, **options)


OPENVPN = """dev null
proto tcp-{role}
{where}
tls-{role}
ca {ca}
cert {certificate.cert}
key {certificate.key}
{more}
verb 3
"""


def openvpn(certificate, authority, of=None, **options):
    """Without a tunnel device; its TLS runs through memory BIOs inside its own packets. `of`: makes a
    client of that server."""
    port = of.port if of else free_port()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
    (directory / "openvpn.conf").write_text(OPENVPN.format(
        role="client" if of else "server", ca=authority.ca, certificate=certificate, more="" if of else "dh none",
        where=f"remote 127.0.0.1 {port}\nnobind" if of else f"local 127.0.0.1\nport {port}"))
    return Server(["/usr/sbin/openvpn", str(directory / "openvpn.conf")], port, directory=directory,
                  ready="Initialization Sequence Completed" if of else "Listening for incoming TCP connection",
                  **options)


PUMA = """run lambda { |env| [200, {}, ["ok"]] }
"""


def puma(certificate, **options):
    """The reactor, a thread of its own, handles connections that have not sent anything yet."""
    port = free_port()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
    (directory / "app.ru").write_text(PUMA)
    bind = f"ssl://127.0.0.1:{port}?key={certificate.key}&cert={certificate.cert}"
    return Server(["/usr/bin/puma", "-q", "-t", "1:1", "-b", bind, str(directory / "app.ru")], port,
                  directory=directory, ready="Use Ctrl-C to stop", **options)


class Postgres(Server):
    stop_signal = signal.SIGINT  # fast shutdown


POSTGRES_CONFIG = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
ssl = on
ssl_cert_file = '{directory}/server.pem'
ssl_key_file = '{directory}/server.key'
ssl_min_protocol_version = 'TLSv1.2'
{limits}
fsync = off
max_connections = 20
shared_buffers = 16MB
log_line_prefix = ''
log_checkpoints = off
"""


class PostgresCluster:
    """Runs initdb once; server() copies the result, as a non-root user."""

    def __init__(self, directory):
        self.user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        self.bin = pathlib.Path(sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1])
        self.data = pathlib.Path(directory) / "data"
        self.data.mkdir(mode=0o700)
        self._own(self.data)
        subprocess.run([*self._as_user(), self.bin / "initdb", "-D", self.data, "-U", "test",
                        "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"],
                       check=True, capture_output=True, cwd="/", env=tracing.environment())

    def _as_user(self):
        if os.getuid() != 0:
            return []
        return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]

    def _own(self, path):
        if os.getuid() == 0:
            shutil.chown(path, self.user, self.user)

    def server(self, certificate, only=None, **options):
        port = free_port()
        top = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
        directory = top / "data"
        shutil.copytree(self.data, directory)
        shutil.copy(certificate.cert, directory / "server.pem")
        shutil.copy(certificate.key, directory / "server.key")
        (directory / "server.key").chmod(0o600)
        limits = {TLS12: "ssl_max_protocol_version = 'TLSv1.2'",
                  TLS13: "ssl_min_protocol_version = 'TLSv1.3'", None: ""}[only]
        (directory / "postgresql.conf").write_text(
            POSTGRES_CONFIG.format(directory=directory, port=port, limits=limits))
        self._own(top)
        for parent, directories, files in os.walk(top):
            for name in directories + files:
                self._own(os.path.join(parent, name))
        return Postgres([self.bin / "postgres", "-D", str(directory)], port,
                        ready="ready to accept connections", directory=top,
                        user=self.user if os.getuid() == 0 else None, **options)
