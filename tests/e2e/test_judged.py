# SPDX-License-Identifier: Apache-2.0
"""Verdicts that an independent judge found wrong, or unclear, and that nothing else reproduces."""
import contextlib
import pathlib
import socket
import subprocess
import threading
import time

import pytest

import peer
import servers
import stalls
import tracing
from stalls import CLIENTS, PYTHON, Traced, ending, hanging

CURL = ["/usr/bin/curl", "-sSk", "-m", "3"]
MODES = pytest.mark.parametrize("mode", ["all", "watch"])


def in_mode(mode):
    return {"TLSTALL_MODE": mode}


def curl(port):
    return [*CURL, f"https://localhost:{port}/"]


def shared_socket(trick, *ports):
    return [PYTHON, CLIENTS / "shared_socket.py", trick, *ports]


def answers(*alerts, then=None):
    """A peer that answers a ClientHello by these alerts: (level, description)."""
    def behave(server, connection):
        server.read_hello(connection)
        for alert in alerts:
            connection.sendall(bytes([21, 3, 3, 0, 2, *alert]))
        if then:
            then(connection)

    return behave


def said(record):
    return "\n".join(record.evidence)


def looked_at(pid):
    """What `tlstall look` says of its only handshake."""
    result = tracing.run([tracing.TLSTALL, "look", "--format", "jsonl", str(pid)])
    return tracing.Trace(result.stdout).only()


def may_have_read_before_tls(*records):
    for record in records:
        assert record.confidence == "low" and "reads from the connection before TLS" in record.advice, record


# ---- what OpenSSL said ---------------------------------------------------------------------------


@MODES
def test_failure_behind_a_bio_that_leaves_its_flags(mode, start):
    """Its retry flag and SSL_want() still ask for a retry, but the error queue has the failure."""
    plain = start(peer.Peer(peer.plain_text)).port
    final = ending([stalls.STALLS / "flags_left", plain], env=in_mode(mode)).final
    assert (final.outcome, final.cause, final.reason) == ("failed", "PLAINTEXT_PEER", "wrong version number"), final


@MODES
def test_warning_is_no_part_of_an_answer(mode, start):
    """The peer sent an alert that is no failure, and was silent then: it did not stop in the middle."""
    silent = start(peer.Peer(answers((1, 112), then=peer.wait_for_eof))).port
    seen = hanging(curl(silent)[:2] + curl(silent)[4:], env=in_mode(mode))
    for record in seen.records():
        assert (record.cause, record.fault, record.bytes_in) == ("PEER_SILENT", "peer", 7), record
    assert "warning alert 112 (unrecognized name)" in seen.evidence(), seen.evidence()


@MODES
@pytest.mark.parametrize("description", [42, 46, 49])
def test_alert_before_any_certificate(description, mode, start):
    """The server has not asked for a certificate yet, so it did not refuse ours."""
    refusing = start(peer.Peer(answers((2, description)))).port
    final = ending(curl(refusing), env=in_mode(mode)).final
    assert (final.cause, final.confidence) == ("UNKNOWN", "low"), final
    assert "device in front of it" in final.advice and f"fatal alert {description}" in said(final), final


@MODES
def test_server_name_that_the_trace_leaves_out(mode, start):
    """curl named the server, which nobody may see here."""
    refusing = start(peer.Peer(answers((2, 40)))).port
    final = ending(curl(refusing), env={**in_mode(mode), "TLSTALL_PRIVACY": "sni"}).final
    assert (final.cause, final.also) == ("CIPHER_MISMATCH", None), final
    assert "SERVER_NAME" in final.not_told_from and "no SNI" not in said(final), final


@MODES
def test_close_notify_is_said(mode, start):
    leaving = start(peer.Peer(answers((1, 0), then=peer.wait_for_eof))).port
    final = ending(curl(leaving), env=in_mode(mode)).final
    assert (final.cause, final.fault) == ("PEER_CLOSED", "peer"), final
    assert "with a close_notify" in said(final) and "without" not in said(final), final


@MODES
def test_fallback_is_explained(mode, authority, start):
    server = start(servers.s_server(authority.rsa))
    final = ending(["/usr/bin/openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2",
                    "-fallback_scsv"], env=in_mode(mode)).final
    assert (final.cause, final.confidence) == ("PROTOCOL_MISMATCH", "medium"), final
    assert "why the first attempt failed" in final.advice, final


@MODES
def test_changed_bytes(mode, authority, start):
    server = start(servers.s_server(authority.rsa, only=servers.TLS13))

    def flip(connection, upstream):
        data = bytearray(peer.read_exactly(upstream, 900))
        data[700] ^= 1
        connection.sendall(data)
        peer.wait_for_eof(upstream)

    final = ending(curl(start(peer.Peer(peer.relay(server.port, flip))).port), env=in_mode(mode)).final
    assert (final.cause, final.fault) == ("UNKNOWN", "unknown"), final
    assert "mixes up the bytes" in final.advice, final


@MODES
def test_renegotiation_that_the_client_refuses(mode, authority):
    """s_server asks for it when it reads R."""
    argv = ["/usr/bin/openssl", "s_server", "-tls1_2", "-cert", authority.rsa.cert, "-key", authority.rsa.key, "-accept"]
    context = peer.ssl.create_default_context(cafile=authority.ca)
    context.options |= peer.ssl.OP_NO_RENEGOTIATION
    port = servers.free_port()
    with Traced([*argv, f"127.0.0.1:{port}"], env=in_mode(mode), stdin=subprocess.PIPE) as traced:
        servers.await_that(lambda: "ACCEPT" in traced.text(), traced.text)
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") as tls:
            traced.process.stdin.write(b"R\n")
            traced.process.stdin.flush()
            with contextlib.suppress(peer.ssl.SSLError):
                tls.recv(1)
            servers.await_that(lambda: "no renegotiation" in traced.text(), traced.text)
        last, = [r for r in traced.end().handshakes if r.reason]
    assert (last.cause, last.fault) == ("RENEGOTIATION_STALL", "configuration"), last
    assert "a new one was refused" in said(last) and "unfinished" not in said(last), last


RACE = """import select, socket, ssl, sys
context = ssl._create_unverified_context()
def begin(port):
    tls = context.wrap_socket(socket.create_connection(("127.0.0.1", int(port))), do_handshake_on_connect=False)
    tls.setblocking(False)
    return tls
def done(tls):
    try:
        tls.do_handshake()
        return True
    except ssl.SSLWantReadError:
        return False
loser, winner = map(begin, sys.argv[1:])
done(loser)
while not done(winner):
    select.select([winner], [], [])
loser.close()
"""


@MODES
def test_race_of_two_connections(mode, authority, start):
    """The loser is closed when the winner has finished, after 50 ms: no request was taken for a failure."""
    server = start(servers.s_server(authority.rsa))
    winner = start(peer.Peer(peer.relay(server.port, peer.late(0.05)))).port
    loser = start(peer.Peer(peer.silent_after_hello)).port
    seen = ending([PYTHON, "-c", RACE, loser, winner], lambda r: r.outcome == "abandoned", env=in_mode(mode))
    assert seen.final.cause == "ABANDONED", seen.final


# ---- what the kernel said ------------------------------------------------------------------------


def test_look_at_a_dtls_client_that_runs_its_timer():
    """It waits for its third timeout, of 4 s. From outside, nobody knows how often the timeout has doubled."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(20)
        with stalls.Running([stalls.STALLS / "dtls_client", "timer", silent.getsockname()[1]]) as client:
            for _ in range(3):
                silent.recv(2000)
            result = tracing.run([tracing.TLSTALL, "look", "--for", "2s", "--format", "jsonl", str(client.process.pid)])
    looked = tracing.Trace(result.stdout).only()
    assert (looked.cause, looked.fault, looked.confidence) == ("PEER_SILENT", "peer", "low"), looked
    assert {"DTLS_LOST", "DTLS_TIMER_NOT_DRIVEN"} <= set(looked.not_told_from), looked
    assert "ClientHello was sent" in said(looked), looked  # three of them


def destroy(port):
    """Has the kernel abort the connections to that port."""
    result = subprocess.run(["ss", "-K", "dport", "=", str(port)], capture_output=True, text=True)
    return result.returncode == 0 and f":{port}" in result.stdout


@MODES
def test_connection_aborted_by_this_host(mode, start):
    silent = start(peer.Peer(peer.silent_after_hello))
    with Traced(shared_socket("stopped", silent.port), env=in_mode(mode)) as traced:
        traced.hangs()
        if not destroy(silent.port):
            pytest.skip("this kernel or user may not abort connections")
        final = traced.end(None).only()
    assert (final.cause, final.fault) == ("UNKNOWN", "host"), final
    assert "this host ended the connection" in said(final) and "ss -K" in final.advice, final


@MODES
def test_unreachable_after_connect(mode, make_network, authority, start):
    """The connection was established, so connect() is not to blame."""
    net = make_network()
    server = start(servers.s_server(authority.rsa, within=net.far))
    net.far.command("nft", "-f", "-", stdin="""add table inet test
add chain inet test input { type filter hook input priority 0; }
add rule inet test input tcp flags & (psh | syn) == psh reject with icmp type host-unreachable
""")
    impatient = f"""import socket, ssl
s = socket.create_connection(("127.0.0.1", {server.port}))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1200)
ssl._create_unverified_context().wrap_socket(s)
"""
    final = ending([PYTHON, "-c", impatient], env=in_mode(mode), within=net.near).final
    assert (final.cause, final.fault) == ("TX_NOT_ACKED", "network"), final
    assert "No route to host" in said(final) and "ip route" in final.advice, final


@MODES
def test_unreachable_over_udp(mode, make_network):
    """Neither a connection nor an acknowledgment is missing."""
    net = make_network()
    net.far.command("nft", "-f", "-", stdin="""add table inet test
add chain inet test input { type filter hook input priority 0; }
add rule inet test input meta l4proto udp reject with icmp admin-prohibited
""")
    final = ending(["/usr/bin/openssl", "s_client", "-dtls", "-connect", "127.0.0.1:9999"], env=in_mode(mode),
                   within=net.near).final
    assert (final.cause, final.fault, final.also) == ("DTLS_LOST", "network", None), final
    assert "No route to host" in said(final) and "ip route" in final.advice, final


@MODES
def test_program_that_calls_again(mode, start):
    """Its blocking calls end by its own SO_RCVTIMEO, and each is followed by another."""
    silent = start(peer.Peer(peer.silent_after_hello)).port
    seen = hanging(shared_socket("patient", silent), lambda r: r.calls >= 2, env=in_mode(mode))
    for record in seen.records():
        assert (record.cause, record.fault) == ("PEER_SILENT", "peer"), record


@MODES
def test_half_a_client_hello_before_the_first_call(mode, authority):
    """s_server calls SSL_accept when the first bytes are there."""
    port = servers.free_port()
    argv = ["/usr/bin/openssl", "s_server", "-cert", authority.rsa.cert, "-key", authority.rsa.key, "-accept"]
    with Traced([*argv, f"127.0.0.1:{port}"], env=in_mode(mode), stdin=subprocess.PIPE) as traced:
        servers.await_that(lambda: "ACCEPT" in traced.text(), traced.text)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(peer.client_hello()[:100])
            live = traced.hangs()
    assert live.fault == "peer" and "no ClientHello" not in said(live), live
    assert "RX_PARTIAL" in [live.cause, *live.not_told_from], live


# ---- who has the bytes ---------------------------------------------------------------------------


def held_until(event):
    """A relay that holds back the answer until then."""
    def forward(connection, upstream):
        event.wait(20)
        while data := upstream.recv(65536):
            connection.sendall(data)

    return forward


@MODES
def test_read_that_does_not_return(mode, authority, start):
    """The answer came while the call waited in a read of that socket, and does not wake it."""
    server, waits = start(servers.s_server(authority.rsa)), threading.Event()
    held = start(peer.Peer(peer.relay(server.port, held_until(waits)))).port
    with Traced(shared_socket("lowat", held), env=in_mode(mode)) as traced:
        traced.hangs(seconds=0.5)
        waits.set()
        live = traced.hangs(lambda r: r.cause == "APP_NOT_RESUMING")
        looked = looked_at(traced.target())
        final = traced.end().only()
    for record in live, looked, final:
        assert (record.cause, record.fault, record.confidence) == ("APP_NOT_RESUMING", "program", "medium"), record
        assert "have been unread" in said(record) and "SO_RCVLOWAT" in record.advice, record


def test_answer_that_another_process_reads(authority, start):
    server = start(servers.s_server(authority.rsa))
    late = start(peer.Peer(peer.relay(server.port, peer.late(0.5)))).port
    with Traced(shared_socket("stolen", late)) as traced:
        servers.await_that(lambda: "stolen" in traced.text(), traced.text)
        traced.hangs()
        looked = looked_at(traced.target())
    assert (looked.cause, looked.fault, looked.confidence) == ("TWO_ON_ONE_SOCKET", "program", "medium"), looked
    assert "something else read the rest" in said(looked) and "fork" in looked.advice, looked


SWALLOWS = """import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(("127.0.0.1", int(sys.argv[3])))
connection = listener.accept()[0]
connection.recv(4096)
try:
    context.wrap_socket(connection, server_side=True)
except OSError as error:
    print(error)
"""


@MODES
def test_server_that_reads_the_client_hello_itself(mode, authority):
    port = servers.free_port()
    argv = [PYTHON, "-c", SWALLOWS, authority.rsa.cert, authority.rsa.key, port]
    with Traced(argv, env=in_mode(mode)) as traced:
        client = servers.await_that(lambda: connected(port), traced.text)
        with client:
            client.sendall(peer.client_hello())
            live = traced.hangs()
            looked = looked_at(traced.target())
        final = traced.end(None).only()
    may_have_read_before_tls(live, looked, final)
    assert "had brought 517 B" in said(final) and "the client sent nothing" not in said(final), final


ASYNCIO = """import asyncio, ssl, sys
async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", int(sys.argv[3]), ssl=context)
    await server.serve_forever()
asyncio.run(main())
"""


@MODES
@pytest.mark.parametrize("clients", [1, 2])
@pytest.mark.parametrize("hello, cause", [(0, "PEER_SILENT"), (100, "RX_PARTIAL")])
def test_client_of_asyncio_says_no_more(hello, cause, clients, mode, authority):
    """Which socket a memory BIO belongs to is not known, but none of the process's has brought anything else."""
    port = servers.free_port()
    with Traced([PYTHON, "-c", ASYNCIO, authority.rsa.cert, authority.rsa.key, port], env=in_mode(mode)) as traced, \
            contextlib.ExitStack() as stack:
        for _ in range(clients):
            client = stack.enter_context(servers.await_that(lambda: connected(port), traced.text))
            client.sendall(peer.client_hello()[:hello])
        live = traced.hangs(lambda r: r.bytes_in == hello)
        if clients == 1:
            looked = looked_at(traced.target())
            assert (looked.cause, looked.fault) == (cause, "peer"), looked
        final = traced.end().handshakes[0]
    for record in live, final:
        assert (record.cause, record.fault, record.confidence) == (cause, "peer", "medium"), record
        assert "BIO_STARVED" in record.not_told_from and len(set(record.evidence)) == len(record.evidence), record


def connected(port):
    with contextlib.suppress(OSError):
        return socket.create_connection(("127.0.0.1", port))


@MODES
def test_two_processes_go_on_with_one_handshake(mode, authority, start):
    """Each reads a part of the answer. In mode `watch` it is not recorded which bytes came before the failure."""
    server = start(servers.s_server(authority.rsa))
    late = start(peer.Peer(peer.relay(server.port, peer.late(0.5)))).port
    with Traced(shared_socket("both", late), env=in_mode(mode)) as traced:
        records = traced.end(None).handshakes
    failed = [r for r in records if r.outcome == "failed"]
    assert failed, records
    assert {r.cause for r in failed} <= {"TWO_ON_ONE_SOCKET", "UNKNOWN"}, failed
    assert mode == "watch" or "TWO_ON_ONE_SOCKET" in {r.cause for r in failed}, failed


def test_descriptor_that_is_another_connection(start):
    """The shim remembers the socket's number; for `look`, the new one has carried too few bytes. (In mode `watch` it
    asks for the number only if the call came late.)"""
    first, second = (start(peer.Peer(peer.silent_after_hello)).port for _ in range(2))
    with Traced(shared_socket("swapped", first, second)) as traced:
        live = traced.hangs()
        looked = looked_at(traced.target())
    assert (live.cause, live.fault, live.confidence) == ("BAD_DESCRIPTOR", "program", "medium"), live
    assert (looked.cause, looked.fault, looked.confidence) == ("BAD_DESCRIPTOR", "program", "medium"), looked
    assert "carried only 0 B" in said(looked), looked


# ---- a paused container --------------------------------------------------------------------------


class Freezer:
    """A cgroup that can be frozen, of whichever version this host has."""

    def __init__(self):
        self.path = next((path for root in ("freezer", "unified", "") if
                          (path := self._made(pathlib.Path("/sys/fs/cgroup") / root))), None)

    @staticmethod
    def _made(root):
        path = root / f"tlstall-test-{time.monotonic_ns()}"
        with contextlib.suppress(OSError):
            path.mkdir()
            if (path / "freezer.state").exists() or (path / "cgroup.freeze").exists():
                return path
            path.rmdir()
        return None

    def _write(self, old, new):
        file = self.path / old[0]
        (file if file.exists() else self.path / new[0]).write_text(old[1] if file.exists() else new[1])

    def freeze(self, pid):
        (self.path / "cgroup.procs").write_text(str(pid))
        self._write(("freezer.state", "FROZEN"), ("cgroup.freeze", "1"))
        servers.await_that(self._is_frozen, "it is frozen")

    def _is_frozen(self):
        old, new = self.path / "freezer.state", self.path / "cgroup.events"
        return old.read_text() == "FROZEN\n" if old.exists() else "frozen 1" in new.read_text()

    def thaw(self):
        self._write(("freezer.state", "THAWED"), ("cgroup.freeze", "0"))

    def close(self):
        self.thaw()
        servers.await_that(lambda: not (self.path / "cgroup.procs").read_text(), "its processes end")
        self.path.rmdir()


@MODES
def test_paused_container(mode, authority, start):
    """The peer answers while the program is frozen inside a call."""
    freezer = Freezer()
    if not freezer.path:
        pytest.skip("cgroups cannot be made here")
    server, frozen = start(servers.s_server(authority.rsa)), threading.Event()

    held = start(peer.Peer(peer.relay(server.port, held_until(frozen)))).port
    with contextlib.closing(freezer), Traced(shared_socket("stopped", held), env=in_mode(mode)) as traced:
        servers.await_that(lambda: stalls.live_records(traced.traces, traced.process), traced.text)
        freezer.freeze(traced.target())
        frozen.set()
        live = traced.hangs()
        looked = looked_at(traced.target())
        freezer.thaw()
        final = traced.end(None).only()
    for record in live, looked, final:
        assert (record.cause, record.fault) == ("APP_NOT_RESUMING", "program"), record
        assert "frozen cgroup" in said(record) and "docker unpause" in record.advice, record
    assert final.outcome == "ok" and "PEER_SILENT" not in [other["cause"] for other in final.also or []], final
