# SPDX-License-Identifier: Apache-2.0
"""look: programs that run without the shim and hang."""
import contextlib
import functools
import glob
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import struct
import subprocess

import pytest

import nodes
import peer
import servers
import test_linked
import test_reach
import told
import tracing
from servers import await_that
from stalls import descendants
from test_live import as_nobody
from tracing import TLSTALL, run


pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="look is for x86-64 so far")


class Plain:
    """A program without the shim."""

    def __init__(self, argv, **more):
        self.process = subprocess.Popen(
            [str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True, env=tracing.environment(), **more)
        self.pid = self.process.pid

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, 9)
        self.process.communicate()


@pytest.fixture
def silent(start):
    return start(peer.Peer(peer.silent_after_hello))


built = test_reach.built


def look(*arguments):
    return run([TLSTALL, "look", *map(str, arguments)])


def records(*arguments):
    result = look("--format", "jsonl", *arguments)
    assert result.status == 0, result
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(r["schema"] == "tlstall/1" for r in found), found
    return ([r for r in found if r["type"] == "look"],
            [r for r in found if r["type"] == "handshake"])


def stalled(*arguments, cause="PEER_SILENT", count=1):
    """Its handshakes, once that is reported for so many of them."""
    def settled():
        found = records(*arguments)[1]
        return found if [h["cause"] for h in found] == [cause] * count else None
    return await_that(settled, lambda: look(*arguments))


def look_until(pid, *patterns):
    """A look's text once it shows all of these: a program that has timers of its own may be running."""
    return await_that(lambda: (text := look(pid).stdout) and
                      all(re.search(pattern, text, re.MULTILINE) for pattern in patterns) and text,
                      lambda: f"{patterns}: {look(pid)}")


def switches(pid):
    """How often its threads have left the CPU, and where they wait."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        status = (task / "status").read_text()
        found[task.name] = (re.findall(r"ctxt_switches:\t(\d+)", status),
                            (task / "syscall").read_text())
    return found


@functools.lru_cache
def unwinds():
    """Whether libunwind can unwind here: the tool, built with the oldest, cannot use the newest's
    structures."""
    sleeper = Plain(["/bin/sleep", "1000"])
    try:
        stack = await_that(lambda: (s := run([TLSTALL, "stack", "--all", str(sleeper.pid)]).stdout)
                           and "sleep()" in s and s, "asleep")
    finally:
        sleeper.stop()
    return "#1" in stack


# ---- programs that wait for a silent peer ------------------------------------------

PROGRAMS = {
    # argv, the server name in the ClientHello, a function on the stack
    "python3": (["/usr/bin/python3", "-c", """
import socket, ssl, sys
context = ssl._create_unverified_context()
context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))),
                    server_hostname="python.example")""", "{port}"], "python.example", "BIO_read"),
    "asyncio": (["/usr/bin/python3", "-c", """
import asyncio, ssl, sys
async def main():
    await asyncio.open_connection("127.0.0.1", int(sys.argv[1]), server_hostname="asyncio.example",
                                  ssl=ssl._create_unverified_context())
asyncio.run(main())""", "{port}"], "asyncio.example", "epoll_wait"),
    "curl": (["/usr/bin/curl", "-sk", "--connect-to", "curl.example:443:127.0.0.1:{port}",
              "https://curl.example/"], "curl.example", r"(curl_\w+|libcurl\.so)"),
    "s_client": (["/usr/bin/openssl", "s_client", "-connect", "127.0.0.1:{port}", "-servername",
                  "s-client.example"], "s-client.example", "SSL_write"),
    "redis-cli": (["/usr/bin/redis-cli", "--tls", "--cacert", "{ca}", "-h", "127.0.0.1", "-p", "{port}",
                   "--sni", "redis.example", "ping"], "redis.example", "BIO_read"),
    "node": (["/usr/bin/node", "-e", "require('tls').connect({{port: {port}, host: '127.0.0.1', "
              "servername: 'node.example'}})"], "node.example", "uv_run"),
}


def a_frame(pattern):
    """A pattern for a frame of that function, or none."""
    return [rf"^ +#\d+ +.*{pattern}"] if unwinds() else []


def check_silent(handshake, port, name, pid):
    h = handshake
    assert (h["cause"], h["fault"], h["confidence"]) == ("PEER_SILENT", "peer", "high"), h
    assert (h["pid"], h["role"], h["outcome"]) == (pid, "client", "in_flight"), h
    assert h["peer"] == f"127.0.0.1:{port}", h
    assert h.get("sni") == name, h
    assert h["states"][0]["state"] == "SSLv3/TLS write client hello", h
    assert h["seen"] == "outside" and h["at_least"] is True, h
    assert h["duration_ns"] > 0 and "calls" not in h and "time" not in h, h
    assert any("was acknowledged; nothing came for" in e for e in h["evidence"]), h


def test_a_server_name_that_was_cut_does_not_look_like_another(start, silent):
    name = "0123456789." * 10 + "x"
    client = start(Plain(["/usr/bin/openssl", "s_client", "-connect", f"127.0.0.1:{silent.port}", "-servername", name]))
    silent.wait_hellos(1)
    check_silent(stalled(client.pid)[0], silent.port, name[:68] + "...", client.pid)


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_with_a_silent_peer(name, start, silent, authority):
    argv, sni, function = PROGRAMS[name]
    if not pathlib.Path(argv[0]).exists():
        pytest.skip(f"{argv[0]} is not here")
    client = start(Plain([a.format(port=silent.port, ca=authority.ca) for a in argv]))
    silent.wait_hellos(1)
    check_silent(stalled(client.pid)[0], silent.port, sni, client.pid)
    before = switches(client.pid)
    text = look(client.pid)
    if name not in ("curl", "node", "asyncio"):  # these have timers of their own
        assert switches(client.pid) == before, text
    look_until(client.pid, *a_frame(function), r"The peer's fault: PEER_SILENT \(high confidence\)",
               r"^  how long at least [\d.]+ m?s", r"^  thread \d+ waits in \w+\(\)")
    assert client.process.poll() is None


@pytest.mark.parametrize("version", nodes.VERSIONS)
def test_official_node(version, start, silent):
    """It contains and exports its own OpenSSL."""
    node, waits = nodes.official(version), PROGRAMS["node"][0][1:]
    client = start(Plain([node, *(a.format(port=silent.port) for a in waits)]))
    silent.wait_hellos(1)
    check_silent(stalled(client.pid)[0], silent.port, "node.example", client.pid)
    look_until(client.pid, r"^  thread \d+ waits in epoll_p?wait\(\)", *a_frame("uv_run"),
               r"The peer's fault: PEER_SILENT \(high confidence\)")


@pytest.mark.parametrize("options", [("-pie", "-fPIE"), ("-no-pie",)], ids=" ".join)
def test_openssl_inside_that_only_the_file_names(options, built, start, silent):
    """Found in .symtab, and without SSL_state_string_long, which the linker omitted."""
    program = built("linked.c", test_linked.PLUGIN, *options, *test_linked.static_libraries())
    client = start(Plain([program, str(silent.port)]))
    silent.wait_hellos(1)
    check_silent(stalled(client.pid)[0], silent.port, None, client.pid)
    stripped = built("linked.c", test_linked.PLUGIN, "-s", *options, *test_linked.static_libraries())
    client = start(Plain([stripped, str(silent.port)]))
    silent.wait_hellos(2)
    result = look(client.pid)
    assert result.status == 1 and "no libssl whose functions can be found" in result.stderr, result


def needs(pattern):
    if not glob.glob(pattern):
        pytest.skip(f"there is no {pattern}")


def test_psql(start, silent):
    needs("/usr/lib/postgresql/*/bin/psql")
    silent.preamble = peer.postgres_preamble
    psql = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/psql"))[-1]
    client = start(Plain([psql, f"host=127.0.0.1 port={silent.port} user=test sslmode=require"]))
    silent.wait_hellos(1)
    # the 8 bytes before TLS and the one-byte answer went through the same socket
    check_silent(stalled(client.pid)[0], silent.port, None, client.pid)
    look_until(client.pid, r"pqsecure_open_client|#\d+ +libpq\.so")


def workers(server):
    """The process that serves, for servers that fork."""
    return await_that(lambda: [p for p in descendants(server.process.pid)], "workers")


def test_nginx_as_a_client(start, silent):
    """One worker, and one of many connections hangs; several workers are in the cache."""
    server = start(servers.nginx(location=f"location / {{ proxy_pass https://127.0.0.1:{silent.port}; "
                                          "proxy_ssl_server_name on; proxy_ssl_name up.example; }"))
    worker = workers(server)[0]
    client = start(Plain(["/usr/bin/curl", "-s", f"http://127.0.0.1:{server.port}/"]))
    silent.wait_hellos(1)
    check_silent(stalled(worker)[0], silent.port, "up.example", worker)
    look_until(worker, r"thread \d+ waits in epoll_wait\(\)", *a_frame("nginx"))
    assert client.process.poll() is None


def test_redis_as_a_client(start, silent, authority, directory):
    """A replica with a silent master."""
    needs("/usr/bin/redis-server")
    server = start(Plain(["/usr/bin/redis-server", "--port", "0", "--tls-port", servers.free_port(), "--tls-replication", "yes",
                          "--tls-cert-file", authority.ecdsa.cert, "--tls-key-file", authority.ecdsa.key,
                          "--tls-ca-cert-file", authority.ca, "--replicaof", "127.0.0.1", silent.port,
                          "--save", "", "--dir", directory]))
    silent.wait_hellos(1)
    check_silent(stalled(server.pid)[0], silent.port, None, server.pid)
    # ten times a second it does something else
    look_until(server.pid, r"^  thread \d+ waits in epoll_wait\(\)", *a_frame("redis-"))


@contextlib.contextmanager
def connected(port, *data):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for piece in data:
            connection.sendall(piece)
        yield connection


def test_nginx_with_a_mute_client(start, authority):
    """nginx makes its SSL object when the first byte arrives: until then there is only a socket."""
    server = start(servers.nginx(authority.ecdsa))
    worker = workers(server)[0]
    with connected(server.port) as connection:
        ours = "{}:{}".format(*connection.getsockname())
        # the connection that found the server ready may still be there
        process, mute = await_that(lambda: [(p, m) for p in records(worker)[0] for m in p.get("without_object", ())
                                            if m["peer"] == ours], "accepted")[0]
        assert (process["objects"], process["in_handshake"], mute["unread"]) == (0, 0, 0), process
        assert f"{ours} connected to 127.0.0.1:{server.port} and sent nothing" in look(worker).stdout


def test_nginx_with_a_client_that_stops_in_its_hello(start, authority):
    server = start(servers.nginx(authority.ecdsa))
    worker = workers(server)[0]
    with connected(server.port, b"\x16\x03\x01\x02\x00\x01") as connection:
        handshake, = await_that(lambda: [h for h in records(worker)[1] if h["cause"] != "NONE"],
                                lambda: look(worker))
        assert handshake["role"] == "server" and handshake["fault"] == "peer", handshake
        assert handshake["peer"] == "{}:{}".format(*connection.getsockname()), handshake


def handshakes_if_there(pid):
    """None if it has ended, as processes of PostgreSQL do at any time."""
    result = look("--format", "jsonl", pid)
    return [line for line in result.stdout.splitlines() if '"type":"handshake"' in line]


def test_postgres_backend(start, authority, request):
    needs("/usr/lib/postgresql/*/bin/postgres")
    server = start(request.getfixturevalue("cluster").server(authority.ecdsa))
    with connected(server.port, struct.pack(">II", 8, 80877103)) as connection:
        assert connection.recv(1) == b"S"
        ours = "{}:{}".format(*connection.getsockname())
        backend, = await_that(
            lambda: [p for p in descendants(server.process.pid) if handshakes_if_there(p)], "a backend")
        handshake = stalled(backend)[0]
        assert (handshake["role"], handshake["peer"]) == ("server", ours), handshake
        assert "before that, the connection had brought 8 B" in handshake["evidence"][0], handshake
        assert (handshake["cause"], handshake["confidence"]) == ("PEER_SILENT", "high"), handshake
        look_until(backend, *a_frame("postgres"))


def test_blocking_accept_loop(start):
    """s_server handles one connection at a time: a silent client keeps the next from being accepted."""
    server = start(Plain(["/usr/bin/python3", "-c", """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        with listener.accept()[0] as connection:
            context.wrap_socket(connection, server_side=True)"""]))
    port = int(server.process.stdout.readline())
    with connected(port), connected(port):
        handshake = stalled(server.pid, cause="ACCEPT_LOOP_BLOCKED")[0]
        assert handshake["fault"] == "program", handshake
        assert "1 connection waits to be accepted" in handshake["evidence"], handshake


# ---- which of many ----------------------------------------------------------------------

MANY = """
import socket, ssl, sys
context = ssl._create_unverified_context()
kept = []
for _ in range(60):
    kept.append(context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1])))))
for connection in kept[20:]:
    connection.close()
del kept[20:]
print("ready", flush=True)
context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[2]))),
                    server_hostname="stuck.example")
"""


def test_one_of_many(start, silent, authority):
    server = start(servers.nginx(authority.ecdsa))
    client = start(Plain(["/usr/bin/python3", "-c", MANY, server.port, silent.port]))
    assert client.process.stdout.readline() == b"ready\n"
    silent.wait_hellos(1)
    check_silent(stalled(client.pid)[0], silent.port, "stuck.example", client.pid)
    process, = records(client.pid)[0]
    assert (process["objects"], process["in_handshake"]) == (21, 1), process


def test_healthy(start, authority):
    server = start(servers.nginx(authority.ecdsa))
    worker = workers(server)[0]
    context = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", server.port)) as connection, \
            context.wrap_socket(connection) as client:
        client.do_handshake()
        # the client's side ends before nginx has read the Finished
        found = await_that(lambda: (r := records(worker))[0][0]["objects"] and not r[1] and r, lambda: look(worker))
    assert (found[0][0]["objects"], found[0][0]["in_handshake"], found[1]) == (1, 0, []), found


def test_two_looks_tell_what_moves(start, authority):
    """A server that trickles: each look finds new bytes."""
    server = start(servers.s_server(authority.ecdsa))
    slow = start(peer.Peer(peer.relay(server.port, peer.drips(1, 0.05, 400))))
    client = start(Plain(["/usr/bin/openssl", "s_client", "-connect", f"127.0.0.1:{slow.port}"]))
    await_that(lambda: (found := records(client.pid)[1]) and found[0]["bytes_in"], "a first byte")
    result = look("--for", "500ms", client.pid)
    assert "PEER_SILENT" not in result.stdout, result
    assert "it is making progress: bytes were sent or received between two looks" in result.stdout, result
    assert re.search(r"1 in a handshake; in [\d.]+ m?s, 1 made progress\n", result.stdout), result
    still = start(peer.Peer(peer.silent_after_hello))
    stuck = start(Plain(["/usr/bin/openssl", "s_client", "-connect", f"127.0.0.1:{still.port}"]))
    still.wait_hellos(1)
    (process,), (handshake,) = records("--for", "1s", stuck.pid)
    assert process["compared_ns"] >= 1e9 and process["made_progress"] == 0, process
    assert handshake["cause"] == "PEER_SILENT" and handshake["duration_ns"] >= 1e9, handshake


# ---- other places -------------------------------------------------------------------------

def test_stopped(start, silent):
    client = start(Plain(["/usr/bin/openssl", "s_client", "-connect", f"127.0.0.1:{silent.port}"]))
    silent.wait_hellos(1)
    os.kill(client.pid, 19)
    handshake = stalled(client.pid, cause="APP_NOT_RESUMING")[0]
    assert handshake["fault"] == "program" and any("stopped" in e for e in handshake["evidence"])


def test_library_that_was_replaced_in_a_namespace_of_its_own(start, silent, directory):
    """The file is deleted, and the processes have their own ids."""
    library, = {line.split()[-1] for line in
                pathlib.Path("/proc/self/maps").read_text().splitlines() if "/libssl.so" in line} or \
        {"/usr/lib/x86_64-linux-gnu/libssl.so.3"}
    copy = directory / "libssl-renamed.so.3"
    shutil.copy(library, copy)
    client = start(Plain(["unshare", "-m", "--propagation", "unchanged", "-p", "-f", "env", f"LD_PRELOAD={copy}",
                          "/usr/bin/openssl", "s_client", "-connect", f"127.0.0.1:{silent.port}",
                          "-servername", "inner.example"]))
    silent.wait_hellos(1)
    inner, = descendants(client.pid)
    copy.unlink()
    check_silent(stalled(inner)[0], silent.port, "inner.example", inner)
    libraries = records(inner)[0][0]["libraries"]
    assert any(name.endswith(f"{copy} (deleted)") for name in libraries), libraries
    for command in ("look", "stack"):
        text = run([TLSTALL, command, str(inner)]).stdout
        assert re.search(rf"^  thread {inner} waits in read\(\), descriptor \d+, the handshake's own$",
                         text, re.MULTILINE), text


# A process of another test may have spaces in its name.
ROW_OF_ALL = re.compile(r" *(?P<pid>\d+) .*? +\d+ +(?P<in_handshake>\d+) +\d+ +(?:-|[\d.]+ \w+(?: \d+ \w+)?) "
                        r"(?P<cause>\S+) +(?P<peer>\S+) +(?P<sni>\S.*)$")


def test_all(start, silent):
    before = {r["pid"] for r in records("--all")[0]}
    client = start(Plain(["/usr/bin/curl", "-sk", f"https://127.0.0.1:{silent.port}/"]))
    silent.wait_hellos(1)
    stalled(client.pid)
    lines = look("--all").stdout.splitlines()
    assert lines[0].split()[:2] == ["PID", "COMMAND"], lines
    rows = [ROW_OF_ALL.match(line) for line in lines[1:]]
    assert all(rows), lines
    busy = [row["pid"] for row in rows if int(row["in_handshake"])]
    assert str(client.pid) in busy and [row["pid"] for row in rows[:len(busy)]] == busy, lines
    assert client.pid not in before
    (row,) = [row for row in rows if row["pid"] == str(client.pid)]
    assert (row["cause"], row["peer"], row["sni"]) == ("PEER_SILENT", f"127.0.0.1:{silent.port}", "-"), lines  # no name was sent


def test_stack_and_ps_look_where_there_is_no_shim(start, silent):
    client = start(Plain(["/usr/bin/openssl", "s_client", "-connect", f"127.0.0.1:{silent.port}"]))
    silent.wait_hellos(1)
    stalled(client.pid)
    result = run([TLSTALL, "stack", str(client.pid)])
    assert re.search(rf"^openssl\[{client.pid}\], seen from outside, with 127.0.0.1:{silent.port}: "
                     r"inside (SSL_write|OpenSSL) for at least [\d.]+ m?s \[SSLv3/TLS write client hello\]$",
                     result.stdout, re.MULTILINE), result
    assert "the handshake's own" in result.stdout, result
    assert not unwinds() or ("BIO_read" in result.stdout and "inside SSL_write" in result.stdout), result
    for arguments in ([client.pid], ["--look"]):
        result = run([TLSTALL, "ps", *map(str, arguments)])
        row, = [r for r in result.stdout.splitlines() if r.split()[:1] == [str(client.pid)]]
        assert re.search(r" [\d.]+ m?s\+ +- PEER_SILENT +peer$", row), result
        assert "+ seen from outside" in result.stdout, result
    assert str(client.pid) not in [line.split()[0] for line in run([TLSTALL, "ps"]).stdout.splitlines() if line]
    result = run([TLSTALL, "ps", "--format", "jsonl", str(client.pid)])
    handshake, = [json.loads(line) for line in result.stdout.splitlines()]
    assert handshake["seen"] == "outside", handshake
    assert not unwinds() or "SSL_write" in handshake["stack"][0], handshake


def test_ps_says_that_nothing_is_in_flight(start, authority):
    server = start(servers.nginx(authority.ecdsa))
    worker = workers(server)[0]
    result = run([TLSTALL, "ps", str(worker)])
    assert result.stderr == f"tlstall: process {worker} has no handshake in flight (seen from outside)\n", result
    assert (result.status, result.stdout) == (0, ""), result


def test_top_looks_where_there_is_no_shim(start, silent, directory):
    needs("/usr/bin/tmux")
    client = start(Plain(["/usr/bin/openssl", "s_client", "-connect", f"127.0.0.1:{silent.port}"]))
    silent.wait_hellos(1)
    screen = start(told.Screen(directory, arguments=client.pid))
    text = screen.until(rf"^ *{client.pid} openssl +127\S+ +write client.* [\d.]+ m?s\+ +PEER_SILENT +peer$")
    assert max(map(len, text.splitlines())) <= 80, text
    screen.keys("Enter")
    screen.until(r"^The peer's fault: PEER_SILENT", "seen from outside")


def test_by_name(start, silent, directory):
    program = directory / "tlsclient"
    shutil.copy("/usr/bin/curl", program)
    client = start(Plain([program, "-sk", f"https://127.0.0.1:{silent.port}/"]))
    silent.wait_hellos(1)
    assert stalled("tlsclient")[0]["pid"] == client.pid


# ---- impossible looks -----------------------------------------------------------------------

def test_errors(start):
    sleeper = start(Plain(["/bin/sleep", "1000"]))
    await_that(lambda: "sleep()" in run([TLSTALL, "stack", "--all", str(sleeper.pid)]).stdout, "its libraries are loaded")
    for arguments, status, said in (
            ([99999999], 1, "no such process: 99999999"),
            (["no-such-program"], 1, "no such process: no-such-program"),
            ([sleeper.pid], 1, f"process {sleeper.pid} has no libssl"),
            ([], 2, "no process given"), ([""], 2, "no process given"),
            (["--all", 1], 2, "--all takes no process"),
            (["--for", "soon", 1], 2, "invalid duration 'soon'"),
            (["--format", "html", 1], 2, "unknown format 'html'")):
        result = look(*arguments)
        assert result.status == status and result.stderr.startswith(f"tlstall: {said}"), result
        assert result.stdout == "", result


def test_without_permission(directory):
    directory.chmod(0o755)
    program = tracing.copy_products(directory)
    result = run([*as_nobody(), program, "look", "1"])
    assert result.status == 1 and "CAP_SYS_PTRACE" in result.stderr, result
