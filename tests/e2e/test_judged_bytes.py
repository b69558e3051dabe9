# SPDX-License-Identifier: Apache-2.0
"""More verdicts that an independent judge found wrong, or unclear: which connection the bytes went through, and who
has them."""
import asyncio
import contextlib
import functools
import re
import socket
import subprocess
import threading

import pytest

import peer
import servers
import stalls
import tracing
from stalls import PYTHON, Traced, ending, hanging
from test_judged import MODES, connected, in_mode, looked_at, may_have_read_before_tls, said, shared_socket

# Longer than the kernel's clock ticks, by which it dates what was sent and received.
TICKS = 0.05


@MODES
@pytest.mark.parametrize("how", [[], ["nonblocking"]])
def test_written_to_another_connection(how, mode, start):
    """The peer of the connection that is read never got a ClientHello."""
    silent = start(peer.Peer(peer.silent_after_hello)).port
    with Traced([stalls.STALLS / "written_elsewhere", *how, silent], env=in_mode(mode)) as traced:
        live = traced.hangs()
        looked = looked_at(traced.target())
        final = traced.end().only()
    for record in live, looked, final:
        assert (record.cause, record.fault) == ("BAD_DESCRIPTOR", "program"), record
        assert "SSL_set_fd" in record.advice, record
    assert "and writes to descriptor" in said(live), live


@MODES
def test_descriptor_closed_while_the_call_waits(mode, start):
    """close() in another thread does not end the call: it goes on waiting on the old connection."""
    silent = start(peer.Peer(peer.silent_after_hello))
    with Traced(shared_socket("closed", silent.port), env=in_mode(mode), stdin=subprocess.PIPE) as traced:
        traced.hangs(seconds=0.5)
        traced.process.stdin.write(b"\n")
        traced.process.stdin.flush()
        live = traced.hangs(lambda r: r.cause == "BAD_DESCRIPTOR")
        looked = looked_at(traced.target())
        final = traced.end().only()
        traced.process.stdin.close()
    for record in live, looked, final:
        assert (record.cause, record.fault, record.confidence) == ("BAD_DESCRIPTOR", "program", "medium"), record
        assert "is closed by now" in said(record) and "shutdown()" in record.advice, record


@MODES
def test_silent_peer_on_a_unix_socket(mode):
    """In mode `watch` the shim does not say what kind of socket it is."""
    with Traced([PYTHON, "-c", "import socket, ssl\nmine, other = socket.socketpair()\n"
                 "ssl._create_unverified_context().wrap_socket(mine)"], env=in_mode(mode)) as traced:
        live = traced.hangs()
        final = traced.end().only()
    for record in live, final:
        assert (record.cause, record.fault, record.confidence) == ("PEER_SILENT", "peer", "medium"), record
        assert "0 B unread" in said(record), record


READS_AHEAD = """import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
connection = socket.create_server(("127.0.0.1", int(sys.argv[3]))).accept()[0]
lines = connection.makefile("rb")
connection.sendall(b"220 ready\\r\\n")
lines.readline()
connection.sendall(b"220 go ahead\\r\\n")
lines.peek()
context.wrap_socket(connection, server_side=True)
"""


@MODES
def test_client_hello_in_the_buffer_of_a_reader(mode, authority):
    """The server reads on after STARTTLS: the ClientHello is in its buffer, and OpenSSL waits for it."""
    port = servers.free_port()
    with Traced([PYTHON, "-c", READS_AHEAD, authority.rsa.cert, authority.rsa.key, port], env=in_mode(mode)) as traced:
        with servers.await_that(lambda: connected(port), traced.text) as client, client.makefile("rb") as lines:
            lines.readline()
            client.sendall(b"STARTTLS\r\n")
            lines.readline()
            threading.Event().wait(TICKS)
            client.sendall(peer.client_hello())
            live = traced.hangs()
            looked = looked_at(traced.target())
        final = traced.end(None).only()
    may_have_read_before_tls(live, looked, final)


SLOW_TO_AGREE = """import socket, ssl, sys, time
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
connection = socket.create_server(("127.0.0.1", int(sys.argv[3]))).accept()[0]
connection.sendall(b"220 ready\\r\\n")
connection.recv(100)
time.sleep(1.2)
connection.sendall(b"220 go ahead\\r\\n")
context.wrap_socket(connection, server_side=True)
"""


@MODES
def test_server_that_agrees_late_to_starttls(mode, authority):
    """What had come before its first call was plain text, which it had answered."""
    port = servers.free_port()
    argv = [PYTHON, "-c", SLOW_TO_AGREE, authority.rsa.cert, authority.rsa.key, port]
    with Traced(argv, env=in_mode(mode)) as traced:
        with servers.await_that(lambda: connected(port), traced.text) as client, client.makefile("rb") as lines:
            lines.readline()
            client.sendall(b"STARTTLS\r\n")
            lines.readline()
            threading.Event().wait(TICKS)
            with contextlib.closing(peer.ssl._create_unverified_context().wrap_socket(client)):
                final = traced.end(None).only()
    assert (final.outcome, final.cause) == ("ok", "NONE"), final


ASKS = """import http.client, ssl, sys
connection = http.client.HTTPSConnection("127.0.0.1", int(sys.argv[1]), context=ssl._create_unverified_context())
connection.request("GET", "/")
connection.getresponse()
"""


def test_server_that_does_not_answer_the_request(authority, start):
    """Session tickets have come, but the program waits for the answer to what it has sent since."""
    context = peer.ssl.SSLContext(peer.ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.rsa.cert, authority.rsa.key)
    asked = threading.Event()

    def behave(_server, connection):
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1000)
            asked.set()
            peer.wait_for_eof(tls)

    server = start(peer.Peer(behave))
    with Traced([PYTHON, "-c", ASKS, server.port]) as traced:
        assert asked.wait(20), traced.text()
        threading.Event().wait(stalls.LONG_ENOUGH)
        listed = stalls.live_records(traced.traces, traced.process)
        final = traced.end().only()
    assert final.version == "TLSv1.3" and final.bytes_in > 1000, final
    for record in [*listed, final]:
        assert (record.cause, record.fault) == ("NONE", "none"), record


@MODES
def test_large_client_hello_that_is_answered_late(mode, authority, start):
    """While it hung, nothing told it from one that a device on the path had dropped."""
    context = peer.ssl.SSLContext(peer.ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.rsa.cert, authority.rsa.key)

    def behave(_server, connection):
        threading.Event().wait(2)
        context.wrap_socket(connection, server_side=True)

    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
    slow = start(peer.Peer(behave, listener=listener)).port
    seen = ending([PYTHON, stalls.CLIENTS / "large_hello.py", slow], env=in_mode(mode))
    assert (seen.final.outcome, seen.final.cause, seen.final.fault) == ("ok", "PEER_SILENT", "peer"), seen.final
    assert "CLIENT_HELLO_DROPPED" not in [other["cause"] for other in seen.final.also or []], seen.final


IMPATIENT = """import socket, ssl, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1500)
context = ssl._create_unverified_context()
context.set_alpn_protocols([f"protocol-{i:03}" for i in range(120)])
context.wrap_socket(connection)
"""


@MODES
def test_large_client_hello_that_the_kernel_gave_up(mode, start, make_network):
    """Nothing of it was acknowledged."""
    net = make_network()
    port = start(peer.Peer(peer.silent_after_accept, listener=net.listen())).port
    net.far.drop("meta length > 1000")
    final = ending([PYTHON, "-c", IMPATIENT, port], env=in_mode(mode), within=net.near).final
    assert (final.cause, final.fault, final.confidence) == ("TX_NOT_ACKED", "network", "high"), final
    assert "CLIENT_HELLO_DROPPED" not in [other["cause"] for other in final.also or []], final


@MODES
def test_one_lost_packet_and_a_slow_server(mode, authority, start, make_network):
    """The retransmission of the ClientHello took a part of a second, the server the rest."""
    net = make_network()
    server = start(servers.s_server(authority.rsa))
    slow = start(peer.Peer(peer.relay(server.port, peer.late(4)), listener=net.listen())).port
    net.far.drop("tcp dport != 0 meta length > 200 numgen inc mod 1000000 == 0")
    final = ending(["/usr/bin/openssl", "s_client", "-connect", f"127.0.0.1:{slow}"], env=in_mode(mode), within=net.near).final
    assert (final.outcome, final.cause, final.fault) == ("ok", "PEER_SILENT", "peer"), final
    assert "TX_NOT_ACKED" not in [other["cause"] for other in final.also or []], final
    assert re.search(r"[2-9] retransmitted segments do not explain it|\b1 retransmitted segment does not explain it", said(final)), final


def unwatched(argv, mode, within):
    """The record of a program's only handshake, at which nobody looked while it hung."""
    with stalls.directory_for_traces() as traces:
        env = {"LD_PRELOAD": str(tracing.SHIM), "TLSTALL_DIR": str(traces), **in_mode(mode)}
        result = tracing.run(argv, env=env, within=within)
        assert result.status == 0, result
        return tracing.Trace(tracing.run([tracing.TLSTALL, "report", "--format", "jsonl", traces]).stdout).only()


EARLY = """import select, socket, ssl, sys
connection = socket.socket()
connection.setblocking(False)
connection.connect_ex(("127.0.0.1", int(sys.argv[1])))
tls = ssl._create_unverified_context()._wrap_socket(connection, server_side=False)
for event in select.POLLOUT, select.POLLOUT, select.POLLIN:
    try:
        tls.do_handshake()
    except ssl.SSLError:
        pass
    poll = select.poll()
    poll.register(connection, event)
    if not poll.poll(2000) or connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        break
"""


@MODES
def test_connection_refused_after_the_first_call(mode, make_network):
    """A full accept queue keeps it in SYN_SENT; then nobody listens. The program asks the socket, not OpenSSL."""
    net = make_network()
    with net.listen(backlog=0) as listener:
        port = listener.getsockname()[1]
        with net.near.call(socket.create_connection, ("127.0.0.1", port)), \
                Traced([PYTHON, "-c", EARLY, port], env=in_mode(mode), within=net.near) as traced:
            servers.await_that(lambda: stalls.live_records(traced.traces, traced.process), traced.text)
            listener.close()
            final = traced.end(None).only()
    assert (final.cause, final.fault, final.also) == ("TCP_NOT_CONNECTED", "network", None), final


@MODES
def test_connected_after_the_first_call(mode, start, make_network):
    """The handshake began before connect() had finished, but that is not why it hung."""
    net = make_network(delay=0.03)
    port = start(peer.Peer(peer.silent_after_hello, listener=net.listen())).port
    final = unwatched([PYTHON, "-c", EARLY, port], mode, net.near)
    assert (final.cause, final.fault, final.also) == ("PEER_SILENT", "peer", None), final


CARELESS = """use strict; use IO::Socket::INET; use Net::SSLeay;
Net::SSLeay::initialize();
my $socket = IO::Socket::INET->new("127.0.0.1:$ARGV[0]") or die;
$socket->blocking(0);
my $ssl = Net::SSLeay::new(Net::SSLeay::CTX_new());
Net::SSLeay::set_fd($ssl, fileno($socket));
for (1 .. 2) {
    Net::SSLeay::connect($ssl);
    Net::SSLeay::get_error($ssl, 0);
    vec(my $ready = "", fileno($socket), 1) = 1;
    select($ready, undef, undef, 1);
}
Net::SSLeay::free($ssl);
"""


@MODES
def test_wrong_argument_that_did_no_harm(mode, start):
    """SSL_get_error(ssl, 0) instead of -1: the program was told to wait all the same, and nothing came."""
    silent = start(peer.Peer(peer.silent_after_hello)).port
    final = ending(["/usr/bin/perl", "-e", CARELESS, silent], env=in_mode(mode)).final
    assert (final.cause, final.fault, final.confidence) == ("PEER_SILENT", "peer", "high"), final
    assert "GET_ERROR_MISUSE" not in [other["cause"] for other in final.also or []], final


def trickle(connection, upstream):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while piece := upstream.recv(1):
        connection.sendall(piece)
        threading.Event().wait(0.02)


@MODES
def test_killed_while_the_answer_trickled_in(mode, authority, start):
    """What the looks saw is surer than what the trace of a killed program shows."""
    server = start(servers.s_server(authority.rsa))
    slow = start(peer.Peer(peer.relay(server.port, trickle))).port
    seen = hanging(["/usr/bin/openssl", "s_client", "-connect", f"127.0.0.1:{slow}"], env=in_mode(mode))
    for record in seen.records():
        assert (record.cause, record.fault, record.confidence) == ("RX_PARTIAL", "peer", "high"), record
        assert not record.evidence[0].startswith("0 B"), record


DIALS = """import asyncio, ssl, sys
silent, idle, tls, count = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
async def dial(context):
    if tls == "at once":
        return await asyncio.open_connection("127.0.0.1", silent, ssl=context)
    reader, writer = await asyncio.open_connection("127.0.0.1", silent)
    await reader.readline()
    await asyncio.sleep(0.05)
    await writer.start_tls(context)
async def main():
    if tls == "at once":
        other = await asyncio.open_connection("127.0.0.1", idle)
        await other[0].readline()
    await asyncio.gather(*(dial(ssl._create_unverified_context()) for _ in range(count)))
asyncio.run(main())
"""


def greeted(behave):
    """A peer that says something first."""

    def greet(server, connection):
        connection.sendall(b"220 ready\r\n")
        behave(server, connection)

    return greet


@MODES
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("tls", ["at once", "after a greeting"])
def test_servers_of_asyncio_are_silent(tls, count, mode, start):
    """Which connection is whose is not known, but all that can be are idle. An unrelated one cannot, unless they
    carried other bytes, too."""
    silent, idle = peer.silent_after_hello, start(peer.Peer(greeted(peer.silent_after_accept))).port
    port = start(peer.Peer(silent if tls == "at once" else greeted(silent))).port
    if tls != "at once" and not hasattr(asyncio.StreamWriter, "start_tls"):
        pytest.skip("start_tls() came with Python 3.11")
    with Traced([PYTHON, "-c", DIALS, port, idle, tls, count], env=in_mode(mode)) as traced:
        traced.hangs()
        # one that has just begun is not idle yet, and might be anybody's
        live = servers.await_that(
            lambda: len(r := stalls.long_enough(stalls.live_records(traced.traces, traced.process), bool)) == count
            and r, traced.text)
        looked = tracing.Trace(tracing.run([tracing.TLSTALL, "look", "--format", "jsonl", traced.target()]).stdout)
        final = traced.end().handshakes
    assert len(looked.handshakes) == len(final) == count, looked.handshakes
    for record in *live, *looked.handshakes, *final:
        assert (record.cause, record.fault) == ("PEER_SILENT", "peer"), record
        assert record.confidence in ("medium", "high"), record
        assert count > 1 or record.peer == f"127.0.0.1:{port}", record


SHUTS = """import socket, ssl, sys, threading
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
other = connection.dup()
threading.Thread(target=lambda: sys.stdin.readline() and other.shutdown(int(sys.argv[2])), daemon=True).start()
ssl._create_unverified_context().wrap_socket(connection)
"""


@MODES
@pytest.mark.parametrize("side,then", [(socket.SHUT_WR, "has closed it, too"), (socket.SHUT_RD, "has not closed it")])
def test_shut_down_here(side, then, mode, start):
    """The program has ended its own side of the stream: the peer then closes the connection. Or it reads no more: then a
    read finds the end of the stream, which the peer has not sent."""
    server = start(peer.Peer(peer.silent_after_hello))
    with Traced([PYTHON, "-c", SHUTS, server.port, str(int(side))], env=in_mode(mode), stdin=subprocess.PIPE) as traced:
        server.wait_hellos()
        traced.process.stdin.write(b"\n")
        traced.process.stdin.close()
        final = traced.end(None).only()
    assert (final.outcome, final.cause, final.fault) == ("failed", "ABANDONED", "program"), final
    assert "shut down on this side" in said(final) and then in said(final), final


BUSY = """import asyncio, ssl, sys, time
async def blocks():
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    time.sleep(60)
async def main():
    dials = [asyncio.open_connection("127.0.0.1", int(sys.argv[1]), ssl=ssl._create_unverified_context())
             for _ in range(int(sys.argv[2]))]
    await asyncio.gather(blocks(), *dials)
asyncio.run(main())
"""


@MODES
@pytest.mark.parametrize("count", [1, 3])
def test_answers_that_a_blocked_loop_does_not_read(count, mode, authority, start):
    def answers(server, connection):
        server.read_hello(connection)
        answered.wait(20)
        connection.sendall(b"\x16\x03\x03\x00\x40\x02\x00\x00\x3c")
        peer.wait_for_eof(connection)

    answered = threading.Event()
    server = start(peer.Peer(answers))
    with Traced([PYTHON, "-c", BUSY, server.port, count], env=in_mode(mode), stdin=subprocess.PIPE) as traced:
        server.wait_hellos(count)
        traced.process.stdin.write(b"\n")
        traced.process.stdin.close()
        traced.hangs(seconds=1)
        answered.set()
        live = traced.hangs(lambda r: r.cause == "APP_NOT_RESUMING")
        looked = tracing.Trace(tracing.run([tracing.TLSTALL, "look", "--format", "jsonl", traced.target()]).stdout)
        final = traced.end().handshakes
    assert len(looked.handshakes) == len(final) == count, looked.handshakes
    for record in live, *looked.handshakes:
        assert (record.cause, record.fault) == ("APP_NOT_RESUMING", "program"), record
        assert record.confidence in ("medium", "high") and "unread" in said(record), record


@MODES
@pytest.mark.parametrize("count", [1, 3])
def test_silent_servers_of_a_blocked_loop(count, mode, start):
    """It would not notice an answer, but none of its connections has brought one."""
    server = start(peer.Peer(peer.silent_after_hello))
    with Traced([PYTHON, "-c", BUSY, server.port, count], env=in_mode(mode), stdin=subprocess.PIPE) as traced:
        server.wait_hellos(count)
        traced.process.stdin.write(b"\n")
        traced.process.stdin.close()
        live = traced.hangs(lambda r: "would not notice at once: it sleeps" in said(r))
        looked = tracing.Trace(tracing.run([tracing.TLSTALL, "look", "--format", "jsonl", traced.target()]).stdout)
        final = traced.end().handshakes
    assert len(looked.handshakes) == len(final) == count, looked.handshakes
    for record in live, *looked.handshakes, *final:
        assert (record.cause, record.fault) == ("PEER_SILENT", "peer"), record
    assert live.confidence == "medium" and "APP_NOT_RESUMING" in live.not_told_from, live


@pytest.mark.parametrize("size, cause, words", [(100, "RX_PARTIAL", "a part of what the client sends came"),
                                                (None, "PEER_SILENT", "what we sent was acknowledged")])
def test_client_of_apache_says_no_more(size, cause, words, authority):
    """Its BIO is its own, and the call does not return: how much OpenSSL has read is not known."""

    @contextlib.contextmanager
    def client(server):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(peer.client_hello()[:size])
            yield

    # on a busy machine the kernel measures round trips of half a second: it takes longer to call that a stall
    seen = stalls.serving(functools.partial(servers.apache, authority.rsa), client, lambda r: r.cause == cause)
    for record in seen.records():
        assert (record.cause, record.fault, record.confidence) == (cause, "peer", "medium"), record
        assert words in said(record) and "client's side" in record.advice, record
