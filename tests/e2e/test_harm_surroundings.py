# SPDX-License-Identifier: Apache-2.0
"""What a program sees of itself, and what the kernel reports about a server's processes while it serves,
are the same with and without the shim."""
import os
import pathlib
import re
import socket
import ssl

import pytest

import peer
import servers
import tracing

MODES = ("all", "handshake", "watch")


@pytest.mark.parametrize("mode", MODES)
def test_what_a_program_sees(mode, directory):
    """Signals, environment, locale, streams, descriptors, threads, limits, errno, the loader's error,
    the floating-point flags, the error queue, callbacks, ex_data, memory: before, between and at
    exit."""
    program = tracing.PROGRAMS / "surroundings"
    plain = tracing.run([program])
    assert plain.status == 0, plain
    traces = pathlib.Path(directory) / "traces"
    traces.mkdir(mode=0o700)
    beside = tracing.run([program], env={"LD_PRELOAD": str(tracing.SHIM), "TLSTALL_DIR": str(traces),
                                         "TLSTALL_MODE": mode})
    tracing.compare(plain, beside)
    assert plain.stdout.count("floating point exceptions 0") == plain.stdout.count("errno") == 7, plain
    assert any(path.suffix == ".tlstall" for path in traces.iterdir())


# ---- servers -------------------------------------------------------------------------

CAUGHT_BUS = 1 << 6  # for the mapped file; hidden from the program itself
FIELDS = ("Umask", "Threads", "Groups", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "CapEff", "NoNewPrivs",
          "Seccomp")


def processes(pid):
    """The process and all its descendants, in order."""
    found = [pid]
    for task in sorted(pathlib.Path(f"/proc/{pid}/task").iterdir(), key=lambda path: int(path.name)):
        for child in (task / "children").read_text().split():
            found += processes(int(child))
    return found


def descriptors(pid):
    found = {}
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[int(path.name)] = re.sub(r"\d{3,}|tlstall-\w+", "<n>", os.readlink(path))
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def state_of(pid, numbered):
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    fields = {name: status[name].strip() for name in FIELDS}
    fields["SigCgt"] = f"{int(fields['SigCgt'], 16) & ~CAUGHT_BUS:016x}"
    open_ones = descriptors(pid)
    if not numbered or status["Name"].strip() in ("kamailio", "haproxy"):
        # a connection's number depends on when an earlier one was closed, a thread's on which thread began first
        open_ones = sorted(open_ones.values())
    return {"name": status["Name"], **fields, "descriptors": open_ones,
            "limits": pathlib.Path(f"/proc/{pid}/limits").read_text()}


def haproxy(certificate, **options):
    port = servers.free_port()
    directory = pathlib.Path(servers.tempfile.mkdtemp(prefix="tlstall-"))
    (directory / "haproxy.cfg").write_text(f"""
global
    nbthread 2
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 10s
frontend test
    bind 127.0.0.1:{port} ssl crt {certificate.both}
    http-request return status 200
""")
    return servers.Server(["/usr/sbin/haproxy", "-db", "-f", str(directory / "haproxy.cfg")], port, directory=directory,
                          **options)


SERVERS = {
    "nginx": lambda request, start, certificate, authority, trace: servers.nginx(certificate, trace=trace),
    "redis": lambda request, start, certificate, authority, trace: servers.redis(certificate, authority, trace=trace),
    "postgres": lambda request, start, certificate, authority, trace:
        request.getfixturevalue("cluster").server(certificate, trace=trace),
    "stunnel": lambda request, start, certificate, authority, trace:
        servers.stunnel(certificate, start(servers.nginx()).port, trace=trace),
    "haproxy": lambda request, start, certificate, authority, trace: haproxy(certificate, trace=trace),
    "kamailio": lambda request, start, certificate, authority, trace: servers.kamailio(certificate, trace=trace),
    "apache": lambda request, start, certificate, authority, trace: servers.apache(certificate, trace=trace),
    "openvpn": lambda request, start, certificate, authority, trace: servers.openvpn(certificate, authority, trace=trace),
}


def serve_one(server, name, authority):
    """Makes a handshake; returns the connection, still open."""
    if name == "openvpn":
        return servers.openvpn(authority.client, authority, of=server)
    connection = socket.create_connection(("127.0.0.1", server.port), 20)
    if name == "postgres":
        connection.sendall(peer.POSTGRES_SSL_REQUEST)
        assert connection.recv(1) == b"S"
    context = ssl.create_default_context(cafile=authority.ca)
    context.check_hostname = False
    return context.wrap_socket(connection, server_hostname="localhost")


def states_of(server, numbered):
    try:
        return [state_of(pid, numbered) for pid in processes(server.target())]
    except (FileNotFoundError, ProcessLookupError):
        return None  # one has ended meanwhile


def differences(servers_, numbered):
    """Differences between the two as they are now; empty: none. `numbered`: descriptors have the same numbers."""
    plain, beside = (states_of(server, numbered) for server in servers_)
    if not plain or not beside or len(plain) != len(beside):
        return [f"{plain}\n{beside}"]
    return [f"{one['name']}: {key} {one[key]} and {two[key]}" for one, two in zip(plain, beside) for key in one
            if one[key] != two[key]]


@pytest.mark.parametrize("name", SERVERS)
def test_what_the_kernel_says_of_a_server(name, request, authority, start):
    """Two servers, each with a client, once they are idle."""
    both = [start(SERVERS[name](request, start, authority.ecdsa, authority, trace)) for trace in (False, True)]

    def await_same(numbered):
        servers.await_that(lambda: not differences(both, numbered),
                           lambda: "\n".join(differences(both, numbered)), 30)

    await_same(numbered=True)
    with serve_one(both[0], name, authority), serve_one(both[1], name, authority):
        both[1].await_handshake()
        # one of the two may still have had the connection that found it ready
        await_same(numbered=False)
